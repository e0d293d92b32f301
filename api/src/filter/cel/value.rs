//! Values at run time: what a message of an event holds, and what is made of it.
#![expect(clippy::wildcard_enum_match_arm, reason = "any other value is none of these")]

use std::borrow::Cow;
use std::cmp::Ordering;
use std::net::IpAddr;
use std::rc::Rc;

use prost_reflect::{DynamicMessage, FieldDescriptor, MapKey, ReflectMessage as _, Value as Field};

use super::address::Cidr;

/// A value. Clones share what is large.
#[derive(Debug, Clone)]
pub(super) enum Value<'e> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(Text<'e>),
    Bytes(Rc<[u8]>),
    /// Nanoseconds since 1970.
    Timestamp(i128),
    /// Nanoseconds.
    Duration(i128),
    Message(Message<'e>),
    List(Rc<[Value<'e>]>),
    Map(Rc<[(Value<'e>, Value<'e>)]>),
    Ip(IpAddr),
    Cidr(Cidr),
}

/// Text of the event, or made.
#[derive(Debug, Clone)]
pub(super) enum Text<'e> {
    Found(&'e str),
    Made(Rc<str>),
}

impl Text<'_> {
    pub(super) fn as_str(&self) -> &str {
        match self {
            Self::Found(text) => text,
            Self::Made(text) => text,
        }
    }
}

/// A message of the event, or one that is not there: all its fields have their defaults.
#[derive(Debug, Clone)]
pub(super) enum Message<'e> {
    Found(&'e DynamicMessage),
    Absent(Rc<DynamicMessage>),
}

const NANOS: i128 = 1_000_000_000;

impl<'e> Message<'e> {
    fn message(&self) -> &DynamicMessage {
        match self {
            Self::Found(message) => message,
            Self::Absent(message) => message,
        }
    }

    /// The value of a field; `None` if there is no such field.
    pub(super) fn field(&self, name: &str) -> Option<Value<'e>> {
        let field = self.message().descriptor().get_field_by_name(name)?;
        if !self.message().has_field(&field) {
            return Some(unset(&field));
        }
        match self {
            Self::Found(message) => match message.get_field(&field) {
                Cow::Borrowed(value) => Some(found(value)),
                Cow::Owned(_) => Some(unset(&field)),
            },
            Self::Absent(_) => Some(unset(&field)),
        }
    }

    /// Whether a field is set; `None` if there is no such field.
    pub(super) fn has(&self, name: &str) -> Option<bool> {
        let field = self.message().descriptor().get_field_by_name(name)?;
        Some(self.message().has_field(&field))
    }
}

/// The value of a field that is not set: that of wrapped numbers is null.
fn unset<'e>(field: &FieldDescriptor) -> Value<'e> {
    if field.is_map() {
        return Value::Map(Rc::new([]));
    }
    if field.is_list() {
        return Value::List(Rc::new([]));
    }
    match Field::default_value_for_field(field) {
        Field::Message(message) if is_wrapper(&message) => Value::Null,
        Field::Message(message) => {
            time(&message).unwrap_or_else(|| Value::Message(Message::Absent(Rc::new(message))))
        }
        Field::String(_) => Value::String(Text::Found("")),
        Field::Bytes(_) => Value::Bytes(Rc::new([])),
        value => scalar(&value),
    }
}

/// A value of the event. Lists and maps are made anew, their elements are not.
fn found(value: &Field) -> Value<'_> {
    match value {
        Field::String(text) => Value::String(Text::Found(text)),
        Field::Bytes(bytes) => Value::Bytes(Rc::from(&**bytes)),
        Field::Message(message) => {
            wrapped(message).or_else(|| time(message)).unwrap_or(Value::Message(Message::Found(message)))
        }
        Field::List(items) => Value::List(items.iter().map(found).collect()),
        Field::Map(entries) => {
            let mut entries: Vec<(&MapKey, &Field)> = entries.iter().collect();
            // In an order that does not change from one time to the next.
            entries.sort_by_key(|(key, _)| key.as_str().unwrap_or_default());
            Value::Map(entries.into_iter().map(|(key, value)| (map_key(key), found(value))).collect())
        }
        value => scalar(value),
    }
}

fn map_key(key: &MapKey) -> Value<'_> {
    match key {
        MapKey::Bool(value) => Value::Bool(*value),
        MapKey::I32(value) => Value::Int((*value).into()),
        MapKey::I64(value) => Value::Int(*value),
        MapKey::U32(value) => Value::Uint((*value).into()),
        MapKey::U64(value) => Value::Uint(*value),
        MapKey::String(text) => Value::String(Text::Found(text)),
    }
}

