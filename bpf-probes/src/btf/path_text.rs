//! The text of a field path, cut into its parts.

use std::fmt;

use super::path::PathError;

/// Parts of one path; longer ones are not meant.
const MAX_PARTS: usize = 64;

/// How a field is reached from what stands on its left.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Access {
    /// Nothing stands on its left.
    First,
    /// `.`
    Dot,
    /// `->`
    Arrow,
}

/// One part of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Field { name: &'a str, access: Access },
    Index(u32),
}

impl fmt::Display for Token<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field { name, .. } => f.write_str(name),
            Self::Index(index) => write!(f, "[{index}]"),
        }
    }
}

/// Cuts a path: `name`, `.name`, `->name`, `[n]`, and `.[n]`, which policies may write too.
pub(super) fn tokens(path: &str) -> Result<Vec<Token<'_>>, PathError> {
    let mut found = Vec::new();
    let mut rest = path;
    while !rest.is_empty() {
        let at = path.len() - rest.len();
        let error = |problem| PathError::Syntax { path: path.to_owned(), at, problem };
        if found.len() == MAX_PARTS {
            return Err(error("more than 64 parts"));
        }
        let (access, after) = if let Some(after) = rest.strip_prefix("->") {
            (Some(Access::Arrow), after)
        } else if let Some(after) = rest.strip_prefix('.') {
            (Some(Access::Dot), after)
        } else {
            (None, rest)
        };
        if access.is_some() && found.is_empty() {
            return Err(error("a path starts with a name"));
        }
        if let Some(inner) = after.strip_prefix('[') {
            if access == Some(Access::Arrow) {
                return Err(error("an index where a name should be"));
            }
            let (digits, tail) = inner.split_once(']').ok_or_else(|| error("no closing bracket"))?;
            let number = digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok());
            found.push(Token::Index(number.flatten().ok_or_else(|| error("an index that is no number"))?));
            rest = tail;
            continue;
        }
        let len = after.bytes().take_while(|&byte| byte.is_ascii_alphanumeric() || byte == b'_').count();
        let (Some(name), Some(tail)) = (after.get(..len), after.get(len..)) else {
            return Err(error("an unexpected character"));
        };
        if name.is_empty() {
            return Err(error(if after.is_empty() {
                "a name is missing"
            } else {
                "an unexpected character"
            }));
        }
        let access = match access {
            Some(access) => access,
            None if found.is_empty() => Access::First,
            None => return Err(error("`.` or `->` is missing")),
        };
        found.push(Token::Field { name, access });
        rest = tail;
    }
    Ok(found)
}
