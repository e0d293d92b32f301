//! A finding about a policy as data; nothing here knows how it is shown.

use super::code::Code;
use crate::source::Span;

/// How much a finding weighs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Severity {
    /// The policy loads; something in it does not do what it seems to.
    Warning,
    /// The policy is refused.
    Error,
}

/// A place in the text and what is to be said about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Label {
    /// The place.
    pub span: Span,
    /// A short phrase; may be empty.
    pub text: String,
}

/// One finding: what is wrong, where, and what to do.
///
/// Messages are one phrase in lower case without a full stop; the place is in the label, so the message does
/// not repeat it. Help says what would work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Diagnostic {
    /// Stable code, with a page of its own.
    pub code: Code,
    /// Error or warning.
    pub severity: Severity,
    /// One phrase.
    pub message: String,
    /// The place it is about. An empty span stands for the text as a whole.
    pub primary: Label,
    /// Further places.
    pub labels: Vec<Label>,
    /// What would work.
    pub help: Option<String>,
}

impl Diagnostic {
    /// An error about `span`.
    pub fn error(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Error, code, span, message.into())
    }

    /// A warning about `span`.
    pub fn warning(code: Code, span: Span, message: impl Into<String>) -> Self {
        Self::new(Severity::Warning, code, span, message.into())
    }

    fn new(severity: Severity, code: Code, span: Span, message: String) -> Self {
        let primary = Label { span, text: String::new() };
        Self { code, severity, message, primary, labels: Vec::new(), help: None }
    }

    /// With words at the primary place.
    #[must_use]
    pub fn labelled(mut self, text: impl Into<String>) -> Self {
        self.primary.text = text.into();
        self
    }

    /// With one more place.
    #[must_use]
    pub fn also(mut self, span: Span, text: impl Into<String>) -> Self {
        self.labels.push(Label { span, text: text.into() });
        self
    }

    /// With advice.
    #[must_use]
    pub fn help(mut self, text: impl Into<String>) -> Self {
        self.help = Some(text.into());
        self
    }
}
