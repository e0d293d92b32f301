//! Events beside what was expected of them.

use std::collections::BTreeMap;

use serde_json::Value;

/// What is wrong with the events; nothing where each has what is expected of it, and there are as many.
pub(super) fn difference(expected: &[BTreeMap<String, Value>], came: &[Value]) -> Option<String> {
    for (number, (expected, event)) in expected.iter().zip(came).enumerate() {
        let differs = |(key, value): (&String, &Value)| lacks(value, &event[key], key);
        if let Some(place) = expected.iter().find_map(differs) {
            return Some(format!("event {}: {place}", number + 1));
        }
    }
    (expected.len() != came.len())
        .then(|| format!("{} events came, {} were expected{}", came.len(), expected.len(), kinds(came)))
}

fn kinds(events: &[Value]) -> String {
    let fields = events.iter().filter_map(Value::as_object).flatten();
    let kinds: Vec<&str> = fields
        .filter(|(name, _)| name.starts_with("process_"))
        .map(|(name, _)| name.as_str())
        .take(8)
        .collect();
    if kinds.is_empty() { String::new() } else { format!(": {}", kinds.join(", ")) }
}

/// Where `found` does not have what `expected` has: fields that are not expected may be there, lists begin as expected, numbers may be written as text.
fn lacks(expected: &Value, found: &Value, place: &str) -> Option<String> {
    match (expected, found) {
        (Value::Object(expected), Value::Object(found)) => expected.iter().find_map(|(key, value)| {
            lacks(value, found.get(key).unwrap_or(&Value::Null), &format!("{place}.{key}"))
        }),
        (Value::Array(expected), Value::Array(found)) if expected.len() <= found.len() => expected
            .iter()
            .zip(found)
            .enumerate()
            .find_map(|(index, (expected, found))| lacks(expected, found, &format!("{place}[{index}]"))),
        _ if expected == found || text(expected).is_some_and(|expected| Some(expected) == text(found)) => {
            None
        }
        _ => Some(format!("{place} is {found}, not {expected}")),
    }
}

/// A number or text as text.
fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(expected: &Value, came: &[Value]) -> Option<String> {
        let expected: Vec<BTreeMap<String, Value>> =
            serde_json::from_value(expected.clone()).unwrap_or_default();
        difference(&expected, came)
    }

    #[test]
    fn an_event_has_at_least_what_is_expected_of_it() {
        let event = json!({ "process_kprobe": { "function_name": "f", "args": [{ "long_arg": "4444" }, 1], "x": true }, "node_name": "n" });
        let came = std::slice::from_ref(&event);
        assert_eq!(of(&json!([{ "process_kprobe": { "args": [{ "long_arg": 4444 }] } }]), came), None);
        let wrong = of(&json!([{ "process_kprobe": { "args": [{ "long_arg": 5 }] } }]), came);
        assert_eq!(wrong.as_deref(), Some("event 1: process_kprobe.args[0].long_arg is \"4444\", not 5"));
        let none = of(&json!([{ "process_lsm": {} }]), came);
        assert_eq!(none.as_deref(), Some("event 1: process_lsm is null, not {}"));
        let more = of(&json!([]), came);
        assert_eq!(more.as_deref(), Some("1 events came, 0 were expected: process_kprobe"));
        assert!(
            of(&json!([{ "process_kprobe": {} }, {}]), came)
                .is_some_and(|text| text.starts_with("1 events came, 2"))
        );
    }
}
