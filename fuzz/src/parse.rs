//! Whatever the text, there is an answer, and every place in it is a place in the text.

use tracing_policy::diagnostic::Diagnostic;
use tracing_policy::diagnostic::render::{self, Style};
use tracing_policy::source::SourceText;

use crate::Tried;

/// Reads and checks a policy.
pub fn parse(input: &[u8]) -> Tried {
    let Ok(source) = SourceText::from_bytes("input", input) else { return Tried::Refused };
    let text = String::from_utf8_lossy(input);
    let (findings, tried) = match tracing_policy::read(&source) {
        Ok((_policy, warnings)) => (warnings, Tried::Valid),
        Err(errors) => {
            assert!(!errors.is_empty(), "refused without a reason");
            (errors, Tried::Refused)
        }
    };
    for finding in &findings {
        places_are_inside(finding, &text);
    }
    if !findings.is_empty() {
        assert!(!render::terminal(&source, &findings, Style::Plain).is_empty(), "nothing is said");
    }
    tried
}

/// Checks that every place of a finding is one of the text.
pub(crate) fn places_are_inside(finding: &Diagnostic, text: &str) {
    for label in std::iter::once(&finding.primary).chain(&finding.labels) {
        let (start, end) = (label.span.start as usize, label.span.end as usize);
        assert!(start <= end && text.get(start..end).is_some(), "{start}..{end} of {finding:?}");
    }
}
