//! Reading single values: text, bytes, booleans, numbers, words.

use super::fields::{FromNode, shortened, suggestion, wrong_type};
use super::node::{Node, NodeValue, PlainType, plain_type};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::schema::{Shape, Word};
use crate::source::Spanned;

/// What one scalar can be read as.
pub(super) trait FromScalar: Sized {
    /// Reads `node`, or says why it cannot be.
    fn read(node: &Node, field: &str) -> Result<Self, Diagnostic>;

    /// What it is read from.
    fn shape() -> Shape {
        Shape::Text
    }
}

impl<T: FromScalar> FromNode for Spanned<T> {
    fn from_node(node: &Node, field: &str, report: &mut Report) -> Option<Self> {
        match T::read(node, field) {
            Ok(value) => Some(Self::new(value, node.span)),
            Err(error) => {
                report.push(error);
                None
            }
        }
    }

    fn shape() -> Shape {
        T::shape()
    }
}

/// Text. What YAML would take for a number or a boolean has to be quoted, as for an API server.
fn text<'n>(node: &'n Node, field: &str) -> Result<&'n str, Diagnostic> {
    match &node.value {
        NodeValue::Text(text) => Ok(text),
        NodeValue::Plain(text) if plain_type(text) == PlainType::String => Ok(text),
        NodeValue::Plain(text) => {
            let error = wrong_type(node, field, "text");
            Err(error.help(format!("put it in quotes: \"{}\"", shortened(text))))
        }
        NodeValue::Binary(_) | NodeValue::Sequence(_) | NodeValue::Mapping(_) | NodeValue::Question(_) => {
            Err(wrong_type(node, field, "text"))
        }
    }
}

impl FromScalar for String {
    fn read(node: &Node, field: &str) -> Result<Self, Diagnostic> {
        text(node, field).map(ToOwned::to_owned)
    }
}

impl FromScalar for Vec<u8> {
    fn read(node: &Node, field: &str) -> Result<Self, Diagnostic> {
        if let NodeValue::Binary(bytes) = &node.value {
            return Ok(bytes.clone());
        }
        text(node, field).map(|text| text.as_bytes().to_vec())
    }
}

impl FromScalar for bool {
    fn read(node: &Node, field: &str) -> Result<Self, Diagnostic> {
        if let NodeValue::Plain(text) = &node.value
            && plain_type(text) == PlainType::Bool
        {
            return Ok(text.eq_ignore_ascii_case("true"));
        }
        Err(wrong_type(node, field, "true or false"))
    }

    fn shape() -> Shape {
        Shape::Boolean
    }
}

/// A whole number of YAML's core schema between `min` and `max`.
fn integer(node: &Node, field: &str, min: i128, max: i128) -> Result<i128, Diagnostic> {
    let expected = format!("a whole number from {min} to {max}");
    let NodeValue::Plain(text) = &node.value else { return Err(wrong_type(node, field, &expected)) };
    let number = if let Some(hex) = text.strip_prefix("0x") {
        i128::from_str_radix(hex, 16)
    } else if let Some(octal) = text.strip_prefix("0o") {
        i128::from_str_radix(octal, 8)
    } else {
        text.parse()
    };
    match number {
        Ok(number) if (min..=max).contains(&number) => Ok(number),
        Ok(number) => {
            let message = format!("`{field}` is {number}, it must be {expected}");
            Err(Diagnostic::error(Code::WrongType, node.span, message))
        }
        Err(_) => Err(wrong_type(node, field, &expected)),
    }
}

macro_rules! integers {
    ($($ty:ty)+) => {$(
        impl FromScalar for $ty {
            fn read(node: &Node, field: &str) -> Result<Self, Diagnostic> {
                let number = integer(node, field, i128::from(Self::MIN), i128::from(Self::MAX))?;
                Self::try_from(number).map_err(|_out_of_range| wrong_type(node, field, "a smaller number"))
            }

            fn shape() -> Shape {
                Shape::Integer { min: i128::from(Self::MIN), max: i128::from(Self::MAX) }
            }
        }
    )+};
}

integers! { u32 i32 u64 }

/// A word of an enum of the schema.
pub(super) fn word<W: Word>(node: &Node, field: &str) -> Result<W, Diagnostic> {
    let text = text(node, field)?;
    W::from_word(text).ok_or_else(|| {
        let known = W::WORDS.iter().map(|(word, _)| *word);
        let message = format!("there is no {} `{}`", W::WHAT, shortened(text));
        let help = suggestion(text, known, "known are");
        Diagnostic::error(Code::UnknownWord, node.span, message).help(help)
    })
}

macro_rules! words {
    ($($ty:ty)+) => {$(
        impl FromScalar for $ty {
            fn read(node: &Node, field: &str) -> Result<Self, Diagnostic> {
                word(node, field)
            }

            fn shape() -> Shape {
                Shape::Word(<$ty as Word>::WORDS.iter().map(|(word, _)| *word).collect())
            }
        }
    )+};
}

words! {
    crate::schema::ActionKind crate::schema::ArgumentSource crate::schema::ArgumentType
    crate::schema::CapabilitySet crate::schema::LabelOperator crate::schema::ListType
    crate::schema::Membership crate::schema::Namespace crate::schema::Operator
    crate::schema::RateLimitScope
}
