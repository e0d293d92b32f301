//! What an expression is of one event, in a bounded number of steps.
#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "what is not named is a value that the operation is not for"
)]

use std::net::IpAddr;
use std::rc::Rc;

use prost_reflect::DynamicMessage;

use super::address::{self, Cidr};
use super::function::Function;
use super::syntax::{Comprehension, Expr, Kind, Operator};
use super::value::{Message, Text, Value};
use crate::name::parse_duration;

/// Most steps for one event: parts that are looked at, and what they go through.
const STEPS: usize = 20_000;
/// Bytes of text that are gone through in one step.
const STEP_BYTES: usize = 64;
/// Longest text that is made, in bytes.
const MAX_TEXT: usize = 64 << 10;

/// Why there is no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fault {
    /// It took too many steps.
    Exhausted,
    /// There is none: an element that is not there, values of the wrong type, a number that is too large.
    NoValue,
}

type Found<'e> = Result<Value<'e>, Fault>;

/// Whether the expression is true of the event that `variable` names.
pub(super) fn is_true(root: &Expr, variable: &str, event: &DynamicMessage) -> bool {
    let mut machine = Machine { left: STEPS, variable, event, scope: Vec::new() };
    matches!(machine.value(root), Ok(Value::Bool(true)))
}

struct Machine<'x, 'e> {
    /// Steps that are left.
    left: usize,
    variable: &'x str,
    event: &'e DynamicMessage,
    /// Elements by name, the innermost last.
    scope: Vec<(&'x str, Value<'e>)>,
}

impl<'x, 'e> Machine<'x, 'e> {
    fn spend(&mut self, steps: usize) -> Result<(), Fault> {
        self.left = self.left.checked_sub(steps).ok_or(Fault::Exhausted)?;
        Ok(())
    }

    fn value(&mut self, expr: &'x Expr) -> Found<'e> {
        self.spend(1)?;
        match expr {
            Expr::Null => Ok(Value::Null),
            Expr::Bool(value) => Ok(Value::Bool(*value)),
            Expr::Int(value) => Ok(Value::Int(*value)),
            Expr::Uint(value) => Ok(Value::Uint(*value)),
            Expr::Double(value) => Ok(Value::Double(*value)),
            Expr::String(text) => self.made(text),
            Expr::Bytes(bytes) => {
                self.spend(bytes.len() / STEP_BYTES)?;
                Ok(Value::Bytes(Rc::from(&**bytes)))
            }
            Expr::Name(name) => self.name(name),
            Expr::Select(of, field) => {
                let of = self.value(of)?;
                self.member(&of, field)
            }
            Expr::Has(of, field) => {
                let of = self.value(of)?;
                self.has(&of, field)
            }
            Expr::Index(of, index) => {
                let (of, index) = (self.value(of)?, self.value(index)?);
                self.element(&of, &index)
            }
            Expr::List(items) => {
                let items: Result<Vec<_>, _> = items.iter().map(|item| self.value(item)).collect();
                Ok(Value::List(items?.into()))
            }
            Expr::Map(entries) => {
                let mut made = Vec::with_capacity(entries.len());
                for (key, value) in entries {
                    made.push((self.value(key)?, self.value(value)?));
                }
                Ok(Value::Map(made.into()))
            }
            Expr::Not(inner) => self.truth(inner).map(|truth| Value::Bool(!truth)),
            Expr::All(parts) => self.decide(parts, false).map(Value::Bool),
            Expr::Any(parts) => self.decide(parts, true).map(Value::Bool),
            Expr::Negative(inner) => match self.value(inner)? {
                Value::Int(value) => value.checked_neg().map(Value::Int).ok_or(Fault::NoValue),
                Value::Double(value) => Ok(Value::Double(-value)),
                _ => Err(Fault::NoValue),
            },
            Expr::Binary(operator, left, right) => {
                let (left, right) = (self.value(left)?, self.value(right)?);
                self.binary(*operator, &left, &right)
            }
            Expr::Conditional(parts) => {
                let [condition, then, otherwise] = &**parts;
                if self.truth(condition)? { self.value(then) } else { self.value(otherwise) }
            }
            Expr::Matches(of, pattern) => {
                let of = self.value(of)?;
                let text = of.text().ok_or(Fault::NoValue)?;
                self.spend(text.len() / STEP_BYTES)?;
                Ok(Value::Bool(pattern.is_match(text)))
            }
            Expr::Call(function, arguments) => {
                let first = self.value(arguments.first().ok_or(Fault::NoValue)?)?;
                match arguments.get(1) {
                    None => self.of_one(*function, first),
                    Some(second) => {
                        let second = self.value(second)?;
                        self.of_two(*function, &first, &second)
                    }
                }
            }
            Expr::Comprehension(comprehension) => self.comprehension(comprehension),
        }
    }

    fn made(&mut self, text: &str) -> Found<'e> {
        self.spend(text.len() / STEP_BYTES)?;
        if text.len() > MAX_TEXT { Err(Fault::Exhausted) } else { Ok(Value::String(Text::Made(text.into()))) }
    }

