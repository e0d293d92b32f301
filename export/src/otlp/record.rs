//! An event as a log record. Names of attributes: <https://opentelemetry.io/docs/specs/semconv/>; what these do not name is below `enforcer`.

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs, SeverityNumber};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost_types::Timestamp;
use serde_json::Value;

use super::queue::Line;
use crate::siem::Form;
use crate::siem::event::{
    Fields, Subject, Verdict, command_line, container_id, file_name, number, text, transport,
};

const NAME: &str = "enforcer";

/// What all records of this node share.
#[derive(Debug)]
pub(super) struct Source {
    pub(super) node: String,
    /// Empty where it has no name.
    pub(super) cluster: String,
}

impl Source {
    /// The records of `lines`, whose bodies have this form.
    pub(super) fn logs<'a>(&self, lines: impl Iterator<Item = &'a Line>, form: Form) -> ResourceLogs {
        let mut resource = Attributes::default();
        resource.text("service.name", Some(NAME));
        resource.text("service.version", Some(env!("CARGO_PKG_VERSION")));
        resource.text("host.name", Some(&self.node));
        resource.text("os.type", Some("linux"));
        resource.text("k8s.cluster.name", Some(self.cluster.as_str()).filter(|name| !name.is_empty()));
        let scope = InstrumentationScope {
            name: NAME.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            ..InstrumentationScope::default()
        };
        let log_records = lines.map(|line| record(line, form)).collect();
        let scope_logs = vec![ScopeLogs { scope: Some(scope), log_records, ..ScopeLogs::default() }];
        let resource = Some(Resource { attributes: resource.0, ..Resource::default() });
        ResourceLogs { resource, scope_logs, ..ResourceLogs::default() }
    }
}

#[derive(Default)]
struct Attributes(Vec<KeyValue>);

impl Attributes {
    fn add(&mut self, key: &str, value: Option<Any>) {
        let Some(value) = value else { return };
        let value = Some(AnyValue { value: Some(value) });
        self.0.push(KeyValue { key: key.to_owned(), value, ..KeyValue::default() });
    }

    fn text(&mut self, key: &str, value: Option<&str>) {
        self.add(key, value.map(|value| Any::StringValue(value.to_owned())));
    }

    /// A number; one that a signed number does not hold as text.
    fn number(&mut self, key: &str, value: Option<u64>) {
        let any =
            |value: u64| i64::try_from(value).map_or(Any::StringValue(value.to_string()), Any::IntValue);
        self.add(key, value.map(any));
    }

    fn json_text(&mut self, key: &str, value: Option<&Value>) {
        self.text(key, value.and_then(Value::as_str));
    }
}

/// The record of an event.
fn record(line: &Line, form: Form) -> LogRecord {
    let mut body = Vec::new();
    form.write(&line.json, &mut body);
    // JSON is written as UTF-8
    let body = String::from_utf8(body).unwrap_or_default();
    let event: Value = serde_json::from_slice(&line.json).unwrap_or_default();
    let mut record = LogRecord {
        observed_time_unix_nano: line.observed,
        severity_number: SeverityNumber::Info.into(),
        severity_text: "INFO".to_owned(),
        body: Some(AnyValue { value: Some(Any::StringValue(body)) }),
        ..LogRecord::default()
    };
    let Some(fields) = Fields::of(&event) else { return record };
    record.event_name = format!("{NAME}.{}", fields.kind);
    record.time_unix_nano = fields.outer("time").and_then(nanoseconds).unwrap_or_default();
    if fields.verdict() == Verdict::Denied {
        record.severity_number = SeverityNumber::Warn.into();
        "WARN".clone_into(&mut record.severity_text);
    }
    record.attributes = attributes(&fields).0;
    record
}

fn attributes(event: &Fields<'_>) -> Attributes {
    let mut to = Attributes::default();
    if let Some(from) = event.process() {
        process(from, &mut to);
        surroundings(from, &mut to);
    }
    to.number("process.parent_pid", event.parent().and_then(|parent| number(parent.get("pid"))));
    if event.subject() == Subject::End {
        to.number("process.exit.code", Some(number(event.body.get("status")).unwrap_or(0)));
        to.text("process.exit.time", event.outer("time"));
        to.text("enforcer.signal", text(event.body, "/signal"));
    }
    subject(event.subject(), &mut to);
    to.text("enforcer.function", Some(event.function()).filter(|name| !name.is_empty()));
    to.text("enforcer.policy.name", text(event.body, "/policy_name"));
    to.text("enforcer.action", event.action());
    to.text("enforcer.message", text(event.body, "/message"));
    to.number("enforcer.event.count", event.count());
    to
}

fn process(from: &Value, to: &mut Attributes) {
    let binary = text(from, "/binary");
    to.number("process.pid", number(from.get("pid")));
    to.text("process.executable.path", binary);
    to.text("process.executable.name", binary.map(file_name));
    to.json_text("process.command_line", command_line(from).as_ref());
    to.text("process.working_directory", text(from, "/cwd"));
    to.text("process.creation.time", text(from, "/start_time"));
    to.number("process.user.id", number(from.get("uid")));
    to.text("process.user.name", text(from, "/user/name"));
    to.number("thread.id", number(from.get("tid")));
    to.text("enforcer.process.exec_id", text(from, "/exec_id"));
    to.text("enforcer.process.parent_exec_id", text(from, "/parent_exec_id"));
}

/// Container and pod of a process.
fn surroundings(from: &Value, to: &mut Attributes) {
    to.json_text("container.id", container_id(from).as_ref());
    to.text("container.name", text(from, "/pod/container/name"));
    to.text("container.image.name", text(from, "/pod/container/image/name"));
    to.text("k8s.namespace.name", text(from, "/pod/namespace"));
    to.text("k8s.pod.name", text(from, "/pod/name"));
    to.text("k8s.pod.uid", text(from, "/pod/uid"));
}

fn subject(subject: Subject<'_>, to: &mut Attributes) {
    match subject {
        Subject::File(path) | Subject::Library(path) => {
            to.text("file.path", Some(path));
            to.text("file.name", Some(file_name(path)));
        }
        Subject::Network(at) => {
            let port = |name: &str| number(at.get(name)).filter(|port| *port != 0);
            to.text("source.address", text(at, "/saddr"));
            to.number("source.port", port("sport"));
            to.text("destination.address", text(at, "/daddr").or_else(|| text(at, "/addr")));
            to.number("destination.port", port("dport").or_else(|| port("port")));
            to.json_text("network.transport", transport(at).as_ref());
            let family = match text(at, "/family") {
                Some("AF_INET") => Some("ipv4"),
                Some("AF_INET6") => Some("ipv6"),
                _ => None,
            };
            to.text("network.type", family);
        }
        Subject::Module(name) => to.text("enforcer.module.name", Some(name)),
        Subject::Start | Subject::End | Subject::Function(_) | Subject::Agent => {}
    }
}

/// Nanoseconds since 1970 of a time as events have it.
fn nanoseconds(time: &str) -> Option<u64> {
    let Timestamp { seconds, nanos } = time.parse().ok()?;
    u64::try_from(seconds.checked_mul(1_000_000_000)?.checked_add(nanos.into())?).ok()
}
