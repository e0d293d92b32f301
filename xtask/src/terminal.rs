//! What chores say: results on standard output, progress and errors on standard error.

use std::io::{self, Write};

/// One line of result. A reader that went away (`| head`) is no error.
pub(crate) fn line(text: &str) {
    writeln!(io::stdout().lock(), "{text}").unwrap_or_default();
}

/// One line of progress.
pub(crate) fn progress(text: &str) {
    writeln!(io::stderr().lock(), "xtask: {text}").unwrap_or_default();
}

/// One line that says what went wrong.
pub(crate) fn error(text: &str) {
    writeln!(io::stderr().lock(), "{text}").unwrap_or_default();
}
