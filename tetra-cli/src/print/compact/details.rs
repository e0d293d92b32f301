//! What upstream's lines leave out and `--details` shows below them: arguments with their labels, return value, action,
//! policy.

use std::fmt::Write as _;

use api::event::Event;
use serde_json::Value;

use super::line::Line;
use crate::print::color::Color;
use crate::print::escape;

/// Values that make a line each, by their name in the event's JSON.
const TEXTS: [(&str, &str); 5] = [
    ("action", "action"),
    ("return_action", "return action"),
    ("policy_name", "policy"),
    ("message", "message"),
    ("tags", "tags"),
];

/// `   NAME: VALUE`, a line for each that `event` has. Taken from its JSON, so that no kind of argument is forgotten.
pub(super) fn write(event: &Event, text: &mut String, colors: bool) {
    let mut json = Vec::new();
    api::json::write_event(event, &mut json);
    let Ok(Value::Object(members)) = serde_json::from_slice(&json) else { return };
    let Some(hook) = members.values().find(|member| member.get("process").is_some()) else { return };
    let mut show = |name: &str, value: &str| {
        let mut line = Line::begin(text, colors);
        line.painted(Color::Blue, format_args!("   {name}:")).plain(' ').plain(value);
        line.end();
    };
    for name in ["args", "data"] {
        let values = hook.get(name).and_then(Value::as_array).into_iter().flatten().map(argument);
        let values: Vec<_> = values.collect();
        if !values.is_empty() {
            show(name, &values.join(" "));
        }
    }
    if let Some(value) = hook.get("return") {
        show("return", &argument(value));
    }
    for (member, name) in TEXTS {
        if let Some(value) = hook.get(member) {
            show(name, plain(value).trim_start_matches("KPROBE_ACTION_"));
        }
    }
}

/// `LABEL=VALUE`, or the value alone where it has no label.
fn argument(argument: &Value) -> String {
    let label = argument.get("label").and_then(Value::as_str);
    let value = argument.as_object().and_then(|members| members.iter().find(|(name, _)| *name != "label"));
    let value = value.map_or_else(|| "?".to_owned(), |(_, value)| plain(value));
    label.map_or_else(|| value.clone(), |label| format!("{}={value}", escape::word(label)))
}

/// A scalar as a word, a list with commas, an object as `{NAME=VALUE NAME=VALUE}`.
fn plain(value: &Value) -> String {
    match value {
        Value::String(text) => escape::word(text).into_owned(),
        Value::Array(items) => items.iter().map(plain).collect::<Vec<_>>().join(","),
        Value::Object(members) => {
            let mut text = String::from("{");
            for (index, (name, value)) in members.iter().enumerate() {
                let gap = if index > 0 { " " } else { "" };
                write!(text, "{gap}{}={}", escape::word(name), plain(value))
                    .expect("a String takes all text");
            }
            text + "}"
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.to_string(),
    }
}
