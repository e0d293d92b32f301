//! JSON lines on standard output.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::sync::Arc;
use std::time::Instant;

use api::event::Event;
use api::filter::FieldFilters;

use super::lines::{Lines, RETRY};
use crate::siem::Form;
use crate::sink::{Counters, OpenError, Sink, WriteError};

/// How many bytes of lines may be held back.
const BOUND: usize = 8 << 20;

/// Writes events to standard output as JSON lines. The process should write nothing else there.
#[derive(Debug)]
pub struct StdoutSink {
    lines: Lines<File>,
}

impl StdoutSink {
    /// Takes a descriptor of its own for standard output.
    ///
    /// # Errors
    ///
    /// [`OpenError::Stdout`] where standard output is closed.
    pub fn open() -> Result<Self, OpenError> {
        let stdout =
            io::stdout().as_fd().try_clone_to_owned().map_err(|source| OpenError::Stdout { source })?;
        Ok(Self { lines: Lines::new(File::from(stdout), BOUND, FieldFilters::none(), Form::Tetragon) })
    }
}

impl Sink for StdoutSink {
    fn name(&self) -> &'static str {
        "stdout"
    }

    fn write(&mut self, events: &mut dyn Iterator<Item = &Event>) -> Result<(), WriteError> {
        self.lines.write("stdout", events)
    }

    fn due(&self) -> Option<Instant> {
        self.lines.is_holding().then(|| Instant::now() + RETRY)
    }

    fn tick(&mut self) -> Result<(), WriteError> {
        self.lines.retry("stdout")
    }

    fn finish(&mut self) -> Result<(), WriteError> {
        self.lines.finish("stdout")
    }

    fn counters(&self) -> Arc<Counters> {
        self.lines.counters()
    }
}
