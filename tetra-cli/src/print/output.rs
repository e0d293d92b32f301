//! Standard output and standard error.

use std::io::{self, BufWriter, Stdout, Write as _};
use std::process::ExitCode;

use clap::CommandFactory as _;
use clap::error::ErrorKind;

use super::escape;
use crate::args::Arguments;

/// Standard output took no more.
#[derive(Debug, thiserror::Error)]
#[error("cannot write the output: {0}")]
pub(crate) struct OutputError(pub(crate) io::Error);

/// Buffered standard output.
#[derive(Debug)]
pub(crate) struct Output(BufWriter<Stdout>);

impl Output {
    /// Standard output of this process.
    pub(crate) fn stdout() -> Self {
        Self(BufWriter::with_capacity(64 << 10, io::stdout()))
    }

    /// Writes all of `bytes` and lets the reader have them.
    pub(crate) fn write_all(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        self.buffer(bytes)?;
        self.flush()
    }

    /// Writes `bytes` when there are more, or at the next flush.
    pub(crate) fn buffer(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        self.0.write_all(bytes).map_err(OutputError)
    }

    /// Lets the reader have what was written.
    pub(crate) fn flush(&mut self) -> Result<(), OutputError> {
        self.0.flush().map_err(OutputError)
    }
}

/// Says why the command failed. The text may hold what others wrote.
pub(crate) fn failure(error: &anyhow::Error) -> ExitCode {
    notice(&format!("Error: {error}"));
    ExitCode::FAILURE
}

/// Says something on standard error. Nothing can be done where that is closed.
pub(crate) fn notice(text: &str) {
    let written = writeln!(io::stderr().lock(), "{}", escape::visible_lines(text));
    drop(written);
}

/// Prints help on standard output, or a mistake on the command line on standard error. A command line without a
/// subcommand asks for help.
pub(crate) fn usage(error: &clap::Error) -> ExitCode {
    let text = if error.kind() == ErrorKind::MissingSubcommand {
        Arguments::command().render_help().to_string()
    } else {
        error.render().to_string()
    };
    let asks = [ErrorKind::MissingSubcommand, ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand];
    if error.use_stderr() && !asks.contains(&error.kind()) {
        notice(&format!("Error: {}", text.strip_prefix("error: ").unwrap_or(&text)));
        return ExitCode::FAILURE;
    }
    // A reader that went away has seen enough.
    drop(Output::stdout().write_all(text.as_bytes()));
    ExitCode::SUCCESS
}
