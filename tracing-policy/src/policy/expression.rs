//! Expressions: a yes or no made of tests and numbers (`CelExpr`).
//!
//! The tree is the same for the checked policy, where a leaf is a filter of an argument, and for the form below it, where it is a test of what was read. Numbers
//! are 64-bit registers, extended by their type.

use super::argument::IntegerType;

/// A yes or no.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition<T, A> {
    /// Always the same.
    Constant(bool),
    /// A test.
    Test(T),
    /// The opposite.
    Not(Box<Self>),
    /// All of them.
    All(Vec<Self>),
    /// One of them.
    Any(Vec<Self>),
    /// By the first, the second or the third.
    Choose(Box<[Self; 3]>),
    /// Two numbers, compared.
    Compare(Box<Comparison<T, A>>),
}

/// Two numbers of one type, compared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison<T, A> {
    /// How.
    pub relation: Relation,
    /// Their type.
    pub ty: IntegerType,
    /// The left one.
    pub left: Term<T, A>,
    /// The right one.
    pub right: Term<T, A>,
}

/// How two numbers are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Relation {
    /// The same.
    Equal,
    /// Not the same.
    NotEqual,
    /// The left one is less.
    Less,
    /// The left one is less or the same.
    AtMost,
    /// The left one is more.
    More,
    /// The left one is more or the same.
    AtLeast,
}

impl Relation {
    /// What holds when this one does not.
    #[must_use]
    pub fn opposite(self) -> Self {
        match self {
            Self::Equal => Self::NotEqual,
            Self::NotEqual => Self::Equal,
            Self::Less => Self::AtLeast,
            Self::AtMost => Self::More,
            Self::More => Self::AtMost,
            Self::AtLeast => Self::Less,
        }
    }

    /// The same with the sides exchanged.
    #[must_use]
    pub fn exchanged(self) -> Self {
        match self {
            Self::Equal | Self::NotEqual => self,
            Self::Less => Self::More,
            Self::AtMost => Self::AtLeast,
            Self::More => Self::Less,
            Self::AtLeast => Self::AtMost,
        }
    }

    fn holds(self, left: i128, right: i128) -> bool {
        match self {
            Self::Equal => left == right,
            Self::NotEqual => left != right,
            Self::Less => left < right,
            Self::AtMost => left <= right,
            Self::More => left > right,
            Self::AtLeast => left >= right,
        }
    }
}

/// A number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Term<T, A> {
    /// Always the same.
    Constant(u64),
    /// An argument.
    Argument(A),
    /// Bytes of an argument that is a path or string.
    Size(A),
    /// One for yes, zero for no.
    Truth(Box<Condition<T, A>>),
    /// Of two numbers.
    Binary(Box<Operation<T, A>>),
    /// All bits turned.
    Inverse(IntegerType, Box<Self>),
    /// Cut to a type and extended by it.
    Cast(IntegerType, Box<Self>),
    /// By the condition, the first or the second.
    Choose(Box<(Condition<T, A>, Self, Self)>),
}

/// What becomes of two numbers of one type; what does not fit the type is cut.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Operation<T, A> {
    /// What.
    pub operator: BinaryOperator,
    /// Their type, and the result's.
    pub ty: IntegerType,
    /// The left one.
    pub left: Term<T, A>,
    /// The right one.
    pub right: Term<T, A>,
}

/// What becomes of two numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum BinaryOperator {
    /// The sum.
    Add,
    /// The difference.
    Subtract,
    /// Bits of both.
    And,
    /// Bits of either.
    Or,
    /// Bits of one of them.
    Xor,
}

impl BinaryOperator {
    fn apply(self, left: u64, right: u64) -> u64 {
        match self {
            Self::Add => left.wrapping_add(right),
            Self::Subtract => left.wrapping_sub(right),
            Self::And => left & right,
            Self::Or => left | right,
            Self::Xor => left ^ right,
        }
    }
}

/// What is known of a call.
pub trait Known<T, A> {
    /// Whether a test passes.
    fn passes(&self, test: &T) -> bool;
    /// An argument's register, extended by its type.
    fn number(&self, argument: &A) -> u64;
    /// Bytes of an argument.
    fn size(&self, argument: &A) -> u64;
}

/// The register that holds `bits` cut to the type.
pub(crate) fn register(ty: IntegerType, bits: u64) -> u64 {
    super::Integer::new(ty.from_register(bits)).register()
}

