//! Open Cybersecurity Schema Framework 1.5.0. Classes, attributes and numbers: <https://schema.ocsf.io/1.5.0>.

use prost_types::Timestamp;
use serde_json::{Value, json};

use super::event::{
    Fields, Subject, Verdict, command_line, container_id, file_name, number, put, string, text, transport,
    user_name,
};

const VERSION: &str = "1.5.0";
/// `Other` of every activity.
const OTHER: u64 = 99;

/// A class with the activity that an event is of it.
struct Class {
    uid: u64,
    name: &'static str,
    activity: u64,
    activity_name: &'static str,
}

const fn class(uid: u64, name: &'static str, activity: u64, activity_name: &'static str) -> Class {
    Class { uid, name, activity, activity_name }
}

impl Class {
    fn of(subject: Subject<'_>) -> Self {
        match subject {
            Subject::Start => class(1007, "Process Activity", 1, "Launch"),
            Subject::End => class(1007, "Process Activity", 2, "Terminate"),
            Subject::Function(_) => class(1007, "Process Activity", OTHER, "Other"),
            Subject::File(_) => class(1001, "File System Activity", 14, "Open"),
            Subject::Module(_) => class(1002, "Kernel Extension Activity", 1, "Load"),
            Subject::Library(_) => class(1005, "Module Activity", 1, "Load"),
            Subject::Network(_) => class(4001, "Network Activity", 1, "Open"),
            Subject::Agent => class(0, "Base Event", OTHER, "Other"),
        }
    }

    /// Number and name of its category.
    const fn category(&self) -> (u64, &'static str) {
        match self.uid / 1000 {
            1 => (1, "System Activity"),
            4 => (4, "Network Activity"),
            _ => (0, "Uncategorized"),
        }
    }
}

/// The document of an event.
pub(super) fn document(event: &Fields<'_>) -> Value {
    let subject = event.subject();
    let class = Class::of(subject);
    let (category, category_name) = class.category();
    let mut to = json!({
        "category_uid": category,
        "category_name": category_name,
        "class_uid": class.uid,
        "class_name": class.name,
        "activity_id": class.activity,
        "activity_name": class.activity_name,
        "type_uid": class.uid * 100 + class.activity,
        "type_name": format!("{}: {}", class.name, class.activity_name),
        "time": event.outer("time").and_then(milliseconds).unwrap_or(0),
        "metadata": {
            "version": VERSION,
            "product": { "vendor_name": "Enforcer", "name": "Enforcer" },
            "event_code": event.kind,
            "profiles": ["host", "container", "security_control"],
        },
    });
    verdict(event, &mut to);
    put(&mut to, "metadata.original_time", string(event.outer("time")));
    put(&mut to, "metadata.labels", event.body.get("tags").cloned());
    put(&mut to, "message", string(text(event.body, "/message")));
    put(&mut to, "count", event.count().map(Value::from));
    put(&mut to, "device", Some(device(event)));
    if let Some(from) = event.process() {
        put(&mut to, "actor.process", Some(process(from, event.parent())));
        put(&mut to, "actor.user", user(from));
        surroundings(from, &mut to);
        if class.uid == 1007 {
            put(&mut to, "process", Some(process(from, event.parent())));
        }
    }
    if subject == Subject::End {
        put(&mut to, "exit_code", Some(number(event.body.get("status")).unwrap_or(0).into()));
    }
    object(subject, &mut to);
    put(&mut to, &format!("unmapped.{}", event.kind), Some(event.rest()));
    to
}

/// Severity, and what the policy decided.
fn verdict(event: &Fields<'_>, to: &mut Value) {
    let denied = event.verdict() == Verdict::Denied;
    let (severity, severity_name) = if denied { (4, "High") } else { (1, "Informational") };
    put(to, "severity_id", Some(severity.into()));
    put(to, "severity", string(Some(severity_name)));
    let (action, action_name, disposition, disposition_name) =
        if denied { (2, "Denied", 2, "Blocked") } else { (1, "Allowed", 1, "Allowed") };
    put(to, "action_id", Some(action.into()));
    put(to, "action", string(Some(action_name)));
    put(to, "disposition_id", Some(disposition.into()));
    put(to, "disposition", string(Some(disposition_name)));
    let (status, status_name) = if denied { (2, "Failure") } else { (0, "Unknown") };
    put(to, "status_id", Some(status.into()));
    put(to, "status", string(Some(status_name)));
    if let Some(policy) = text(event.body, "/policy_name") {
        let decision = if denied { "deny" } else { "allow" };
        put(to, "authorizations", Some(json!([{ "decision": decision, "policy": { "name": policy } }])));
    }
}

