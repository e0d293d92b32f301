//! Findings for people, drawn by miette; the only file that knows it.

use std::fmt;

use miette::{
    Diagnostic as Drawable, GraphicalReportHandler, GraphicalTheme, LabeledSpan, NamedSource, SourceCode,
    SourceSpan,
};

use crate::diagnostic::{Diagnostic, Label, Severity};
use crate::source::{SourceText, Span};

/// How a terminal wants its output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// Colours and box drawing.
    Colour,
    /// Box drawing only.
    Plain,
    /// ASCII only.
    Ascii,
}

/// The findings with the lines they are about, and how many there are.
pub fn terminal(source: &SourceText, findings: &[Diagnostic], style: Style) -> String {
    let theme = match style {
        Style::Colour => GraphicalTheme::unicode(),
        Style::Plain => GraphicalTheme::unicode_nocolor(),
        Style::Ascii => GraphicalTheme::none(),
    };
    let handler = GraphicalReportHandler::new_themed(theme).with_width(100).with_links(false);
    let code = NamedSource::new(visible(source.name()), harmless(source.text()));
    let mut out = String::new();
    for finding in findings {
        let drawn = Drawn { source, code: &code, finding };
        if handler.render_report(&mut out, &drawn).is_err() {
            // The handler fails only on a span outside the text; the finding must be seen all the same.
            out.push_str(finding.code.as_str());
            out.push_str(": ");
            out.push_str(&visible(&finding.message));
            out.push('\n');
        }
    }
    out.push_str(&summary(findings));
    out
}

fn summary(findings: &[Diagnostic]) -> String {
    let count = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let counted = |number: usize, word: &str| match number {
        0 => None,
        1 => Some(format!("1 {word}")),
        _ => Some(format!("{number} {word}s")),
    };
    let parts: Vec<String> =
        [counted(count(Severity::Error), "error"), counted(count(Severity::Warning), "warning")]
            .into_iter()
            .flatten()
            .collect();
    if parts.is_empty() { String::new() } else { format!("{}\n", parts.join(", ")) }
}

/// Whether a terminal would obey a character, or turn the writing round.
fn obeyed(c: char) -> bool {
    c.is_control() && !matches!(c, '\n' | '\t')
        || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Text without characters that a terminal would obey.
fn visible(text: &str) -> String {
    text.chars().map(|c| if obeyed(c) { char::REPLACEMENT_CHARACTER } else { c }).collect()
}

/// The same for source text: what is replaced keeps its length, so that spans stay right.
fn harmless(text: &str) -> String {
    let same_length = |c: char| match c.len_utf8() {
        1 => '?',
        2 => '¿',
        _ => char::REPLACEMENT_CHARACTER,
    };
    text.chars().map(|c| if obeyed(c) { same_length(c) } else { c }).collect()
}

struct Drawn<'a> {
    source: &'a SourceText,
    code: &'a NamedSource<String>,
    finding: &'a Diagnostic,
}

/// Longest line that is drawn, in bytes; JSON may have all of a policy on one.
const LONGEST_LINE: usize = 500;

impl Drawn<'_> {
    /// Whether there are lines to draw, none of them too long.
    fn has_picture(&self) -> bool {
        let primary = std::iter::once(&self.finding.primary);
        !self.finding.primary.span.is_empty()
            && primary
                .chain(&self.finding.labels)
                .all(|label| self.source.lines_are_short(label.span, LONGEST_LINE))
    }

    /// The place of a label, cut to its first line when it has several: a whole hook as one picture helps nobody.
    fn place(&self, span: Span) -> SourceSpan {
        let text = self.source.slice(span);
        let line = text.lines().next().map_or(0, str::len);
        SourceSpan::from((span.start as usize, line))
    }

    fn labelled(&self, label: &Label, fallback: &str) -> LabeledSpan {
        let text = if label.text.is_empty() { fallback } else { &label.text };
        LabeledSpan::new_with_span(Some(visible(text)), self.place(label.span))
    }
}

impl fmt::Debug for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.finding, f)
    }
}

impl fmt::Display for Drawn<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.has_picture() {
            write!(f, "{}:", visible(self.source.name()))?;
            let span = self.finding.primary.span;
            if !span.is_empty() {
                let at = self.source.position(span.start);
                write!(f, "{}:{}:", at.line, at.column)?;
            }
            f.write_str(" ")?;
        }
        f.write_str(&visible(&self.finding.message))
    }
}

impl std::error::Error for Drawn<'_> {}

impl Drawable for Drawn<'_> {
    fn code<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        Some(Box::new(self.finding.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.finding.severity {
            Severity::Error => miette::Severity::Error,
            Severity::Warning => miette::Severity::Warning,
        })
    }

    fn help<'b>(&'b self) -> Option<Box<dyn fmt::Display + 'b>> {
        let help = self.finding.help.as_deref()?;
        Some(Box::new(visible(help)))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.has_picture().then_some(self.code as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        if !self.has_picture() {
            return None;
        }
        let primary = self.labelled(&self.finding.primary, "here");
        let others = self.finding.labels.iter().map(|label| self.labelled(label, "here"));
        Some(Box::new(std::iter::once(primary).chain(others)))
    }
}
