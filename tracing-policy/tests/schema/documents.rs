//! Documents made out of the schema: for each of its fields one that has the field, and nothing else but what must be there.

use serde_json::{Map, Value, json};

use crate::server::Server;

/// A field of the schema: the names on the way to it, where `[]` is the only entry of a list and `{}` that of an open mapping.
pub(crate) struct Found {
    pub(crate) path: Vec<String>,
    pub(crate) schema: Value,
    pub(crate) required: bool,
}

/// Every field below `spec`, at every place where it can be.
pub(crate) fn every_field(server: &Server) -> Vec<Found> {
    let mut found = Vec::new();
    let mut path = vec!["spec".to_owned()];
    walk(&server.schema["properties"]["spec"], &mut path, &mut found);
    found
}

fn walk(schema: &Value, path: &mut Vec<String>, found: &mut Vec<Found>) {
    let mut down = |name: &str, inner: &Value, required: bool, is_field: bool| {
        path.push(name.to_owned());
        if is_field {
            found.push(Found { path: path.clone(), schema: inner.clone(), required });
        }
        walk(inner, path, found);
        path.pop();
    };
    let required = schema["required"].as_array().cloned().unwrap_or_default();
    for (name, inner) in schema["properties"].as_object().into_iter().flatten() {
        down(name, inner, required.contains(&json!(name)), true);
    }
    if let Some(inner) = schema.get("items") {
        down("[]", inner, false, false);
    }
    if let Some(inner) = schema.get("additionalProperties") {
        down("{}", inner, false, false);
    }
}

/// A document with this value at the path, or without it, and with all that must be there on the way.
pub(crate) fn with(server: &Server, path: &[String], value: Option<Value>) -> Value {
    let mut document = least(&server.schema);
    document["apiVersion"] = json!("cilium.io/v1alpha1");
    document["kind"] = json!("TracingPolicy");
    document["metadata"] = json!({ "name": "p" });
    put(&server.schema, &mut document, path, value);
    document
}

fn put(schema: &Value, at: &mut Value, path: &[String], value: Option<Value>) {
    let (first, rest) = path.split_first().unwrap();
    let inner = match first.as_str() {
        "[]" => &schema["items"],
        "{}" => &schema["additionalProperties"],
        name => schema["properties"].get(name).unwrap_or(&Value::Null),
    };
    if first == "[]" {
        let entries = at.as_array_mut().unwrap();
        if entries.is_empty() {
            entries.push(least(inner));
        }
        return put(inner, &mut entries[0], rest, value);
    }
    let name = if first == "{}" { "key" } else { first };
    let fields = at.as_object_mut().unwrap();
    if rest.is_empty() {
        fields.remove(name);
        fields.extend(value.map(|value| (name.to_owned(), value)));
        return;
    }
    put(inner, fields.entry(name).or_insert_with(|| least(inner)), rest, value);
}

/// The smallest value that a schema takes.
fn least(schema: &Value) -> Value {
    if let Some(word) = schema["enum"].as_array().and_then(|words| words.first()) {
        return word.clone();
    }
    match schema["type"].as_str().unwrap() {
        "object" => {
            let required = schema["required"].as_array().into_iter().flatten().filter_map(Value::as_str);
            let fields = required.map(|name| (name.to_owned(), least(&schema["properties"][name])));
            Value::Object(fields.collect::<Map<_, _>>())
        }
        "array" => json!([]),
        "string" => json!("x"),
        "boolean" => json!(false),
        "integer" => json!(0),
        other => panic!("{other}"),
    }
}

/// Values for a field, and whether it takes them.
pub(crate) fn values(schema: &Value) -> Vec<(Value, bool)> {
    let kind = schema["type"].as_str().unwrap();
    let of_types = [
        ("object", json!({})),
        ("array", json!([])),
        ("string", json!("no such word")),
        ("boolean", json!(true)),
        ("integer", json!(7)),
    ];
    let has_words = schema.get("enum").is_some();
    let mut values: Vec<(Value, bool)> = of_types
        .into_iter()
        .filter(|(of, _)| *of != "object" || kind != "object")
        .map(|(of, value)| (value, of == kind && !has_words))
        .collect();
    values.push((least(schema), true));
    values.push((json!(1.5), false));
    for word in schema["enum"].as_array().into_iter().flatten() {
        values.push((word.clone(), true));
        // words are exact
        values.extend(
            word.as_str().filter(|word| !word.is_empty()).map(|word| (json!(format!("{word} ")), false)),
        );
    }
    if kind == "integer" {
        // beyond i64 an API server has no numbers, and the parser takes those of 64 bits
        for (limit, beyond) in [("minimum", -1), ("maximum", 1)] {
            if let Some(limit) = schema[limit].as_i64() {
                values.push((json!(limit), true));
                values.push((json!(limit + beyond), false));
            }
        }
    }
    if kind == "array" {
        values.push((json!([least(&schema["items"])]), true));
        values.push((json!([[]]), schema["items"]["type"] == "array"));
    }
    values
}
