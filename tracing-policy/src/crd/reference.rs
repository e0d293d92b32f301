//! The reference of the language, as Markdown.

use std::fmt::Write as _;

use super::guide::{Default, guide};
use crate::parse::spec_shape;
use crate::schema::{FieldShape, ObjectShape, Shape};

/// A section for each kind of mapping, `spec` first, with a table of its fields.
pub fn reference() -> String {
    let mut objects = Vec::new();
    collect(&spec_shape(), &mut objects);
    let mut text = String::new();
    for object in &objects {
        // writing to a String does not fail
        writeln!(text, "\n## {}\n", title(object)).unwrap_or_default();
        text.push_str("| field | what it takes | default | |\n| --- | --- | --- | --- |\n");
        for field in &object.fields {
            text.push_str(&row(object, field));
        }
    }
    text
}

/// The mappings in the order in which they are met, each once.
fn collect(shape: &Shape, found: &mut Vec<ObjectShape>) {
    match shape {
        Shape::List(inner) | Shape::Map(inner) => collect(inner, found),
        Shape::Object(object) => {
            if found.iter().any(|known| known == object) {
                return;
            }
            found.push(object.clone());
            object.fields.iter().for_each(|field| collect(&field.shape, found));
        }
        Shape::Text | Shape::Boolean | Shape::Integer { .. } | Shape::Word(_) => {}
    }
}

fn title(object: &ObjectShape) -> String {
    object.what.trim_start_matches("an ").trim_start_matches("a ").replace('`', "")
}

fn row(object: &ObjectShape, field: &FieldShape) -> String {
    let (text, default) = guide(object.what, field.name).map_or(("", String::new()), |guide| {
        let default = match guide.default {
            Default::None => String::new(),
            Default::True => "`true`".to_owned(),
            Default::False => "`false`".to_owned(),
            Default::Zero => "`0`".to_owned(),
            Default::Word(word) => format!("`{word}`"),
        };
        (guide.text, default)
    });
    let needed = if field.required { ", required" } else { "" };
    format!("| `{}` | {}{needed} | {default} | {text} |\n", field.name, takes(&field.shape))
}

fn takes(shape: &Shape) -> String {
    match shape {
        Shape::Text => "text".to_owned(),
        Shape::Boolean => "`true` or `false`".to_owned(),
        Shape::Integer { min, max } => format!("whole number, {min} to {max}"),
        Shape::Word(words) => {
            let quoted: Vec<String> =
                words.iter().filter(|word| !word.is_empty()).map(|word| format!("`{word}`")).collect();
            quoted.join(", ")
        }
        Shape::List(entry) if matches!(**entry, Shape::Object(_)) => format!("list of {}", takes(entry)),
        Shape::List(entry) => format!("list: {}", takes(entry)),
        Shape::Map(value) => format!("names to {}", takes(value)),
        Shape::Object(object) => format!("[{0}](#{1})", title(object), anchor(&title(object))),
    }
}

/// What a renderer of Markdown calls a heading.
fn anchor(title: &str) -> String {
    title.to_lowercase().replace(' ', "-")
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use serde_json::Value;

    use super::*;
    use crate::crd::definition;
    use crate::schema::PolicyKind;

    fn fields_of(section: &str) -> BTreeSet<&str> {
        section.lines().filter_map(|line| line.strip_prefix("| `")?.split('`').next()).collect()
    }

    /// Looks for a table of exactly the fields of each mapping; how many mappings there are.
    fn walk(node: &Value, tables: &[BTreeSet<&str>]) -> usize {
        let fields = node["properties"].as_object();
        if let Some(fields) = fields {
            let names: BTreeSet<&str> = fields.keys().map(String::as_str).collect();
            assert!(tables.contains(&names), "{names:?}");
        }
        let inner = [&node["items"], &node["additionalProperties"]].into_iter();
        let inner = inner.chain(fields.into_iter().flat_map(serde_json::Map::values));
        usize::from(fields.is_some())
            + inner.filter(|node| node.is_object()).map(|node| walk(node, tables)).sum::<usize>()
    }

    // proves: DOC-03
    #[test]
    fn every_mapping_of_the_definition_has_a_table_of_its_fields() {
        let text = reference();
        let tables: Vec<BTreeSet<&str>> = text.split("\n## ").map(fields_of).collect();
        let definition = definition(PolicyKind::Cluster);
        let spec = &definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"];
        let mappings = walk(spec, &tables);
        assert!(mappings > 30, "{mappings}");
    }

    #[test]
    fn every_link_leads_to_a_heading_and_every_field_has_a_sentence() {
        let text = reference();
        let headings: Vec<String> =
            text.lines().filter_map(|line| line.strip_prefix("## ")).map(anchor).collect();
        for link in text.split("](#").skip(1) {
            let target = link.split(')').next().unwrap_or_default();
            assert!(headings.iter().any(|heading| heading == target), "#{target}");
        }
        for row in text.lines().filter(|line| line.starts_with("| `")) {
            assert!(!row.ends_with("|  |"), "{row}");
        }
    }
}
