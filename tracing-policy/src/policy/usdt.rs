//! Static probes of programs and libraries.

use std::fmt;

use crate::source::Span;

/// A static probe: all its places in a file.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Usdt {
    /// The file, as the policy gives its path.
    pub path: String,
    /// The path in the text.
    pub path_span: Span,
    /// Whose probe it is.
    pub provider: String,
    /// Which of its probes.
    pub name: String,
    /// A file with the types of the program, and its path in the text.
    pub types: Option<(String, Span)>,
}

impl fmt::Display for Usdt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.provider, self.name)
    }
}
