//! The tree of nodes a text is read into.

use std::cell::RefCell;

use crate::schema::ObjectShape;
use crate::source::Span;

/// A piece of a document and its place.
#[derive(Debug, Clone)]
pub(super) struct Node {
    /// Its place. A block mapping or sequence ends where its last child does.
    pub(super) span: Span,
    /// What it is.
    pub(super) value: NodeValue,
}

/// What a node is.
#[derive(Debug, Clone)]
pub(super) enum NodeValue {
    /// Text without quotes or tag, whose type YAML's core schema would guess.
    Plain(String),
    /// Text in quotes, in a block, or tagged `!!str`: a string whatever it looks like.
    Text(String),
    /// Bytes, tagged `!!binary`.
    Binary(Vec<u8>),
    /// A list.
    Sequence(Vec<Node>),
    /// Keys and values in the order of the text, no key twice.
    Mapping(Vec<Entry>),
    /// No part of any text: notes which fields are asked for, and has none.
    Question(RefCell<Option<ObjectShape>>),
}

/// A key and its value.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// The key.
    pub(super) key: String,
    /// The place of the key.
    pub(super) key_span: Span,
    /// The value.
    pub(super) value: Node,
}

/// What YAML's core schema takes a plain scalar for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum PlainType {
    /// `null`, `~` or nothing at all.
    Null,
    /// `true` or `false`.
    Bool,
    /// A whole number or a fraction.
    Number,
    /// Anything else.
    String,
}

/// What YAML's core schema takes `text` for.
pub(super) fn plain_type(text: &str) -> PlainType {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => PlainType::Null,
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => PlainType::Bool,
        ".nan" | ".NaN" | ".NAN" => PlainType::Number,
        _ if is_number(text) => PlainType::Number,
        _ => PlainType::String,
    }
}

fn is_number(text: &str) -> bool {
    let digits = |digits: &str, radix: u32| !digits.is_empty() && digits.chars().all(|c| c.is_digit(radix));
    if let Some(hex) = text.strip_prefix("0x") {
        return digits(hex, 16);
    }
    if let Some(octal) = text.strip_prefix("0o") {
        return digits(octal, 8);
    }
    let unsigned = text.strip_prefix(['+', '-']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") {
        return true;
    }
    // Rust's float grammar is the core schema's, plus "inf" and "nan" which have no digit.
    unsigned.bytes().any(|byte| byte.is_ascii_digit())
        && unsigned
            .bytes()
            .all(|byte| byte.is_ascii_digit() || matches!(byte, b'.' | b'e' | b'E' | b'+' | b'-'))
        && unsigned.parse::<f64>().is_ok()
}

impl Node {
    /// Whether it is a plain `null`, which counts as absent.
    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, NodeValue::Plain(text) if plain_type(text) == PlainType::Null)
    }

    /// What it is, in words, for messages.
    pub(super) fn describe(&self) -> &'static str {
        match &self.value {
            NodeValue::Plain(text) => match plain_type(text) {
                PlainType::Null => "nothing",
                PlainType::Bool => "a boolean",
                PlainType::Number => "a number",
                PlainType::String => "text",
            },
            NodeValue::Text(_) => "text",
            NodeValue::Binary(_) => "bytes",
            NodeValue::Sequence(_) => "a list",
            NodeValue::Mapping(_) | NodeValue::Question(_) => "a mapping",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_scalar_has_the_type_of_the_core_schema() {
        for (text, expected) in [
            ("", PlainType::Null),
            ("~", PlainType::Null),
            ("True", PlainType::Bool),
            ("yes", PlainType::String),
            ("-1", PlainType::Number),
            ("0x1F", PlainType::Number),
            ("0o17", PlainType::Number),
            ("1e3", PlainType::Number),
            ("-.inf", PlainType::Number),
            ("inf", PlainType::String),
            ("127.0.0.1", PlainType::String),
            ("1:2", PlainType::String),
            ("-", PlainType::String),
            ("/etc", PlainType::String),
        ] {
            assert_eq!(plain_type(text), expected, "{text:?}");
        }
    }
}
