//! Whether an expression makes sense: its names are there, its fields are those of the messages, and its result is true or false.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "what is not named has a type that the operation is not for"
)]

use prost_reflect::{EnumDescriptor, FieldDescriptor, Kind as FieldKind, MessageDescriptor};

use super::function::Made;
use super::syntax::{Comprehension, Expr, Kind, Operator};
use super::value::is_wrapper_name;
use crate::json::descriptor;
use crate::wire::GetEventsResponse;

/// What is known of a value before there is one.
#[derive(Debug, Clone, PartialEq)]
enum Type {
    /// Nothing.
    Any,
    Bool,
    Int,
    Uint,
    Double,
    String,
    Bytes,
    Message(MessageDescriptor),
    List(Box<Type>),
    /// From words to values of this type.
    Map(Box<Type>),
}

impl Type {
    /// Values of different kinds are never equal; `None`: not known.
    fn kind(&self) -> Option<u8> {
        match self {
            Self::Any => None,
            Self::Bool => Some(0),
            Self::Int | Self::Uint | Self::Double => Some(1),
            Self::String => Some(2),
            Self::Bytes => Some(3),
            Self::Message(_) => Some(4),
            Self::List(_) => Some(5),
            Self::Map(_) => Some(6),
        }
    }
}

type Checked = Result<Type, String>;

/// Checks an expression, and puts numbers in place of the names of enumerations. The events that it speaks of.
///
/// # Errors
///
/// The first thing that makes no sense.
pub(super) fn expression(root: &mut Expr) -> Result<Vec<String>, String> {
    let mut checker = Checker { events: Vec::new(), scope: Vec::new() };
    let made = checker.check(root)?;
    if !matches!(made, Type::Bool | Type::Any) {
        return Err("it is neither true nor false".to_owned());
    }
    Ok(checker.events)
}

struct Checker {
    events: Vec<String>,
    /// Names of elements, the innermost last.
    scope: Vec<(String, Type)>,
}

impl Checker {
    fn check(&mut self, expr: &mut Expr) -> Checked {
        if let Some(number) = self.enumeration(expr) {
            *expr = Expr::Int(number.into());
        }
        match expr {
            Expr::Null => Ok(Type::Any),
            Expr::Bool(_) => Ok(Type::Bool),
            Expr::Int(_) => Ok(Type::Int),
            Expr::Uint(_) => Ok(Type::Uint),
            Expr::Double(_) => Ok(Type::Double),
            Expr::String(_) => Ok(Type::String),
            Expr::Bytes(_) => Ok(Type::Bytes),
            Expr::Name(name) => self.name(name),
            Expr::Select(of, field) => {
                let of = self.check(of)?;
                member(&of, field)
            }
            Expr::Has(of, field) => {
                let of = self.check(of)?;
                member(&of, field).map(|_| Type::Bool)
            }
            Expr::Index(of, index) => {
                let (of, _) = (self.check(of)?, self.check(index)?);
                match of {
                    Type::List(element) | Type::Map(element) => Ok(*element),
                    Type::Any => Ok(Type::Any),
                    _ => Err("[…] is for lists and maps".to_owned()),
                }
            }
            Expr::List(items) => {
                let types = items.iter_mut().map(|item| self.check(item)).collect::<Result<Vec<_>, _>>()?;
                let first = types.first().cloned().unwrap_or(Type::Any);
                let same = types.iter().all(|each| *each == first);
                Ok(Type::List(Box::new(if same { first } else { Type::Any })))
            }
            Expr::Map(entries) => {
                for (key, value) in entries {
                    self.check(key)?;
                    self.check(value)?;
                }
                Ok(Type::Map(Box::new(Type::Any)))
            }
            Expr::Not(inner) => self.truth(inner),
            Expr::All(parts) | Expr::Any(parts) => {
                parts.iter_mut().try_for_each(|part| self.truth(part).map(drop))?;
                Ok(Type::Bool)
            }
            Expr::Negative(inner) => self.check(inner),
            Expr::Binary(operator, left, right) => {
                let (left, right) = (self.check(left)?, self.check(right)?);
                binary(*operator, &left, &right)
            }
            Expr::Conditional(parts) => {
                let [condition, then, otherwise] = &mut **parts;
                self.truth(condition)?;
                let (then, otherwise) = (self.check(then)?, self.check(otherwise)?);
                Ok(if then == otherwise { then } else { Type::Any })
            }
            Expr::Matches(of, _) => match self.check(of)? {
                Type::String | Type::Any => Ok(Type::Bool),
                _ => Err("matches() is for strings".to_owned()),
            },
            Expr::Call(function, arguments) => {
                arguments.iter_mut().try_for_each(|argument| self.check(argument).map(drop))?;
                Ok(match function.made() {
                    Made::Bool => Type::Bool,
                    Made::Int => Type::Int,
                    Made::Uint => Type::Uint,
                    Made::Double => Type::Double,
                    Made::String => Type::String,
                    Made::Bytes => Type::Bytes,
                    Made::Other => Type::Any,
                })
            }
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
        }
    }

