//! `tetra info`

use std::collections::BTreeMap;

use api::wire;
use prost::Message as _;
use serde::Serialize;
use serde_json::Value;

use super::answer::{self, AnswerError};
use crate::args::Connection;
use crate::client::{CallError, Client};

/// What the daemon says of itself, with the names and in the order of upstream's JSON.
#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Info {
    name: String,
    version: String,
    probes: BTreeMap<String, bool>,
    conf: BTreeMap<String, Value>,
    build: Build,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Build {
    go_version: String,
    commit: String,
    time: String,
    modified: String,
}

/// Prints version, features of the kernel and settings of the daemon as one line of JSON.
pub(crate) fn run(connection: &Connection) -> Result<(), AnswerError> {
    answer::print(connection, "get information", ask, line)
}

/// What is printed.
pub(super) fn text(client: &Client) -> Result<String, AnswerError> {
    ask(client).map_err(|source| AnswerError::Call { what: "get information", source }).and_then(line)
}

fn ask(client: &Client) -> Result<wire::GetInfoResponse, CallError> {
    client.call(async |mut service| service.get_info(wire::GetInfoRequest {}).await)
}

fn line(info: wire::GetInfoResponse) -> Result<String, AnswerError> {
    Ok(serde_json::to_string(&Info::from(info))? + "\n")
}

impl From<wire::GetInfoResponse> for Info {
    fn from(info: wire::GetInfoResponse) -> Self {
        let probes = info.probes.into_iter().map(|probe| (probe.name, probe.enabled.unwrap_or_default()));
        let conf =
            info.conf.into_iter().map(|conf| (conf.key, conf.value.as_ref().map_or(Value::Null, setting)));
        let build = info.build.unwrap_or_default();
        Self {
            name: info.name,
            version: info.version,
            probes: probes.collect(),
            conf: conf.collect(),
            build: Build {
                go_version: build.go_version,
                commit: build.commit,
                time: build.time,
                modified: build.modified,
            },
        }
    }
}

/// A setting: a text, a number, a truth, or a list of texts.
fn setting(any: &prost_types::Any) -> Value {
    let bytes = any.value.as_slice();
    let value = match any.type_url.rsplit('.').next().unwrap_or_default() {
        "StringValue" => String::decode(bytes).map(Value::from),
        "Int64Value" => i64::decode(bytes).map(Value::from),
        "BoolValue" => bool::decode(bytes).map(Value::from),
        "ListValue" => prost_types::ListValue::decode(bytes).map(|list| {
            let texts = list.values.into_iter().filter_map(|value| {
                if let Some(prost_types::value::Kind::StringValue(text)) = value.kind {
                    Some(text)
                } else {
                    None
                }
            });
            texts.collect()
        }),
        other => return format!("unknown type {other:?}").into(),
    };
    value.unwrap_or_else(|error| format!("damaged: {error}").into())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use api::wire::get_info_response::{BuildInfo, ConfVal, Probe};

    use super::*;

    fn conf(key: &str, kind: &str, value: Vec<u8>) -> ConfVal {
        let type_url = format!("type.googleapis.com/google.protobuf.{kind}");
        ConfVal { key: key.to_owned(), value: Some(prost_types::Any { type_url, value }) }
    }

    // proves: CLI-15 (info: its JSON)
    #[test]
    fn names_and_order_are_those_of_upstream() {
        let text = prost_types::Value { kind: Some(prost_types::value::Kind::StringValue("x".to_owned())) };
        let info = wire::GetInfoResponse {
            version: "v1".to_owned(),
            name: "enforcer".to_owned(),
            probes: vec![Probe { name: "lsm".to_owned(), enabled: Some(true) }],
            conf: vec![
                conf("text", "StringValue", "a \u{1b}".to_owned().encode_to_vec()),
                conf("number", "Int64Value", 7_i64.encode_to_vec()),
                conf("truth", "BoolValue", true.encode_to_vec()),
                conf("list", "ListValue", prost_types::ListValue { values: vec![text] }.encode_to_vec()),
                conf("damaged", "Int64Value", vec![0xff]),
                conf("other", "Duration", Vec::new()),
            ],
            build: Some(BuildInfo { commit: "c".to_owned(), ..BuildInfo::default() }),
        };
        let line = serde_json::to_string(&Info::from(info)).unwrap();
        let begin = r#"{"Name":"enforcer","Version":"v1","Probes":{"lsm":true},"Conf":{"damaged":"damaged: "#;
        assert!(line.starts_with(begin), "{line}");
        let end = r#""list":["x"],"number":7,"other":"unknown type \"Duration\"","text":"a \u001b","truth":true},"Build":{"GoVersion":"","Commit":"c","Time":"","Modified":""}}"#;
        assert!(line.ends_with(end), "{line}");
    }
}