    fn name(&self, name: &str) -> Found<'e> {
        if let Some((_, value)) = self.scope.iter().rev().find(|(known, _)| *known == name) {
            return Ok(value.clone());
        }
        if name == self.variable {
            Ok(Value::Message(Message::Found(self.event)))
        } else {
            Err(Fault::NoValue)
        }
    }

    fn truth(&mut self, expr: &'x Expr) -> Result<bool, Fault> {
        match self.value(expr)? {
            Value::Bool(truth) => Ok(truth),
            _ => Err(Fault::NoValue),
        }
    }

    /// Looks for a part that is `decisive`, and then the others do not matter, whether they have a value or not.
    fn decide(&mut self, parts: &'x [Expr], decisive: bool) -> Result<bool, Fault> {
        let mut missing = None;
        for part in parts {
            match self.truth(part) {
                Ok(truth) if truth == decisive => return Ok(decisive),
                Ok(_) => {}
                Err(Fault::Exhausted) => return Err(Fault::Exhausted),
                Err(fault) => missing = Some(fault),
            }
        }
        missing.map_or(Ok(!decisive), Err)
    }

    fn member(&mut self, of: &Value<'e>, name: &str) -> Found<'e> {
        let value = match of {
            Value::Message(message) => message.field(name),
            Value::Map(entries) => {
                self.spend(entries.len())?;
                entries.iter().find(|(key, _)| key.text() == Some(name)).map(|(_, value)| value.clone())
            }
            _ => None,
        };
        let value = value.ok_or(Fault::NoValue)?;
        // What was made anew for this.
        self.spend(match &value {
            Value::List(items) => items.len(),
            Value::Map(entries) => entries.len(),
            Value::Bytes(bytes) => bytes.len() / STEP_BYTES,
            _ => 0,
        })?;
        Ok(value)
    }

    fn has(&mut self, of: &Value<'e>, name: &str) -> Found<'e> {
        match of {
            Value::Message(message) => message.has(name).map(Value::Bool).ok_or(Fault::NoValue),
            Value::Map(entries) => {
                self.spend(entries.len())?;
                Ok(Value::Bool(entries.iter().any(|(key, _)| key.text() == Some(name))))
            }
            _ => Err(Fault::NoValue),
        }
    }

    fn element(&mut self, of: &Value<'e>, index: &Value<'e>) -> Found<'e> {
        match (of, index) {
            (Value::List(items), Value::Int(_) | Value::Uint(_)) => {
                let at = match index {
                    Value::Int(at) => usize::try_from(*at).ok(),
                    Value::Uint(at) => usize::try_from(*at).ok(),
                    _ => None,
                };
                at.and_then(|at| items.get(at)).cloned().ok_or(Fault::NoValue)
            }
            (Value::Map(entries), key) => {
                self.spend(entries.len())?;
                let found = entries.iter().find(|(known, _)| known.equals(key));
                found.map(|(_, value)| value.clone()).ok_or(Fault::NoValue)
            }
            _ => Err(Fault::NoValue),
        }
    }

    fn binary(&mut self, operator: Operator, left: &Value<'e>, right: &Value<'e>) -> Found<'e> {
        self.spend(size(left) + size(right))?;
        let order = || left.compare(right).ok_or(Fault::NoValue);
        Ok(Value::Bool(match operator {
            Operator::Equal => left.equals(right),
            Operator::NotEqual => !left.equals(right),
            Operator::Less => order()?.is_lt(),
            Operator::LessOrEqual => order()?.is_le(),
            Operator::Greater => order()?.is_gt(),
            Operator::GreaterOrEqual => order()?.is_ge(),
            Operator::In => match right {
                Value::List(items) => items.iter().any(|item| item.equals(left)),
                Value::Map(entries) => entries.iter().any(|(key, _)| key.equals(left)),
                _ => return Err(Fault::NoValue),
            },
            Operator::Add
            | Operator::Subtract
            | Operator::Multiply
            | Operator::Divide
            | Operator::Remainder => {
                return self.reckon(operator, left, right);
            }
        }))
    }

    fn reckon(&mut self, operator: Operator, left: &Value<'e>, right: &Value<'e>) -> Found<'e> {
        use Operator::{Add, Divide, Multiply, Remainder, Subtract};
        let made = match (operator, left, right) {
            (Add, Value::Int(a), Value::Int(b)) => a.checked_add(*b).map(Value::Int),
            (Subtract, Value::Int(a), Value::Int(b)) => a.checked_sub(*b).map(Value::Int),
            (Multiply, Value::Int(a), Value::Int(b)) => a.checked_mul(*b).map(Value::Int),
            (Divide, Value::Int(a), Value::Int(b)) => a.checked_div(*b).map(Value::Int),
            (Remainder, Value::Int(a), Value::Int(b)) => a.checked_rem(*b).map(Value::Int),
            (Add, Value::Uint(a), Value::Uint(b)) => a.checked_add(*b).map(Value::Uint),
            (Subtract, Value::Uint(a), Value::Uint(b)) => a.checked_sub(*b).map(Value::Uint),
            (Multiply, Value::Uint(a), Value::Uint(b)) => a.checked_mul(*b).map(Value::Uint),
            (Divide, Value::Uint(a), Value::Uint(b)) => a.checked_div(*b).map(Value::Uint),
            (Remainder, Value::Uint(a), Value::Uint(b)) => a.checked_rem(*b).map(Value::Uint),
            (Add, Value::Double(a), Value::Double(b)) => Some(Value::Double(a + b)),
            (Subtract, Value::Double(a), Value::Double(b)) => Some(Value::Double(a - b)),
            (Multiply, Value::Double(a), Value::Double(b)) => Some(Value::Double(a * b)),
            (Divide, Value::Double(a), Value::Double(b)) => Some(Value::Double(a / b)),
            (Add, Value::String(a), Value::String(b)) => {
                return self.made(&format!("{}{}", a.as_str(), b.as_str()));
            }
            (Add, Value::List(a), Value::List(b)) => {
                Some(Value::List(a.iter().chain(&**b).cloned().collect()))
            }
            (Add, Value::Timestamp(a), Value::Duration(b))
            | (Add, Value::Duration(b), Value::Timestamp(a)) => a.checked_add(*b).map(Value::Timestamp),
            (Subtract, Value::Timestamp(a), Value::Duration(b)) => a.checked_sub(*b).map(Value::Timestamp),
            (Subtract, Value::Timestamp(a), Value::Timestamp(b)) => a.checked_sub(*b).map(Value::Duration),
            (Add, Value::Duration(a), Value::Duration(b)) => a.checked_add(*b).map(Value::Duration),
            (Subtract, Value::Duration(a), Value::Duration(b)) => a.checked_sub(*b).map(Value::Duration),
            _ => None,
        };
        made.ok_or(Fault::NoValue)
    }

    fn of_one(&mut self, function: Function, value: Value<'e>) -> Found<'e> {
        self.spend(size(&value))?;
        let address = || ip_of(&value).ok_or(Fault::NoValue);
        let text = || value.text().ok_or(Fault::NoValue);
        Ok(match function {
            Function::Size => {
                Value::Int(count(&value).and_then(|it| i64::try_from(it).ok()).ok_or(Fault::NoValue)?)
            }
            Function::Int => Value::Int(int(&value).ok_or(Fault::NoValue)?),
            Function::Uint => Value::Uint(uint(&value).ok_or(Fault::NoValue)?),
            Function::Double => Value::Double(
                match value.text() {
                    Some(text) => text.parse().ok(),
                    None => value.double(),
                }
                .ok_or(Fault::NoValue)?,
            ),
            Function::String => return self.string(value),
            Function::Bytes => match &value {
                Value::Bytes(bytes) => Value::Bytes(Rc::clone(bytes)),
                _ => Value::Bytes(Rc::from(text()?.as_bytes())),
            },
            Function::Timestamp => Value::Timestamp(timestamp(&value).ok_or(Fault::NoValue)?),
            Function::Duration => Value::Duration(duration(&value).ok_or(Fault::NoValue)?),
            Function::Dyn => value,
            Function::Ip => match &value {
                Value::Cidr(cidr) => Value::Ip(cidr.address),
                _ => Value::Ip(address()?),
            },
            Function::IsIp => Value::Bool(address::ip(text()?).is_some()),
            Function::IsCanonical => {
                let text = text()?;
                Value::Bool(address::ip(text).ok_or(Fault::NoValue)?.to_string() == text)
            }
            Function::Family => Value::Int(if address()?.is_ipv4() { 4 } else { 6 }),
            Function::IsUnspecified => Value::Bool(address()?.is_unspecified()),
            Function::IsLoopback => Value::Bool(address()?.is_loopback()),
            Function::IsLinkLocalMulticast => Value::Bool(address::is_link_local_multicast(address()?)),
            Function::IsLinkLocalUnicast => Value::Bool(address::is_link_local_unicast(address()?)),
            Function::IsGlobalUnicast => Value::Bool(address::is_global_unicast(address()?)),
            Function::Cidr => Value::Cidr(cidr_of(&value).ok_or(Fault::NoValue)?),
            Function::IsCidr => Value::Bool(address::cidr(text()?).is_some()),
            Function::PrefixLength => Value::Int(cidr_of(&value).ok_or(Fault::NoValue)?.prefix.into()),
            Function::Masked => Value::Cidr(cidr_of(&value).ok_or(Fault::NoValue)?.masked()),
            Function::Contains
            | Function::StartsWith
            | Function::EndsWith
            | Function::ContainsIp
            | Function::ContainsCidr => return Err(Fault::NoValue),
        })
    }

    fn of_two(&mut self, function: Function, first: &Value<'e>, second: &Value<'e>) -> Found<'e> {
        self.spend(size(first) + size(second))?;
        let texts = || first.text().zip(second.text()).ok_or(Fault::NoValue);
        let network = || cidr_of(first).ok_or(Fault::NoValue);
        Ok(Value::Bool(match function {
            Function::Contains => texts().map(|(text, part)| text.contains(part))?,
            Function::StartsWith => texts().map(|(text, part)| text.starts_with(part))?,
            Function::EndsWith => texts().map(|(text, part)| text.ends_with(part))?,
            Function::ContainsIp => network()?.contains(ip_of(second).ok_or(Fault::NoValue)?),
            Function::ContainsCidr => network()?.contains_all_of(cidr_of(second).ok_or(Fault::NoValue)?),
            _ => return Err(Fault::NoValue),
        }))
    }

    fn string(&mut self, value: Value<'e>) -> Found<'e> {
        match &value {
            Value::String(_) => Ok(value),
            Value::Bool(truth) => self.made(&truth.to_string()),
            Value::Int(number) => self.made(&number.to_string()),
            Value::Uint(number) => self.made(&number.to_string()),
            Value::Double(number) => self.made(&number.to_string()),
            Value::Bytes(bytes) => {
                let text = std::str::from_utf8(bytes).map_err(|_no_text| Fault::NoValue)?;
                self.made(text)
            }
            Value::Ip(address) => self.made(&address.to_string()),
            Value::Cidr(cidr) => self.made(&cidr.to_string()),
            _ => Err(Fault::NoValue),
        }
    }

    fn comprehension(&mut self, comprehension: &'x Comprehension) -> Found<'e> {
        let Comprehension { kind, range, variable, condition, result } = comprehension;
        let elements: Rc<[Value<'e>]> = match self.value(range)? {
            Value::List(items) => items,
            Value::Map(entries) => entries.iter().map(|(key, _)| key.clone()).collect(),
            _ => return Err(Fault::NoValue),
        };
        let (mut holding, mut kept, mut missing) = (0_usize, Vec::new(), None);
        for element in elements.iter() {
            self.scope.push((variable, element.clone()));
            let found = self.truth(condition).and_then(|holds| {
                let made = result.as_ref().filter(|_| holds).map(|result| self.value(result)).transpose()?;
                Ok((holds, made))
            });
            self.scope.pop();
            match (kind, found) {
                (_, Err(Fault::Exhausted)) => return Err(Fault::Exhausted),
                (Kind::All | Kind::Exists, Err(fault)) => missing = Some(fault),
                (_, Err(fault)) => return Err(fault),
                (Kind::All, Ok((false, _))) => return Ok(Value::Bool(false)),
                (Kind::Exists, Ok((true, _))) => return Ok(Value::Bool(true)),
                (_, Ok((false, _))) => {}
                (_, Ok((true, made))) => {
                    holding += 1;
                    if matches!(kind, Kind::Filter | Kind::Map) {
                        kept.push(made.unwrap_or_else(|| element.clone()));
                    }
                }
            }
        }
        match (kind, missing) {
            (Kind::All | Kind::Exists, Some(fault)) => Err(fault),
            (Kind::All, None) => Ok(Value::Bool(true)),
            (Kind::Exists, None) => Ok(Value::Bool(false)),
            (Kind::ExistsOne, _) => Ok(Value::Bool(holding == 1)),
            (Kind::Filter | Kind::Map, _) => Ok(Value::List(kept.into())),
        }
    }
}

/// Steps that it takes to go through a value.
fn size(value: &Value<'_>) -> usize {
    match value {
        Value::String(text) => text.as_str().len() / STEP_BYTES,
        Value::Bytes(bytes) => bytes.len() / STEP_BYTES,
        Value::List(items) => items.iter().map(|item| 1 + size(item)).sum(),
        Value::Map(entries) => entries.iter().map(|(key, value)| 1 + size(key) + size(value)).sum(),
        // A message is compared field by field, and one event has some hundred at most.
        Value::Message(_) => STEP_BYTES,
        _ => 0,
    }
}

fn count(value: &Value<'_>) -> Option<usize> {
    match value {
        Value::String(text) => Some(text.as_str().chars().count()),
        Value::Bytes(bytes) => Some(bytes.len()),
        Value::List(items) => Some(items.len()),
        Value::Map(entries) => Some(entries.len()),
        _ => None,
    }
}

#[expect(clippy::cast_possible_truncation, reason = "checked to fit")]
fn whole(value: f64) -> Option<i128> {
    (value.abs() < 1e20).then_some(value as i128)
}

fn int(value: &Value<'_>) -> Option<i64> {
    match value {
        Value::Int(number) => Some(*number),
        Value::Uint(number) => i64::try_from(*number).ok(),
        Value::Double(number) => i64::try_from(whole(*number)?).ok(),
        Value::Timestamp(nanos) => i64::try_from(nanos.div_euclid(1_000_000_000)).ok(),
        _ => value.text()?.parse().ok(),
    }
}

fn uint(value: &Value<'_>) -> Option<u64> {
    match value {
        Value::Uint(number) => Some(*number),
        Value::Int(number) => u64::try_from(*number).ok(),
        Value::Double(number) => u64::try_from(whole(*number)?).ok(),
        _ => value.text()?.parse().ok(),
    }
}

fn timestamp(value: &Value<'_>) -> Option<i128> {
    match value {
        Value::Timestamp(nanos) => Some(*nanos),
        Value::Int(seconds) => Some(i128::from(*seconds) * 1_000_000_000),
        _ => {
            let time: prost_types::Timestamp = value.text()?.parse().ok()?;
            Some(i128::from(time.seconds) * 1_000_000_000 + i128::from(time.nanos))
        }
    }
}

fn duration(value: &Value<'_>) -> Option<i128> {
    if let Value::Duration(nanos) = value {
        return Some(*nanos);
    }
    let text = value.text()?;
    let (negative, text) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let nanos = i128::try_from(parse_duration(text)?.as_nanos()).ok()?;
    Some(if negative { -nanos } else { nanos })
}

fn ip_of(value: &Value<'_>) -> Option<IpAddr> {
    match value {
        Value::Ip(address) => Some(*address),
        _ => address::ip(value.text()?),
    }
}

fn cidr_of(value: &Value<'_>) -> Option<Cidr> {
    match value {
        Value::Cidr(cidr) => Some(*cidr),
        _ => address::cidr(value.text()?),
    }
}
