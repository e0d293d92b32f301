//! What the parts of an expression are: each number has one of four types, and both sides of an operator the same.

use std::ops::Range;

use super::parse::{Kind, Node};
use super::scan::Fault;
use super::text;
use crate::check::argument::{Arguments, Entry};
use crate::diagnostic::Report;
use crate::policy::{
    ArgumentFilter, ArgumentId, ArgumentType, BinaryOperator, Comparison, Condition, Family, Integer,
    IntegerRange, IntegerTest, IntegerType, Operation, Relation, Signedness, Term, Width,
    expression_register,
};
use crate::source::Span;

pub(super) type Yes = Condition<ArgumentFilter, ArgumentId>;
type Number = Term<ArgumentFilter, ArgumentId>;

/// What a part of an expression is.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// A yes or no.
    Truth(Yes),
    /// A number of a type.
    Number(NumberType, Number),
    /// A number that takes the type of the other side.
    Literal { number: i128, unsigned: bool },
    /// An argument that is a string or path.
    Bytes(ArgumentId, ArgumentType),
    /// A text.
    Text(Vec<u8>),
}

/// The types of numbers.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum NumberType {
    Int,
    Uint,
    Int32,
    Uint32,
}

impl NumberType {
    fn of(ty: IntegerType) -> Self {
        match (ty.width, ty.signedness) {
            (Width::W64, Signedness::Signed) => Self::Int,
            (Width::W64, Signedness::Unsigned) => Self::Uint,
            (Width::W8 | Width::W16 | Width::W32, Signedness::Signed) => Self::Int32,
            (Width::W8 | Width::W16 | Width::W32, Signedness::Unsigned) => Self::Uint32,
        }
    }

    fn integer(self) -> IntegerType {
        let (width, signedness) = match self {
            Self::Int => (Width::W64, Signedness::Signed),
            Self::Uint => (Width::W64, Signedness::Unsigned),
            Self::Int32 => (Width::W32, Signedness::Signed),
            Self::Uint32 => (Width::W32, Signedness::Unsigned),
        };
        IntegerType { width, signedness, is_size: false }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Int => "int",
            Self::Uint => "uint",
            Self::Int32 => "int32",
            Self::Uint32 => "uint32",
        }
    }
}

impl Value {
    fn describe(&self) -> &'static str {
        match self {
            Self::Truth(_) => "true or false",
            Self::Number(ty, _) => ty.name(),
            Self::Literal { unsigned: true, .. } => "an unsigned number",
            Self::Literal { .. } => "a number",
            Self::Bytes(..) => "a string argument",
            Self::Text(_) => "a text",
        }
    }
}

/// One expression being read.
pub(super) struct Typer<'a> {
    pub(super) arguments: &'a Arguments,
    /// The entry of the filter.
    pub(super) span: Span,
    /// Arguments that are used, in order.
    pub(super) used: Vec<ArgumentId>,
    /// For warnings about texts.
    pub(super) report: &'a mut Report,
    /// An argument has an error that is told already.
    pub(super) is_blamed: bool,
}

impl<'a> Typer<'a> {
    /// A part that is true or false.
    pub(super) fn truth(&mut self, node: &Node) -> Result<Yes, Fault> {
        match self.value(node)? {
            Value::Truth(condition) => Ok(condition),
            other @ (Value::Number(..) | Value::Literal { .. } | Value::Bytes(..) | Value::Text(_)) => {
                let message = format!("this is {}, it must be true or false", other.describe());
                Err(Fault::new(node.range.clone(), message).help("compare it with something"))
            }
        }
    }