fn scalar<'e>(value: &Field) -> Value<'e> {
    match value {
        Field::Bool(value) => Value::Bool(*value),
        Field::I32(value) | Field::EnumNumber(value) => Value::Int((*value).into()),
        Field::I64(value) => Value::Int(*value),
        Field::U32(value) => Value::Uint((*value).into()),
        Field::U64(value) => Value::Uint(*value),
        Field::F32(value) => Value::Double((*value).into()),
        Field::F64(value) => Value::Double(*value),
        Field::String(_) | Field::Bytes(_) | Field::Message(_) | Field::List(_) | Field::Map(_) => {
            Value::Null
        }
    }
}

/// Whether it is a number or truth value in a message, as those are that may be missing.
pub(super) fn is_wrapper_name(name: &str) -> bool {
    name.starts_with("google.protobuf.") && name.ends_with("Value")
}

fn is_wrapper(message: &DynamicMessage) -> bool {
    is_wrapper_name(message.descriptor().full_name())
}

fn wrapped(message: &DynamicMessage) -> Option<Value<'_>> {
    if !is_wrapper(message) {
        return None;
    }
    let field = message.descriptor().get_field_by_name("value")?;
    Some(match message.get_field(&field) {
        Cow::Borrowed(value) => found(value),
        Cow::Owned(value) => scalar(&value),
    })
}

fn time<'e>(message: &DynamicMessage) -> Option<Value<'e>> {
    let number = |name: &str| -> Option<i128> {
        let value = message.get_field_by_name(name)?;
        value.as_i64().map(i128::from).or_else(|| value.as_i32().map(i128::from))
    };
    let nanos = || Some(number("seconds")? * NANOS + number("nanos")?);
    match message.descriptor().full_name() {
        "google.protobuf.Timestamp" => nanos().map(Value::Timestamp),
        "google.protobuf.Duration" => nanos().map(Value::Duration),
        _ => None,
    }
}

impl Value<'_> {
    pub(super) fn text(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text.as_str()),
            _ => None,
        }
    }

    /// Whether they are the same; numbers by what they count, whatever their type.
    pub(super) fn equals(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Null, Self::Null) => true,
            (Self::Bool(one), Self::Bool(other)) => one == other,
            (Self::Bytes(one), Self::Bytes(other)) => one == other,
            (Self::Message(one), Self::Message(other)) => one.message() == other.message(),
            (Self::List(one), Self::List(other)) => {
                one.len() == other.len() && one.iter().zip(&**other).all(|(one, other)| one.equals(other))
            }
            (Self::Map(one), Self::Map(other)) => {
                one.len() == other.len()
                    && one
                        .iter()
                        .all(|(key, value)| other.iter().any(|(k, v)| k.equals(key) && v.equals(value)))
            }
            (Self::Ip(one), Self::Ip(other)) => one == other,
            (Self::Cidr(one), Self::Cidr(other)) => one == other,
            _ => self.compare(other) == Some(Ordering::Equal),
        }
    }

    /// Which comes first; `None` where that makes no sense.
    pub(super) fn compare(&self, other: &Self) -> Option<Ordering> {
        match (self, other) {
            (Self::Bool(one), Self::Bool(other)) => Some(one.cmp(other)),
            (Self::String(one), Self::String(other)) => Some(one.as_str().cmp(other.as_str())),
            (Self::Bytes(one), Self::Bytes(other)) => Some(one.cmp(other)),
            (Self::Timestamp(one), Self::Timestamp(other)) | (Self::Duration(one), Self::Duration(other)) => {
                Some(one.cmp(other))
            }
            (Self::Double(one), other) => one.partial_cmp(&other.double()?),
            (one, Self::Double(other)) => one.double()?.partial_cmp(other),
            (one, other) => Some(one.whole()?.cmp(&other.whole()?)),
        }
    }

    fn whole(&self) -> Option<i128> {
        match self {
            Self::Int(value) => Some((*value).into()),
            Self::Uint(value) => Some((*value).into()),
            _ => None,
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "a double is what is asked for")]
    pub(super) fn double(&self) -> Option<f64> {
        match self {
            Self::Double(value) => Some(*value),
            other => other.whole().map(|value| value as f64),
        }
    }
}
