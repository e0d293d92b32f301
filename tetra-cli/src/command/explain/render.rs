//! A schema as text, in the layout of `kubectl explain`.

use std::fmt::Write as _;

use serde_json::{Map, Value};

const INDENT: &str = "     ";

/// What is described.
#[derive(Debug, Clone, Copy)]
pub(super) struct Subject<'a> {
    /// Kind of the resource.
    pub(super) kind: &'a str,
    /// Version of the resource.
    pub(super) version: &'a str,
    /// Name of the field; none of the resource itself.
    pub(super) field: Option<&'a str>,
    /// Its schema.
    pub(super) schema: &'a Value,
    /// An example of it, as YAML.
    pub(super) example: Option<&'a str>,
    /// Whether to describe the fields of fields.
    pub(super) recursive: bool,
}

/// The description.
pub(super) fn text(subject: Subject<'_>) -> String {
    let mut text = format!("KIND:     {}\nVERSION:  {}\n\n", subject.kind, subject.version);
    let mut add = |part: String| text.push_str(&part);
    if let Some(field) = subject.field {
        add(format!("FIELD:    {field} <{}>\n\n", type_name(subject.schema)));
    }
    if let Some(description) = description(subject.schema) {
        add(format!("DESCRIPTION:\n{}\n\n", indented(description, INDENT)));
    }
    if let Some(example) = subject.example {
        add(format!("EXAMPLE:\n{}\n", indented(example, INDENT)));
    }
    let schema = entry(subject.schema);
    if let Some(properties) = properties(schema) {
        add("FIELDS:\n".to_owned());
        fields(&mut text, schema, properties, subject.recursive, 0);
    } else if let Some(value) = schema.get("additionalProperties") {
        add(format!("FIELDS:\n   <map[string]{}>\n\n", type_name(value)));
    }
    text
}

fn fields(text: &mut String, schema: &Value, properties: &Map<String, Value>, recursive: bool, depth: usize) {
    let required: Vec<_> = schema.get("required").and_then(Value::as_array).into_iter().flatten().collect();
    let begin = "  ".repeat(depth);
    // The order of the alphabet, in which `serde_json` keeps them.
    for (name, property) in properties {
        let mark = if required.iter().any(|required| *required == name) { " -required-" } else { "" };
        writeln!(text, "{begin}   {name}\t<{}>{mark}", type_name(property)).expect("a String takes all text");
        if let Some(description) = description(property) {
            writeln!(text, "{}", indented(description, &format!("{begin}{INDENT}")))
                .expect("a String takes all text");
        }
        let inner = entry(property);
        if let (true, Some(inner_properties)) = (recursive, self::properties(inner)) {
            fields(text, inner, inner_properties, recursive, depth + 1);
        }
        text.push('\n');
    }
}

/// The schema of a list's entries; any other schema is its own.
pub(super) fn entry(schema: &Value) -> &Value {
    schema.get("items").unwrap_or(schema)
}

/// The fields of an object.
pub(super) fn properties(schema: &Value) -> Option<&Map<String, Value>> {
    schema.get("properties")?.as_object().filter(|properties| !properties.is_empty())
}

fn description(schema: &Value) -> Option<&str> {
    schema.get("description")?.as_str()
}

fn type_name(schema: &Value) -> String {
    match (schema.get("type").and_then(Value::as_str), schema.get("additionalProperties")) {
        (Some("array"), _) => format!("[]{}", type_name(entry(schema))),
        (Some("object"), Some(value)) => format!("map[string]{}", type_name(value)),
        (Some(name), _) => name.to_owned(),
        (None, _) => "object".to_owned(),
    }
}

fn indented(text: &str, begin: &str) -> String {
    let lines =
        text.lines().map(|line| if line.is_empty() { String::new() } else { format!("{begin}{line}") });
    lines.collect::<Vec<_>>().join("\n")
}
