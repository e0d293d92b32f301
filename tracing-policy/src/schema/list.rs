//! Lists, enforcers and options.

use super::word::words;
use crate::source::{Span, Spanned};

/// A named list of symbols.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct List {
    /// `name`.
    pub name: Spanned<String>,
    /// `type`.
    pub ty: Option<Spanned<ListType>>,
    /// `values`.
    pub values: Vec<Spanned<String>>,
    /// `pattern`, a regular expression.
    pub pattern: Option<Spanned<String>>,
    /// `validated`, of no meaning to users.
    pub validated: Option<Spanned<bool>>,
    /// The whole of it.
    pub span: Span,
}

words! {
    /// How a list gets its symbols.
    ListType, "list type":
    /// Symbols as they stand.
    Plain = "",
    /// System calls.
    Syscalls = "syscalls",
    /// All system calls.
    GeneratedSyscalls = "generated_syscalls",
    /// All traceable functions that the pattern fits.
    GeneratedFtrace = "generated_ftrace",
}

/// An entry of `enforcers`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Enforcer {
    /// `calls`.
    pub calls: Vec<Spanned<String>>,
    /// The whole of it.
    pub span: Span,
}

/// An entry of `options`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PolicyOption {
    /// `name`.
    pub name: Spanned<String>,
    /// `value`.
    pub value: Option<Spanned<String>>,
    /// The whole of it.
    pub span: Span,
}