impl<T, A> Condition<T, A> {
    /// Whether it holds.
    pub fn holds(&self, known: &impl Known<T, A>) -> bool {
        match self {
            Self::Constant(answer) => *answer,
            Self::Test(test) => known.passes(test),
            Self::Not(inner) => !inner.holds(known),
            Self::All(parts) => parts.iter().all(|part| part.holds(known)),
            Self::Any(parts) => parts.iter().any(|part| part.holds(known)),
            Self::Choose(parts) => {
                let [by, yes, no] = &**parts;
                if by.holds(known) { yes.holds(known) } else { no.holds(known) }
            }
            Self::Compare(it) => {
                let (left, right) = (it.left.value(known), it.right.value(known));
                it.relation.holds(it.ty.from_register(left), it.ty.from_register(right))
            }
        }
    }

    /// The same over other leaves; `None` where one has no counterpart.
    pub(crate) fn map<U, B>(
        &self,
        test: &mut dyn FnMut(&T) -> Option<U>,
        argument: &mut dyn FnMut(&A) -> Option<B>,
    ) -> Option<Condition<U, B>> {
        let all =
            |parts: &[Self], test: &mut dyn FnMut(&T) -> Option<U>, argument: &mut dyn FnMut(&A) -> _| {
                parts.iter().map(|part| part.map(test, argument)).collect::<Option<Vec<_>>>()
            };
        Some(match self {
            Self::Constant(answer) => Condition::Constant(*answer),
            Self::Test(it) => Condition::Test(test(it)?),
            Self::Not(inner) => Condition::Not(Box::new(inner.map(test, argument)?)),
            Self::All(parts) => Condition::All(all(parts, test, argument)?),
            Self::Any(parts) => Condition::Any(all(parts, test, argument)?),
            Self::Choose(parts) => {
                let [by, yes, no] = &**parts;
                let (by, yes) = (by.map(test, argument)?, yes.map(test, argument)?);
                Condition::Choose(Box::new([by, yes, no.map(test, argument)?]))
            }
            Self::Compare(it) => Condition::Compare(Box::new(Comparison {
                relation: it.relation,
                ty: it.ty,
                left: it.left.map(test, argument)?,
                right: it.right.map(test, argument)?,
            })),
        })
    }
}

impl<T, A> Term<T, A> {
    /// Its register.
    pub fn value(&self, known: &impl Known<T, A>) -> u64 {
        match self {
            Self::Constant(bits) => *bits,
            Self::Argument(argument) => known.number(argument),
            Self::Size(argument) => known.size(argument),
            Self::Truth(condition) => u64::from(condition.holds(known)),
            Self::Binary(it) => {
                register(it.ty, it.operator.apply(it.left.value(known), it.right.value(known)))
            }
            Self::Inverse(ty, inner) => register(*ty, !inner.value(known)),
            Self::Cast(ty, inner) => register(*ty, inner.value(known)),
            Self::Choose(it) => {
                let (by, yes, no) = &**it;
                if by.holds(known) { yes.value(known) } else { no.value(known) }
            }
        }
    }

    fn map<U, B>(
        &self,
        test: &mut dyn FnMut(&T) -> Option<U>,
        argument: &mut dyn FnMut(&A) -> Option<B>,
    ) -> Option<Term<U, B>> {
        Some(match self {
            Self::Constant(bits) => Term::Constant(*bits),
            Self::Argument(it) => Term::Argument(argument(it)?),
            Self::Size(it) => Term::Size(argument(it)?),
            Self::Truth(condition) => Term::Truth(Box::new(condition.map(test, argument)?)),
            Self::Binary(it) => Term::Binary(Box::new(Operation {
                operator: it.operator,
                ty: it.ty,
                left: it.left.map(test, argument)?,
                right: it.right.map(test, argument)?,
            })),
            Self::Inverse(ty, inner) => Term::Inverse(*ty, Box::new(inner.map(test, argument)?)),
            Self::Cast(ty, inner) => Term::Cast(*ty, Box::new(inner.map(test, argument)?)),
            Self::Choose(it) => {
                let (by, yes, no) = &**it;
                let (by, yes) = (by.map(test, argument)?, yes.map(test, argument)?);
                Term::Choose(Box::new((by, yes, no.map(test, argument)?)))
            }
        })
    }
}