    fn value(&mut self, node: &Node) -> Result<Value, Fault> {
        Ok(match &node.kind {
            Kind::Name(name) => return self.argument(name, &node.range),
            Kind::Number { magnitude, negative, unsigned } => {
                let number = i128::from(*magnitude);
                Value::Literal { number: if *negative { -number } else { number }, unsigned: *unsigned }
            }
            Kind::Text(text) => Value::Text(text.clone()),
            Kind::Truth(answer) => Value::Truth(Condition::Constant(*answer)),
            Kind::List(_) => {
                let message = "a list stands on the right of `in` only";
                return Err(Fault::new(node.range.clone(), message));
            }
            Kind::Not(inner) => Value::Truth(Condition::Not(Box::new(self.truth(inner)?))),
            Kind::Minus(inner) => {
                let (ty, term) = self.number(inner)?;
                let zero = Term::Constant(0);
                Value::Number(ty, binary(BinaryOperator::Subtract, ty, zero, term))
            }
            Kind::All(parts) => Value::Truth(Condition::All(self.truths(parts)?)),
            Kind::Any(parts) => Value::Truth(Condition::Any(self.truths(parts)?)),
            Kind::Compare(relation, sides) => Value::Truth(self.compare(*relation, sides, &node.range)?),
            Kind::In(sides) => Value::Truth(self.among(sides)?),
            Kind::Binary(operator, sides) => {
                let (ty, left, right) = self.alike(sides, &node.range)?;
                Value::Number(ty, binary(*operator, ty, left, right))
            }
            Kind::Choose(parts) => return self.choose(parts, &node.range),
            Kind::Call { name, receiver: None, arguments } => {
                return self.function(name, arguments, &node.range);
            }
            Kind::Call { name, receiver: Some(receiver), arguments } => {
                return self.method(name, receiver, arguments, &node.range);
            }
        })
    }

    fn truths(&mut self, parts: &[Node]) -> Result<Vec<Yes>, Fault> {
        parts.iter().map(|part| self.truth(part)).collect()
    }

    /// `arg0` to `argN`: positions in the hook's `args`, behind which its `data` is counted on; `data0` to `dataN`: those in `data` alone.
    fn find(&self, name: &str) -> Option<(ArgumentId, &'a Entry)> {
        let number = |prefix: &str| {
            let digits = name.strip_prefix(prefix)?;
            digits.chars().all(|c| c.is_ascii_digit()).then(|| digits.parse::<u32>().ok())?
        };
        let (position, entry) = match number("data") {
            Some(position) => self.arguments.data(position)?,
            None => self.arguments.anywhere(number("arg")?)?,
        };
        Some((ArgumentId::new(position)?, entry))
    }

    fn argument(&mut self, name: &str, range: &Range<usize>) -> Result<Value, Fault> {
        let Some((id, entry)) = self.find(name) else {
            let message = format!("there is no `{name}` here");
            return Err(Fault::new(range.clone(), message).help(
                "arg0 is the first entry of the hook's `args`, arg1 the second and so on, whatever their index; data0 the first of its `data`",
            ));
        };
        let Some(argument) = &entry.argument else {
            self.is_blamed = true;
            return Err(Fault::new(range.clone(), "this argument has an error"));
        };
        let ty = argument.ty.value;
        let value = match ty.family() {
            Family::Number(integer) => Value::Number(NumberType::of(integer), Term::Argument(id)),
            Family::String | Family::Path if text::is_comparable(ty) => Value::Bytes(id, ty),
            Family::String | Family::Path | Family::Object(_) | Family::Nothing => {
                let message = format!("`{name}` is of a type that expressions cannot look at");
                return Err(Fault::new(range.clone(), message).help(
                    "numbers, string, net_device, file, path, fd, dentry and linux_binprm can be used",
                ));
            }
        };
        if !self.used.contains(&id) {
            self.used.push(id);
        }
        Ok(value)
    }

    /// A part that is a number; one without a type is an `int`, or `uint` where it says so.
    fn number(&mut self, node: &Node) -> Result<(NumberType, Number), Fault> {
        match self.value(node)? {
            Value::Number(ty, term) => Ok((ty, term)),
            Value::Literal { number, unsigned } => {
                let ty = if unsigned { NumberType::Uint } else { NumberType::Int };
                Ok((ty, literal(number, unsigned, ty, &node.range)?))
            }
            other @ (Value::Truth(_) | Value::Bytes(..) | Value::Text(_)) => {
                Err(Fault::new(node.range.clone(), format!("this is {}, not a number", other.describe())))
            }
        }
    }

