//! Elastic Common Schema 8.17. Field names and allowed values: <https://www.elastic.co/guide/en/ecs/8.17/ecs-field-reference.html>.

use serde_json::{Value, json};

use super::event::{
    Fields, Subject, Verdict, command_line, container_id, file_name, number, put, string, text, transport,
    user_name,
};

const VERSION: &str = "8.17.0";
/// What the schema has no place for is below this name.
const OWN: &str = "enforcer";

/// The document of an event.
pub(super) fn document(event: &Fields<'_>) -> Value {
    let mut to = json!({
        "@timestamp": event.outer("time").unwrap_or("1970-01-01T00:00:00Z"),
        "ecs": { "version": VERSION },
        "event": {
            "module": "enforcer",
            "dataset": format!("enforcer.{}", event.kind),
            "action": event.action().map_or_else(|| event.kind.to_owned(), str::to_lowercase),
        },
        "observer": { "vendor": "Enforcer", "product": "Enforcer", "type": "ids" },
    });
    classify(event, &mut to);
    put(&mut to, "host.name", string(event.outer("node_name")));
    put(&mut to, "host.hostname", string(event.outer("node_name")));
    put(&mut to, "orchestrator.cluster.name", string(event.outer("cluster_name")));
    if let Some(from) = event.process() {
        process(from, "process", &mut to);
        surroundings(from, &mut to);
    }
    if let Some(from) = event.parent() {
        process(from, "process.parent", &mut to);
    }
    if event.subject() == Subject::End {
        put(&mut to, "process.end", string(event.outer("time")));
        put(&mut to, "process.exit_code", Some(number(event.body.get("status")).unwrap_or(0).into()));
    }
    subject(event.subject(), &mut to);
    put(&mut to, "rule.name", string(text(event.body, "/policy_name")));
    put(&mut to, "message", string(text(event.body, "/message")));
    put(&mut to, "tags", event.body.get("tags").cloned());
    put(&mut to, &format!("{OWN}.{}", event.kind), Some(event.rest()));
    put(&mut to, &format!("{OWN}.count"), event.count().map(Value::from));
    to
}

/// `event.kind`, `event.category`, `event.type`, `event.outcome`.
fn classify(event: &Fields<'_>, to: &mut Value) {
    let denied = event.verdict() == Verdict::Denied;
    let (category, kind) = match event.subject() {
        Subject::Start => ("process", "start"),
        Subject::End => ("process", "end"),
        Subject::File(_) => ("file", "access"),
        Subject::Network(_) => ("network", "connection"),
        Subject::Module(_) => ("driver", "info"),
        Subject::Library(_) => ("library", "start"),
        Subject::Function(_) => ("process", "info"),
        Subject::Agent => ("host", "info"),
    };
    let (mut categories, mut kinds) = (vec![category], vec![kind]);
    if denied {
        categories.push("intrusion_detection");
        kinds.push("denied");
    }
    put(to, "event.kind", string(Some(if denied { "alert" } else { "event" })));
    put(to, "event.category", Some(categories.into()));
    put(to, "event.type", Some(kinds.into()));
    put(to, "event.outcome", string(Some(if denied { "failure" } else { "unknown" })));
}

fn process(from: &Value, at: &str, to: &mut Value) {
    let mut put = |name: &str, value| put(to, &format!("{at}.{name}"), value);
    let binary = text(from, "/binary");
    put("entity_id", string(text(from, "/exec_id")));
    put("pid", from.get("pid").cloned());
    put("thread.id", from.get("tid").cloned());
    put("executable", string(binary));
    put("name", string(binary.map(file_name)));
    put("command_line", command_line(from));
    put("working_directory", string(text(from, "/cwd")));
    put("start", string(text(from, "/start_time")));
    put("user.id", from.get("uid").map(|uid| Value::from(uid.to_string())));
    put("user.name", user_name(from));
}

/// Container and pod of a process.
fn surroundings(from: &Value, to: &mut Value) {
    put(to, "container.id", container_id(from));
    put(to, "container.name", string(text(from, "/pod/container/name")));
    put(to, "container.image.name", string(text(from, "/pod/container/image/name")));
    put(to, "orchestrator.namespace", string(text(from, "/pod/namespace")));
    if let Some(name) = text(from, "/pod/name") {
        put(to, "orchestrator.type", string(Some("kubernetes")));
        put(to, "orchestrator.resource.type", string(Some("pod")));
        put(to, "orchestrator.resource.name", string(Some(name)));
    }
}

fn subject(subject: Subject<'_>, to: &mut Value) {
    match subject {
        Subject::File(path) => {
            put(to, "file.path", string(Some(path)));
            put(to, "file.name", string(Some(file_name(path))));
        }
        Subject::Library(path) => {
            put(to, "dll.path", string(Some(path)));
            put(to, "dll.name", string(Some(file_name(path))));
        }
        Subject::Network(at) => {
            let port = |name: &str| number(at.get(name)).filter(|port| *port != 0).map(Value::from);
            put(to, "source.ip", string(text(at, "/saddr").filter(|address| is_address(address))));
            put(to, "source.port", port("sport"));
            let to_address = text(at, "/daddr").or_else(|| text(at, "/addr"));
            put(to, "destination.ip", string(to_address.filter(|address| is_address(address))));
            put(to, "destination.port", port("dport").or_else(|| port("port")));
            put(to, "network.transport", transport(at));
            let family = match text(at, "/family") {
                Some("AF_INET") => Some("ipv4"),
                Some("AF_INET6") => Some("ipv6"),
                _ => None,
            };
            put(to, "network.type", string(family));
        }
        Subject::Start | Subject::End | Subject::Module(_) | Subject::Function(_) | Subject::Agent => {}
    }
}

fn is_address(text: &str) -> bool {
    text.parse::<std::net::IpAddr>().is_ok()
}
