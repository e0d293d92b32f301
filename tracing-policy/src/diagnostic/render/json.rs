//! Findings as JSON lines, one object a finding.

use serde::Serialize;

use crate::diagnostic::{Diagnostic, Label, Severity};
use crate::source::SourceText;

/// One finding a line: `{"code","severity","message","file","line","column",…}`.
///
/// A finding about the text as a whole has no `line` and `column`.
pub fn json(source: &SourceText, findings: &[Diagnostic]) -> String {
    let mut out = String::new();
    for finding in findings {
        // Only maps with keys that are no strings fail, and there is none.
        out.push_str(&serde_json::to_string(&Line::of(source, finding)).unwrap_or_default());
        out.push('\n');
    }
    out
}

#[derive(Serialize)]
struct Line<'a> {
    code: &'static str,
    severity: &'static str,
    message: &'a str,
    file: &'a str,
    #[serde(flatten)]
    place: Option<Place>,
    #[serde(skip_serializing_if = "str::is_empty")]
    label: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    related: Vec<Related<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    help: Option<&'a str>,
}

#[derive(Serialize)]
struct Related<'a> {
    label: &'a str,
    #[serde(flatten)]
    place: Option<Place>,
}

#[derive(Serialize)]
struct Place {
    line: usize,
    column: usize,
    end_line: usize,
    end_column: usize,
}

impl<'a> Line<'a> {
    fn of(source: &'a SourceText, finding: &'a Diagnostic) -> Self {
        let related = |label: &'a Label| Related { label: &label.text, place: Place::of(source, label) };
        Self {
            code: finding.code.as_str(),
            severity: match finding.severity {
                Severity::Error => "error",
                Severity::Warning => "warning",
            },
            message: &finding.message,
            file: source.name(),
            place: Place::of(source, &finding.primary),
            label: &finding.primary.text,
            related: finding.labels.iter().map(related).collect(),
            help: finding.help.as_deref(),
        }
    }
}

impl Place {
    fn of(source: &SourceText, label: &Label) -> Option<Self> {
        if label.span.is_empty() {
            return None;
        }
        let (start, end) = (source.position(label.span.start), source.position(label.span.end));
        Some(Self { line: start.line, column: start.column, end_line: end.line, end_column: end.column })
    }
}
