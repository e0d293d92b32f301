//! What passed, failed and was skipped.

use std::process::ExitCode;

use crate::terminal;

/// The sum over all layers.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    passed: u64,
    failed: Vec<(String, String)>,
    skipped: Vec<(String, String)>,
}

/// Whether nothing may be skipped.
pub(crate) fn in_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| value == "true")
}

impl Tally {
    /// One test that held.
    pub(crate) fn pass(&mut self) {
        self.passed += 1;
    }

    /// Many tests that held.
    pub(crate) fn pass_many(&mut self, count: u64) {
        self.passed += count;
    }

    /// A test that did not hold, and why.
    pub(crate) fn fail(&mut self, name: &str, reason: &str) {
        terminal::progress(&format!("FAILED {name}"));
        self.failed.push((name.to_owned(), reason.to_owned()));
    }

    /// A test that could not run here; under CI it has failed.
    pub(crate) fn skip(&mut self, name: &str, reason: &str) {
        if in_ci() {
            self.fail(name, &format!("skipped, which CI forbids: {reason}"));
            return;
        }
        terminal::progress(&format!("SKIPPED {name}: {reason}"));
        self.skipped.push((name.to_owned(), reason.to_owned()));
    }

    /// Adds what another counted.
    pub(crate) fn absorb(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed.extend(other.failed);
        self.skipped.extend(other.skipped);
    }

    /// Prints what failed and was skipped, then the totals as the last line.
    pub(crate) fn close(self) -> ExitCode {
        for (name, reason) in &self.failed {
            terminal::line(&format!("\nFAILED {name}\n    {}", reason.trim_end().replace('\n', "\n    ")));
        }
        if !self.skipped.is_empty() {
            terminal::line("");
        }
        for (name, reason) in &self.skipped {
            terminal::line(&format!("SKIPPED {name}: {reason}"));
        }
        terminal::line(&self.totals());
        if self.failed.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }

    fn totals(&self) -> String {
        let text = format!("{} passed, {} failed", self.passed, self.failed.len());
        if self.skipped.is_empty() { text } else { format!("{text}, {} skipped", self.skipped.len()) }
    }
}

#[cfg(test)]
mod tests {
    use super::Tally;

    #[test]
    fn totals_name_what_was_skipped_only_if_something_was() {
        let mut tally = Tally::default();
        tally.pass();
        tally.pass_many(3);
        tally.fail("one", "reason");
        assert_eq!(tally.totals(), "4 passed, 1 failed");
        tally.skipped.push(("two".to_owned(), "no tool".to_owned()));
        assert_eq!(tally.totals(), "4 passed, 1 failed, 1 skipped");
    }
}