    /// A part that must be true or false.
    fn truth(&mut self, expr: &mut Expr) -> Checked {
        match self.check(expr)? {
            Type::Bool | Type::Any => Ok(Type::Bool),
            _ => Err("!, &&, || and ? are for what is true or false".to_owned()),
        }
    }

    fn name(&mut self, name: &str) -> Checked {
        if let Some((_, known)) = self.scope.iter().rev().find(|(known, _)| known == name) {
            return Ok(known.clone());
        }
        let message = event_message(name)
            .ok_or_else(|| format!("there is no {name}; events have names such as process_exec"))?;
        if !self.events.iter().any(|known| known == name) {
            self.events.push(name.to_owned());
        }
        Ok(Type::Message(message))
    }

    fn comprehension(&mut self, comprehension: &mut Comprehension) -> Checked {
        let Comprehension { kind, range, variable, condition, result } = comprehension;
        let range = self.check(range)?;
        let element = match &range {
            Type::List(element) => (**element).clone(),
            Type::Map(_) => Type::String,
            Type::Any => Type::Any,
            _ => return Err("all(), exists(), map() and filter() are for lists and maps".to_owned()),
        };
        self.scope.push((variable.clone(), element.clone()));
        self.truth(condition)?;
        let result = result.as_mut().map(|result| self.check(result)).transpose()?;
        self.scope.pop();
        Ok(match kind {
            Kind::All | Kind::Exists | Kind::ExistsOne => Type::Bool,
            Kind::Filter | Kind::Map => Type::List(Box::new(result.unwrap_or(element))),
        })
    }

    /// The number of a name such as `KprobeAction.KPROBE_ACTION_POST`, with the package before it or without.
    fn enumeration(&self, expr: &Expr) -> Option<i32> {
        let Expr::Select(of, value) = expr else { return None };
        let name = match &**of {
            Expr::Name(name) => name,
            Expr::Select(package, name) if matches!(&**package, Expr::Name(it) if it == "tetragon") => name,
            _ => return None,
        };
        if self.scope.iter().any(|(known, _)| known == name) {
            return None;
        }
        let pool = descriptor::<GetEventsResponse>().parent_pool().clone();
        let found: EnumDescriptor = pool.get_enum_by_name(&format!("tetragon.{name}"))?;
        Some(found.get_value_by_name(value)?.number())
    }
}

/// The type of a field of a message or of a value of a map.
fn member(of: &Type, name: &str) -> Checked {
    match of {
        Type::Any => Ok(Type::Any),
        Type::Map(value) => Ok((**value).clone()),
        Type::Message(message) => {
            let field = message.get_field_by_name(name);
            let field = field.ok_or_else(|| format!("{} has no field {name}", message.name()))?;
            Ok(field_type(&field))
        }
        _ => Err(format!(".{name}: there are no fields in this")),
    }
}

fn field_type(field: &FieldDescriptor) -> Type {
    if field.is_map() {
        return Type::Map(Box::new(match field.kind() {
            FieldKind::Message(entry) => kind_type(entry.map_entry_value_field().kind()),
            _ => Type::Any,
        }));
    }
    let element = kind_type(field.kind());
    if field.is_list() { Type::List(Box::new(element)) } else { element }
}

fn kind_type(kind: FieldKind) -> Type {
    match kind {
        FieldKind::Bool => Type::Bool,
        FieldKind::String => Type::String,
        FieldKind::Bytes => Type::Bytes,
        FieldKind::Double | FieldKind::Float => Type::Double,
        FieldKind::Uint32 | FieldKind::Uint64 | FieldKind::Fixed32 | FieldKind::Fixed64 => Type::Uint,
        FieldKind::Int32
        | FieldKind::Int64
        | FieldKind::Sint32
        | FieldKind::Sint64
        | FieldKind::Sfixed32
        | FieldKind::Sfixed64
        | FieldKind::Enum(_) => Type::Int,
        // Numbers that may be missing, and times.
        FieldKind::Message(message) => {
            let name = message.full_name();
            let is_time = name == "google.protobuf.Timestamp" || name == "google.protobuf.Duration";
            if is_time || is_wrapper_name(name) { Type::Any } else { Type::Message(message) }
        }
    }
}

fn binary(operator: Operator, left: &Type, right: &Type) -> Checked {
    let (left_kind, right_kind) = match (operator, right) {
        (Operator::In, Type::List(element)) => (left.kind(), element.kind()),
        (Operator::In, Type::Map(_)) => (left.kind(), Type::String.kind()),
        (Operator::In, Type::Any) => (None, None),
        (Operator::In, _) => return Err("in is for lists and maps".to_owned()),
        _ => (left.kind(), right.kind()),
    };
    if let (Some(left), Some(right)) = (left_kind, right_kind)
        && left != right
    {
        return Err(format!("{operator:?} is between values of different types, and never holds"));
    }
    Ok(if operator.compares() { Type::Bool } else { left.clone() })
}

/// The message of the event with that name.
fn event_message(name: &str) -> Option<MessageDescriptor> {
    let field = descriptor::<GetEventsResponse>().get_field_by_name(name)?;
    field.containing_oneof()?;
    field.kind().as_message().cloned()
}
