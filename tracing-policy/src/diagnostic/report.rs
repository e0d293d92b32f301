//! Where a stage collects its findings.

use super::code::Code;
use super::diagnostic::{Diagnostic, Severity};
use crate::source::Span;

/// The most findings one stage reports; a hostile text has room for millions.
pub const MAX_FINDINGS: usize = 100;

/// The findings of one stage, in the order they were made, bounded by [`MAX_FINDINGS`] of each severity.
#[derive(Debug, Default)]
pub struct Report {
    errors: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
    left_out: usize,
}

impl Report {
    /// Adds a finding.
    pub fn push(&mut self, finding: Diagnostic) {
        let list = match finding.severity {
            Severity::Error => &mut self.errors,
            Severity::Warning => &mut self.warnings,
        };
        if list.len() < MAX_FINDINGS {
            list.push(finding);
        } else {
            self.left_out += 1;
        }
    }

    /// The result of the stage: `value` and the warnings if it has no error, else errors and warnings in the
    /// order of the text.
    ///
    /// # Errors
    /// All findings, when at least one of them is an error.
    pub fn finish<T>(mut self, value: Option<T>) -> Result<(T, Vec<Diagnostic>), Vec<Diagnostic>> {
        if self.left_out > 0 {
            let message = format!("{} more findings are not shown", self.left_out);
            self.warnings.push(Diagnostic::warning(Code::TooManyFindings, Span::default(), message));
        }
        match value {
            Some(value) if self.errors.is_empty() => {
                self.warnings.sort_by_key(|finding| finding.primary.span);
                Ok((value, self.warnings))
            }
            _ => {
                self.errors.append(&mut self.warnings);
                self.errors.sort_by_key(|finding| finding.primary.span);
                Err(self.errors)
            }
        }
    }
}
