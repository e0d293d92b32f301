//! Policy text, and places in it.
//!
//! Text comes in as an argument: this crate opens no file. A [`Span`] is a half-open range of bytes of one
//! [`SourceText`]; lines and columns are computed only when somebody wants to show them.

use std::sync::{Arc, OnceLock};

/// The largest policy text that is read, in bytes. A list of 100 000 paths fits several times.
pub const MAX_BYTES: usize = 16 * 1024 * 1024;

/// A half-open range of bytes of a [`SourceText`], at most [`MAX_BYTES`] long.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// First byte behind.
    pub end: u32,
}

impl Span {
    /// The range `start..end`; an offset beyond 4 GiB becomes the largest one (texts are far smaller).
    pub fn new(start: usize, end: usize) -> Self {
        let narrow = |offset: usize| u32::try_from(offset).unwrap_or(u32::MAX);
        Self { start: narrow(start), end: narrow(end.max(start)) }
    }

    /// The range that starts here and ends where `other` ends.
    #[must_use]
    pub fn to(self, other: Self) -> Self {
        Self { start: self.start, end: self.end.max(other.end) }
    }

    /// Length in bytes.
    pub fn len(self) -> usize {
        (self.end - self.start) as usize
    }

    /// Whether no byte is covered: a diagnostic about the text as a whole.
    pub fn is_empty(self) -> bool {
        self.start == self.end
    }
}

/// A value together with the place where it was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Spanned<T> {
    /// What was written.
    pub value: T,
    /// Where.
    pub span: Span,
}

impl<T> Spanned<T> {
    /// `value` at `span`.
    pub fn new(value: T, span: Span) -> Self {
        Self { value, span }
    }
}

/// A line and a column, both counted from one; the column counts characters, as editors do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line, from 1.
    pub line: usize,
    /// Column in characters, from 1.
    pub column: usize,
}

/// The text of one policy and the name it is shown under. Cheap to clone.
#[derive(Debug, Clone)]
pub struct SourceText {
    name: Arc<str>,
    text: Arc<str>,
    lines: Arc<OnceLock<Vec<u32>>>,
}

/// Why bytes are not a policy text.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SourceError {
    /// More than [`MAX_BYTES`].
    #[error("{name}: {size} bytes is more than the {limit} a policy may have; split the policy")]
    TooLarge {
        /// Name of the text.
        name: String,
        /// Bytes it has.
        size: usize,
        /// Bytes it may have.
        limit: usize,
    },
    /// Not UTF-8, which YAML and JSON demand.
    #[error("{name}:{line}: byte {byte:#04x} is not UTF-8; write other bytes as a !!binary value")]
    NotText {
        /// Name of the text.
        name: String,
        /// Line of the first bad byte, from 1.
        line: usize,
        /// The bad byte.
        byte: u8,
    },
}

impl SourceText {
    /// The text under a name, usually a file name. Its size is checked by the parser.
    pub fn new(name: impl Into<Arc<str>>, text: impl Into<Arc<str>>) -> Self {
        Self { name: name.into(), text: text.into(), lines: Arc::default() }
    }

    /// The text that foreign bytes hold.
    ///
    /// # Errors
    /// [`SourceError::TooLarge`] beyond [`MAX_BYTES`], [`SourceError::NotText`] where a byte is not UTF-8.
    pub fn from_bytes(name: &str, bytes: &[u8]) -> Result<Self, SourceError> {
        if bytes.len() > MAX_BYTES {
            return Err(SourceError::TooLarge { name: name.to_owned(), size: bytes.len(), limit: MAX_BYTES });
        }
        match std::str::from_utf8(bytes) {
            Ok(text) => Ok(Self::new(name, text)),
            Err(bad) => {
                let (good, rest) = bytes.split_at(bad.valid_up_to());
                let line = good.split(|&byte| byte == b'\n').count();
                let byte = rest.first().copied().unwrap_or_default();
                Err(SourceError::NotText { name: name.to_owned(), line, byte })
            }
        }
    }

    /// The name the text is shown under.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The whole text.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// The text of a span; empty where the span is not of this text.
    pub fn slice(&self, span: Span) -> &str {
        self.text.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// Line and column of a byte offset; an offset behind the text counts as its end.
    pub fn position(&self, offset: u32) -> Position {
        let offset = (offset as usize).min(self.text.len());
        let starts = self.line_starts();
        let line = starts.partition_point(|&start| start as usize <= offset).max(1);
        let start = starts.get(line - 1).map_or(0, |&start| start as usize);
        let before = self.text.as_bytes().get(start..offset).unwrap_or_default();
        let column = String::from_utf8_lossy(before).chars().count() + 1;
        Position { line, column }
    }

    /// Whether the line where a span starts and the two around it have at most `longest` bytes each.
    pub fn lines_are_short(&self, span: Span, longest: usize) -> bool {
        let starts = self.line_starts();
        let line = starts.partition_point(|&start| start <= span.start).saturating_sub(1);
        let end = u32::try_from(self.text.len()).unwrap_or(u32::MAX);
        (line.saturating_sub(1)..=line + 1).all(|line| {
            let start = starts.get(line).copied().unwrap_or(end);
            let next = starts.get(line + 1).copied().unwrap_or(end);
            (next - start) as usize <= longest
        })
    }

    fn line_starts(&self) -> &[u32] {
        self.lines.get_or_init(|| {
            let newlines = self.text.bytes().enumerate().filter(|&(_, byte)| byte == b'\n');
            std::iter::once(0)
                .chain(newlines.map(|(at, _)| u32::try_from(at + 1).unwrap_or(u32::MAX)))
                .collect()
        })
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_column_counts_characters_and_a_line_starts_behind_its_newline() {
        let source = SourceText::new("x", "a\nbä c\n");
        assert_eq!(source.position(0), Position { line: 1, column: 1 });
        assert_eq!(source.position(2), Position { line: 2, column: 1 });
        assert_eq!(source.position(6), Position { line: 2, column: 4 });
        assert_eq!(source.position(99), Position { line: 3, column: 1 });
        assert_eq!(source.slice(Span::new(3, 5)), "ä");
        assert_eq!(source.slice(Span::new(4, 5)), "");
    }

    #[test]
    fn foreign_bytes_are_refused_with_their_line() {
        let error = SourceText::from_bytes("p.yaml", b"a: b\nc: \xff").unwrap_err();
        assert_eq!(error, SourceError::NotText { name: "p.yaml".into(), line: 2, byte: 0xff });
        let error = SourceText::from_bytes("p.yaml", &vec![b'x'; MAX_BYTES + 1]).unwrap_err();
        assert!(matches!(error, SourceError::TooLarge { .. }));
    }
}
