//! Events to standard output, in the form asked for.

use std::io::IsTerminal as _;

use api::event::{Event, EventKind, Value};
use api::json::write_event;

use crate::args::{Color, EventFormat, GetEvents};
use crate::print::{Compact, CompactOptions, Output, OutputError};

/// Writes events one after the other, without allocating for each.
#[derive(Debug)]
pub(super) struct Writer {
    output: Output,
    form: Form,
    line: Vec<u8>,
}

#[derive(Debug)]
enum Form {
    Json,
    Compact(Compact),
    /// The bytes that are written to or read from this file, such as a terminal.
    Bytes(String),
}

impl Writer {
    pub(super) fn new(options: &GetEvents) -> Self {
        let form = match (&options.tty_encode, options.output) {
            (Some(path), _) => Form::Bytes(path.clone()),
            (None, EventFormat::Json) => Form::Json,
            (None, EventFormat::Compact) => Form::Compact(Compact::new(CompactOptions {
                colors: with_colors(options.color),
                timestamps: options.timestamps,
                stack_traces: options.stack_traces,
                ima_hash: options.ima_hash,
                details: options.details,
            })),
        };
        Self { output: Output::stdout(), form, line: Vec::new() }
    }

    /// Writes `event`; it may stay in the buffer until [`Writer::flush`].
    pub(super) fn write(&mut self, event: &Event) -> Result<(), OutputError> {
        match &mut self.form {
            Form::Json => {
                self.line.clear();
                write_event(event, &mut self.line);
                self.line.push(b'\n');
                self.output.buffer(&self.line)
            }
            Form::Compact(compact) => self.output.buffer(compact.lines(event).as_bytes()),
            Form::Bytes(path) => self.output.buffer(bytes_of(event, path)),
        }
    }

    pub(super) fn flush(&mut self) -> Result<(), OutputError> {
        self.output.flush()
    }
}

/// The second argument of a kprobe, where it is bytes and the first is the file at `path`.
fn bytes_of<'event>(event: &'event Event, path: &str) -> &'event [u8] {
    let EventKind::Kprobe(kprobe) = &event.kind else { return &[] };
    let mut values = kprobe.args.iter().map(|argument| argument.value.as_ref());
    match (values.next().flatten(), values.next().flatten()) {
        (Some(Value::File(file)), Some(Value::Bytes(bytes))) if *file.path == *path => bytes,
        (Some(Value::File(file)), Some(Value::TruncatedBytes(part))) if *file.path == *path => &part.bytes,
        _ => &[],
    }
}

/// Whether to use colours on the standard output and in the environment of this process.
fn with_colors(color: Color) -> bool {
    let refuses = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty())
        || std::env::var_os("TERM").is_some_and(|terminal| terminal == "dumb");
    decide(color, std::io::stdout().is_terminal(), refuses)
}

/// Whether to use colours where the output is a terminal or not, and the environment `refuses` them or not.
fn decide(color: Color, terminal: bool, refuses: bool) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => terminal && !refuses,
    }
}

#[cfg(test)]
mod tests {
    use super::decide;
    use crate::args::Color;

    // proves: CLI-05
    #[test]
    fn colours_follow_the_flag_then_the_terminal_and_the_environment() {
        for (color, terminal, refuses, expected) in [
            (Color::Always, false, true, true),
            (Color::Never, true, false, false),
            (Color::Auto, true, false, true),
            (Color::Auto, false, false, false),
            (Color::Auto, true, true, false),
        ] {
            assert_eq!(decide(color, terminal, refuses), expected, "{color:?} {terminal} {refuses}");
        }
    }
}
