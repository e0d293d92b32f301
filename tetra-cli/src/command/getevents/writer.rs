//! Events to standard output, in the form asked for.

use std::io::IsTerminal as _;

use api::event::Event;
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
}

impl Writer {
    pub(super) fn new(options: &GetEvents) -> Self {
        let form = match options.output {
            EventFormat::Json => Form::Json,
            EventFormat::Compact => Form::Compact(Compact::new(CompactOptions {
                colors: with_colors(options.color),
                timestamps: options.timestamps,
                stack_traces: options.stack_traces,
                ima_hash: options.ima_hash,
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
        }
    }

    pub(super) fn flush(&mut self) -> Result<(), OutputError> {
        self.output.flush()
    }
}

fn with_colors(color: Color) -> bool {
    match color {
        Color::Always => true,
        Color::Never => false,
        Color::Auto => {
            let refused = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
            !refused && std::io::stdout().is_terminal()
        }
    }
}