    /// Two numbers of the same type; one written out takes the other's.
    fn alike(
        &mut self,
        sides: &[Node; 2],
        range: &Range<usize>,
    ) -> Result<(NumberType, Number, Number), Fault> {
        let [left_node, right_node] = sides;
        let (left, right) = (self.value(left_node)?, self.value(right_node)?);
        self.unify((left, left_node), (right, right_node), range)
    }

    fn unify(
        &mut self,
        (left, left_node): (Value, &Node),
        (right, right_node): (Value, &Node),
        range: &Range<usize>,
    ) -> Result<(NumberType, Number, Number), Fault> {
        match (left, right) {
            (Value::Number(ty, left), Value::Number(other, right)) if ty == other => Ok((ty, left, right)),
            (Value::Number(ty, left), Value::Literal { number, unsigned }) => {
                Ok((ty, left, literal(number, unsigned, ty, &right_node.range)?))
            }
            (Value::Literal { number, unsigned }, Value::Number(ty, right)) => {
                Ok((ty, literal(number, unsigned, ty, &left_node.range)?, right))
            }
            (Value::Literal { .. }, Value::Literal { .. }) => {
                let (ty, left) = self.number(left_node)?;
                let Value::Literal { number, unsigned } = self.value(right_node)? else {
                    return Err(different("a number", "a number", range));
                };
                Ok((ty, left, literal(number, unsigned, ty, &right_node.range)?))
            }
            (left, right) => Err(different(left.describe(), right.describe(), range)),
        }
    }

    fn compare(&mut self, relation: Relation, sides: &[Node; 2], range: &Range<usize>) -> Result<Yes, Fault> {
        let [left_node, right_node] = sides;
        let (left, right) = (self.value(left_node)?, self.value(right_node)?);
        let is_equality = matches!(relation, Relation::Equal | Relation::NotEqual);
        match (left, right) {
            (Value::Bytes(id, ty), Value::Text(value)) | (Value::Text(value), Value::Bytes(id, ty))
                if is_equality =>
            {
                let test = self.exact(id, ty, vec![value], range)?;
                Ok(if relation == Relation::Equal { test } else { Condition::Not(Box::new(test)) })
            }
            (Value::Truth(left), Value::Truth(right)) if is_equality => {
                let (left, right) = (Term::Truth(Box::new(left)), Term::Truth(Box::new(right)));
                Ok(compared(relation, NumberType::Int, left, right, self.span))
            }
            (Value::Bytes(..), Value::Bytes(..)) => {
                Err(Fault::new(range.clone(), "two string arguments cannot be compared")
                    .help("one side must be a text in quotes"))
            }
            (Value::Bytes(..) | Value::Text(_), Value::Bytes(..) | Value::Text(_)) => {
                let message = if is_equality { "both sides are texts" } else { "strings have no order here" };
                Err(Fault::new(range.clone(), message)
                    .help("for strings: == != in startsWith() endsWith() contains()"))
            }
            (left, right) => {
                let (ty, left, right) = self.unify((left, left_node), (right, right_node), range)?;
                Ok(compared(relation, ty, left, right, self.span))
            }
        }
    }

