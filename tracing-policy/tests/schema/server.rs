//! What an API server does with a custom resource: it fills in defaults, and refuses what the structural schema and its rules do not allow. With
//! `fieldValidation: Strict`, as `kubectl apply` asks for, fields that the schema does not have are refused too.

use serde_json::{Map, Value};
use tracing_policy::crd::definition;
use tracing_policy::schema::PolicyKind;

/// The definition of the cluster's policies.
pub(crate) struct Server {
    pub(crate) schema: Value,
}

impl Server {
    pub(crate) fn new() -> Self {
        let definition = definition(PolicyKind::Cluster);
        Self { schema: definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"].clone() }
    }

    /// Everything that is wrong with a document.
    pub(crate) fn refusals(&self, document: &Value) -> Vec<String> {
        let mut found = Vec::new();
        look(&self.schema, &without_nulls(document), "", true, &mut found);
        found
    }

    /// The same without rules: what each field takes by itself.
    pub(crate) fn refusals_but_rules(&self, document: &Value) -> Vec<String> {
        let mut found = Vec::new();
        look(&self.schema, &without_nulls(document), "", false, &mut found);
        found
    }

    /// Puts defaults where nothing is; returns how many.
    pub(crate) fn fill_in_defaults(&self, document: &mut Value) -> usize {
        fill_in(&self.schema, document)
    }
}

/// A field that is null is as good as absent: no field of the definitions is `nullable`.
fn without_nulls(value: &Value) -> Value {
    match value {
        Value::Object(fields) => {
            let there = fields.iter().filter(|(_, value)| !value.is_null());
            Value::Object(there.map(|(name, value)| (name.clone(), without_nulls(value))).collect())
        }
        Value::Array(entries) => Value::Array(entries.iter().map(without_nulls).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn fill_in(schema: &Value, value: &mut Value) -> usize {
    let mut count = 0;
    match value {
        Value::Object(fields) => {
            for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
                if let (Some(default), false) = (inner.get("default"), fields.contains_key(name)) {
                    fields.insert(name.clone(), default.clone());
                    count += 1;
                }
            }
            for (name, value) in fields.iter_mut() {
                let inner = schema["properties"].get(name).unwrap_or(&schema["additionalProperties"]);
                count += fill_in(inner, value);
            }
        }
        Value::Array(entries) => {
            count += entries.iter_mut().map(|entry| fill_in(&schema["items"], entry)).sum::<usize>();
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    count
}

fn look(schema: &Value, value: &Value, path: &str, rules: bool, found: &mut Vec<String>) {
    let fits = match schema["type"].as_str().unwrap() {
        "object" => value.is_object(),
        "array" => value.is_array(),
        "string" => value.is_string(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        other => panic!("no such type: {other}"),
    };
    if !fits {
        found.push(format!("{path}: {value} is not of type {}", schema["type"]));
        return;
    }
    if let Some(words) = schema["enum"].as_array()
        && !words.contains(value)
    {
        found.push(format!("{path}: {value} is none of {words:?}"));
    }
    let limits = schema["maxItems"].as_u64().zip(value.as_array());
    if let Some((most, entries)) = limits
        && entries.len() as u64 > most
    {
        found.push(format!("{path}: more entries than maxItems, {most}"));
    }
    if schema["type"] == "integer" && !in_range(schema, value) {
        found.push(format!("{path}: {value} is out of range"));
    }
    for entry in value.as_array().into_iter().flatten() {
        look(&schema["items"], entry, &format!("{path}[]"), rules, found);
    }
    if let (Some(fields), true) = (value.as_object(), path != ".metadata") {
        look_at_fields(schema, fields, path, rules, found);
    }
}

fn look_at_fields(
    schema: &Value,
    fields: &Map<String, Value>,
    path: &str,
    rules: bool,
    found: &mut Vec<String>,
) {
    for name in schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        if !fields.contains_key(name) {
            found.push(format!("{path}.{name} is missing"));
        }
    }
    for (name, value) in fields {
        let inner = schema["properties"].get(name).or_else(|| schema.get("additionalProperties"));
        match inner {
            Some(inner) => look(inner, value, &format!("{path}.{name}"), rules, found),
            None => found.push(format!("{path} has no field {name}")),
        }
    }
    for rule in schema["x-kubernetes-validations"].as_array().into_iter().flatten().filter(|_| rules) {
        let text = rule["rule"].as_str().unwrap();
        if !holds(text, fields) {
            found.push(format!("{path}: {}", rule["message"]));
        }
    }
}

/// The formats `int32` and `int64`, and limits.
fn in_range(schema: &Value, value: &Value) -> bool {
    let number = value.as_i64().map(i128::from).or(value.as_u64().map(i128::from)).unwrap();
    let largest = if schema["format"] == "int32" { i128::from(i32::MAX) } else { i128::from(i64::MAX) };
    let least = schema["minimum"].as_i64().map_or(-largest - 1, i128::from);
    let most = schema["maximum"].as_i64().map_or(largest, i128::from);
    (least..=most).contains(&number)
}

/// A rule in the part of CEL that the definitions use: `has(self.x)` and `self.x` under `!`, `&&`, `||` and brackets.
fn holds(rule: &str, fields: &Map<String, Value>) -> bool {
    let mut rest = rule;
    let answer = any(&mut rest, fields);
    assert!(rest.trim().is_empty(), "not understood: {rest:?} in {rule}");
    answer
}

fn eat(rest: &mut &str, word: &str) -> bool {
    let trimmed = rest.trim_start();
    let found = trimmed.strip_prefix(word);
    *rest = found.unwrap_or(trimmed);
    found.is_some()
}

fn any(rest: &mut &str, fields: &Map<String, Value>) -> bool {
    let mut answer = all(rest, fields);
    while eat(rest, "||") {
        answer |= all(rest, fields);
    }
    answer
}

fn all(rest: &mut &str, fields: &Map<String, Value>) -> bool {
    let mut answer = one(rest, fields);
    while eat(rest, "&&") {
        answer &= one(rest, fields);
    }
    answer
}

fn one(rest: &mut &str, fields: &Map<String, Value>) -> bool {
    if eat(rest, "!") {
        return !one(rest, fields);
    }
    let has = eat(rest, "has(");
    if has || eat(rest, "self.") {
        assert!(!has || eat(rest, "self."), "{rest:?}");
        let end = rest.find(|letter: char| !letter.is_alphanumeric()).unwrap_or(rest.len());
        let (name, behind) = rest.split_at(end);
        *rest = behind;
        assert!(!has || eat(rest, ")"), "{rest:?}");
        // `self.x` of a field that is absent is an error, which `||` and `&&` pass over when the other side decides
        return if has { fields.contains_key(name) } else { fields.get(name) == Some(&Value::Bool(true)) };
    }
    assert!(eat(rest, "("), "not understood: {rest:?}");
    let answer = any(rest, fields);
    assert!(eat(rest, ")"), "{rest:?}");
    answer
}