/// The node. `type_id` 1 is a server.
fn device(event: &Fields<'_>) -> Value {
    let mut device =
        json!({ "type_id": 1, "type": "Server", "os": { "name": "Linux", "type_id": 200, "type": "Linux" } });
    put(&mut device, "hostname", string(event.outer("node_name")));
    put(&mut device, "name", string(event.outer("node_name")));
    put(&mut device, "domain", string(event.outer("cluster_name")));
    device
}

fn process(from: &Value, parent: Option<&Value>) -> Value {
    let mut process = json!({});
    let binary = text(from, "/binary");
    put(&mut process, "uid", string(text(from, "/exec_id")));
    put(&mut process, "pid", from.get("pid").cloned());
    put(&mut process, "tid", from.get("tid").cloned());
    put(&mut process, "name", string(binary.map(file_name)));
    put(&mut process, "file", binary.map(file));
    put(&mut process, "cmd_line", command_line(from));
    put(&mut process, "working_directory", string(text(from, "/cwd")));
    put(&mut process, "created_time", text(from, "/start_time").and_then(milliseconds).map(Value::from));
    put(&mut process, "user", user(from));
    put(&mut process, "parent_process", parent.map(|parent| self::process(parent, None)));
    process
}

fn user(from: &Value) -> Option<Value> {
    let uid = from.get("uid")?;
    let mut user = json!({ "uid": uid.to_string() });
    put(&mut user, "name", user_name(from));
    Some(user)
}

/// A file; `type_id` 1 is a regular one, 0 says that it is not known.
fn file(path: &str) -> Value {
    json!({ "path": path, "name": file_name(path), "type_id": 1, "type": "Regular File" })
}

fn surroundings(from: &Value, to: &mut Value) {
    put(to, "container.uid", container_id(from));
    put(to, "container.name", string(text(from, "/pod/container/name")));
    put(to, "container.image.name", string(text(from, "/pod/container/image/name")));
    put(to, "container.orchestrator", text(from, "/pod/name").map(|_| "kubernetes".into()));
    put(to, "container.pod_uuid", string(text(from, "/pod/uid")));
}

/// The object that the class asks for.
fn object(subject: Subject<'_>, to: &mut Value) {
    match subject {
        Subject::File(path) => {
            let file = json!({ "path": path, "name": file_name(path), "type_id": 0, "type": "Unknown" });
            put(to, "file", Some(file));
        }
        Subject::Module(name) => {
            let file = json!({ "name": name, "type_id": 0, "type": "Unknown" });
            put(to, "driver", Some(json!({ "file": file })));
        }
        Subject::Library(path) => put(to, "module", Some(json!({ "file": file(path) }))),
        Subject::Network(at) => {
            put(to, "src_endpoint", endpoint(text(at, "/saddr"), number(at.get("sport"))));
            let address = text(at, "/daddr").or_else(|| text(at, "/addr"));
            let port = number(at.get("dport").or_else(|| at.get("port")));
            put(to, "dst_endpoint", endpoint(address, port).or_else(|| Some(json!({}))));
            let mut connection = json!({ "direction_id": 0, "direction": "Unknown" });
            put(&mut connection, "protocol_name", transport(at));
            put(to, "connection_info", Some(connection));
        }
        Subject::Start | Subject::End | Subject::Function(_) | Subject::Agent => {}
    }
}

fn endpoint(address: Option<&str>, port: Option<u64>) -> Option<Value> {
    let address = address.filter(|address| address.parse::<std::net::IpAddr>().is_ok())?;
    let mut endpoint = json!({ "ip": address });
    put(&mut endpoint, "port", port.filter(|port| *port != 0).map(Value::from));
    Some(endpoint)
}

/// Milliseconds since 1970 of a time as events have it.
fn milliseconds(time: &str) -> Option<i64> {
    let Timestamp { seconds, nanos } = time.parse().ok()?;
    seconds.checked_mul(1000)?.checked_add(i64::from(nanos / 1_000_000))
}