    /// `x in [a, b]`
    fn among(&mut self, sides: &[Node; 2]) -> Result<Yes, Fault> {
        let [left_node, list] = sides;
        let Kind::List(nodes) = &list.kind else {
            return Err(Fault::new(
                list.range.clone(),
                "a list in brackets is expected on the right of `in`",
            ));
        };
        let left = self.value(left_node)?;
        if let Value::Bytes(id, ty) = left {
            let texts = nodes.iter().map(|node| {
                let Kind::Text(text) = &node.kind else {
                    return Err(Fault::new(node.range.clone(), "a text in quotes is expected here"));
                };
                Ok(text.clone())
            });
            let texts = texts.collect::<Result<Vec<_>, _>>()?;
            return if texts.is_empty() {
                Ok(Condition::Constant(false))
            } else {
                self.exact(id, ty, texts, &list.range)
            };
        }
        let mut parts = Vec::with_capacity(nodes.len());
        for node in nodes {
            let value = self.value(node)?;
            let (ty, left, right) = self.unify((left.clone(), left_node), (value, node), &node.range)?;
            parts.push(compared(Relation::Equal, ty, left, right, self.span));
        }
        Ok(Condition::Any(parts))
    }

    fn choose(&mut self, parts: &[Node; 3], range: &Range<usize>) -> Result<Value, Fault> {
        let [by, yes_node, no_node] = parts;
        let by = self.truth(by)?;
        let (yes, no) = (self.value(yes_node)?, self.value(no_node)?);
        if let (Value::Truth(yes), Value::Truth(no)) = (&yes, &no) {
            return Ok(Value::Truth(Condition::Choose(Box::new([by, yes.clone(), no.clone()]))));
        }
        let (ty, yes, no) = self.unify((yes, yes_node), (no, no_node), range)?;
        Ok(Value::Number(ty, Term::Choose(Box::new((by, yes, no)))))
    }

    fn function(&mut self, name: &str, arguments: &[Node], range: &Range<usize>) -> Result<Value, Fault> {
        let cast = match name {
            "int32" => Some(NumberType::Int32),
            "uint32" => Some(NumberType::Uint32),
            "int" => Some(NumberType::Int),
            "uint" => Some(NumberType::Uint),
            _ => None,
        };
        let operator = match name {
            "and" => Some(BinaryOperator::And),
            "or" => Some(BinaryOperator::Or),
            "xor" => Some(BinaryOperator::Xor),
            _ => None,
        };
        match (arguments, cast, operator) {
            ([inner], Some(ty), _) => self.cast(ty, inner),
            ([left, right], _, Some(operator)) => {
                let (left_value, right_value) = (self.value(left)?, self.value(right)?);
                let (ty, left, right) = self.unify((left_value, left), (right_value, right), range)?;
                Ok(Value::Number(ty, binary(operator, ty, left, right)))
            }
            ([inner], ..) if name == "not" => {
                let (ty, term) = self.number(inner)?;
                Ok(Value::Number(ty, Term::Inverse(ty.integer(), Box::new(term))))
            }
            ([inner], ..) if name == "size" => self.size(inner),
            _ => Err(Fault::new(range.clone(), format!("there is no function {name}() of {} values", arguments.len()))
                .help("int32(x) uint32(x) int(x) uint(x) and(x, y) or(x, y) xor(x, y) not(x) size(s); text in s: s.startsWith(t) s.endsWith(t) s.contains(t)")),
        }
    }

    fn cast(&mut self, ty: NumberType, inner: &Node) -> Result<Value, Fault> {
        Ok(match self.value(inner)? {
            Value::Literal { number, .. } => Value::Number(ty, literal(number, false, ty, &inner.range)?),
            Value::Number(_, term) => Value::Number(ty, Term::Cast(ty.integer(), Box::new(term))),
            other @ (Value::Truth(_) | Value::Bytes(..) | Value::Text(_)) => {
                let message = format!("this is {}, not a number", other.describe());
                return Err(Fault::new(inner.range.clone(), message));
            }
        })
    }

    fn size(&mut self, inner: &Node) -> Result<Value, Fault> {
        match self.value(inner)? {
            Value::Bytes(id, _) => Ok(Value::Number(NumberType::Int, Term::Size(id))),
            Value::Text(text) => {
                let number = i128::try_from(text.len()).unwrap_or(i128::MAX);
                Ok(Value::Literal { number, unsigned: false })
            }
            other @ (Value::Truth(_) | Value::Number(..) | Value::Literal { .. }) => {
                let message = format!("this is {}, which has no size", other.describe());
                Err(Fault::new(inner.range.clone(), message))
            }
        }
    }

