//! An expression as a tree.

use regex::Regex;

use super::function::Function;

/// An expression.
#[derive(Debug, Clone)]
pub(super) enum Expr {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    String(String),
    Bytes(Vec<u8>),
    /// A variable.
    Name(String),
    /// A field of a message, or a value of a map by a key that is a word.
    Select(Box<Expr>, String),
    /// Whether such a field is set.
    Has(Box<Expr>, String),
    Index(Box<Expr>, Box<Expr>),
    List(Vec<Expr>),
    Map(Vec<(Expr, Expr)>),
    Not(Box<Expr>),
    Negative(Box<Expr>),
    /// All are true.
    All(Vec<Expr>),
    /// One is true.
    Any(Vec<Expr>),
    Binary(Operator, Box<Expr>, Box<Expr>),
    /// If, then, else.
    Conditional(Box<[Expr; 3]>),
    Matches(Box<Expr>, Regex),
    Call(Function, Vec<Expr>),
    Comprehension(Box<Comprehension>),
}

/// Something about each element of a list or each key of a map.
#[derive(Debug, Clone)]
pub(super) struct Comprehension {
    pub(super) kind: Kind,
    pub(super) range: Expr,
    /// The name of the element within.
    pub(super) variable: String,
    /// Which elements count.
    pub(super) condition: Expr,
    /// What becomes of them, for [`Kind::Map`].
    pub(super) result: Option<Expr>,
}

/// What a comprehension makes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    All,
    Exists,
    ExistsOne,
    Filter,
    Map,
}

/// An operator between two values.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Operator {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl Operator {
    /// Whether it compares, so that its result is a truth value.
    pub(super) const fn compares(self) -> bool {
        !matches!(self, Self::Add | Self::Subtract | Self::Multiply | Self::Divide | Self::Remainder)
    }
}