    fn method(
        &mut self,
        name: &str,
        receiver: &Node,
        arguments: &[Node],
        range: &Range<usize>,
    ) -> Result<Value, Fault> {
        let value = self.value(receiver)?;
        if name == "size" && arguments.is_empty() {
            return self.size(receiver);
        }
        let Value::Bytes(id, ty) = value else {
            let message = format!("this is {}, which has no function {name}()", value.describe());
            return Err(Fault::new(receiver.range.clone(), message).help("a string argument is expected"));
        };
        let [Node { kind: Kind::Text(part), range: part_range, .. }] = arguments else {
            let message = format!("{name}() takes one text in quotes");
            return Err(Fault::new(range.clone(), message));
        };
        self.part(id, ty, name, part.clone(), part_range, range).map(Value::Truth)
    }
}

fn is_unsigned(ty: NumberType) -> bool {
    ty.integer().signedness == Signedness::Unsigned
}

fn different(left: &str, right: &str, range: &Range<usize>) -> Fault {
    Fault::new(range.clone(), format!("the two sides have different types: {left} and {right}"))
        .help("int64 and long are int; int, int32 and narrower ones int32; uint64 and size_t uint; uint32 and narrower ones uint32; convert with int32(), uint32(), int(), uint()")
}

/// A number written out, as one of a type.
fn literal(number: i128, unsigned: bool, ty: NumberType, range: &Range<usize>) -> Result<Number, Fault> {
    if unsigned && !is_unsigned(ty) {
        return Err(different(ty.name(), "an unsigned number", range));
    }
    let (least, greatest) = ty.integer().bounds();
    if !(least..=greatest).contains(&number) {
        let message = format!("{} holds {least} to {greatest}, this is {number}", ty.name());
        return Err(Fault::new(range.clone(), message));
    }
    Ok(Term::Constant(Integer::new(number).register()))
}

fn binary(operator: BinaryOperator, ty: NumberType, left: Number, right: Number) -> Number {
    Term::Binary(Box::new(Operation { operator, ty: ty.integer(), left, right }))
}

/// Two numbers, compared; an argument and a number written out become a filter as any other.
fn compared(relation: Relation, ty: NumberType, left: Number, right: Number, span: Span) -> Yes {
    let ty = ty.integer();
    let (relation, left, right) = match (&left, &right) {
        (Term::Constant(_), Term::Argument(_)) => (relation.exchanged(), right, left),
        _ => (relation, left, right),
    };
    let (Term::Argument(argument), Term::Constant(bits)) = (&left, &right) else {
        return Condition::Compare(Box::new(Comparison { relation, ty, left, right }));
    };
    debug_assert_eq!(expression_register(ty, *bits), *bits, "a number of its type");
    let (least, greatest) = ty.bounds();
    let number = ty.from_register(*bits);
    let (min, max) = match relation {
        Relation::Equal | Relation::NotEqual => (number, number),
        Relation::Less => (least, number - 1),
        Relation::AtMost => (least, number),
        Relation::More => (number + 1, greatest),
        Relation::AtLeast => (number, greatest),
    };
    if min > max {
        return Condition::Constant(false);
    }
    if relation != Relation::NotEqual && (min, max) == (least, greatest) {
        return Condition::Constant(true);
    }
    let ranges = vec![IntegerRange { min: Integer::new(min), max: Integer::new(max) }];
    let test = match relation {
        Relation::NotEqual => IntegerTest::NotInRange(ranges),
        Relation::Equal | Relation::Less | Relation::AtMost | Relation::More | Relation::AtLeast => {
            IntegerTest::InRange(ranges)
        }
    };
    Condition::Test(ArgumentFilter::Integer { argument: *argument, test, span })
}
