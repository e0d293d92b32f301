//! JSON lines on standard output.

use std::fs::File;
use std::io;
use std::os::fd::AsFd as _;
use std::os::unix::fs::FileTypeExt as _;
use std::sync::Arc;
use std::time::Instant;

use api::event::Event;
use api::filter::FieldFilters;

use super::lines::{Lines, RETRY, Target, first_line, whole_lines};
use crate::siem::Form;
use crate::sink::{Counters, OpenError, Sink, WriteError};

const NAME: &str = "stdout";
/// How many bytes of lines may be held back.
const BOUND: usize = 8 << 20;
/// What a pipe takes in one piece or not at all: `PIPE_BUF`, pipe(7).
const ONE_PIECE: usize = 4096;

/// Writes events to standard output as JSON lines. The process should write nothing else there.
///
/// Where that is a pipe, lines that fit are written in one piece, so that its reader finds whole ones wherever this process is stopped. Once nobody
/// can read the pipe any more, events are dropped and counted.
#[derive(Debug)]
pub struct StdoutSink {
    lines: Lines<Output>,
    /// The reader is gone; there will not be another.
    closed: bool,
}

/// A descriptor that something is behind.
#[derive(Debug)]
struct Output {
    file: File,
    is_pipe: bool,
}

impl Target for Output {
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.append(bytes)
    }

    fn take_back(&mut self, count: usize) -> io::Result<()> {
        self.file.take_back(count)
    }

    fn room(&mut self, lines: &[u8]) -> usize {
        if !self.is_pipe {
            return lines.len();
        }
        whole_lines(lines, ONE_PIECE).max(first_line(lines))
    }
}

impl StdoutSink {
    /// Takes a descriptor of its own for standard output. Of each event, the fields that `fields` lets pass are written, as `form` wants them.
    ///
    /// # Errors
    ///
    /// [`OpenError::Stdout`] where standard output is closed.
    pub fn open(fields: FieldFilters, form: Form) -> Result<Self, OpenError> {
        let stdout = io::stdout().as_fd().try_clone_to_owned();
        stdout
            .and_then(|stdout| Self::over(File::from(stdout), fields, form))
            .map_err(|source| OpenError::Stdout { source })
    }

    fn over(file: File, fields: FieldFilters, form: Form) -> io::Result<Self> {
        let is_pipe = file.metadata()?.file_type().is_fifo();
        Ok(Self { lines: Lines::new(Output { file, is_pipe }, BOUND, fields, form), closed: false })
    }

    /// Gives up for good where the reader is gone.
    fn ended(&mut self, result: Result<(), WriteError>) -> Result<(), WriteError> {
        match result {
            Err(WriteError::Target { source, dropped, .. }) if source.kind() == io::ErrorKind::BrokenPipe => {
                self.closed = true;
                Err(nobody_reads(dropped + self.lines.give_up()))
            }
            result => result,
        }
    }
}

fn nobody_reads(dropped: u64) -> WriteError {
    WriteError::Target { name: NAME.to_owned(), source: io::ErrorKind::BrokenPipe.into(), dropped, held: 0 }
}

impl Sink for StdoutSink {
    fn name(&self) -> &'static str {
        NAME
    }

    fn write(&mut self, events: &mut dyn Iterator<Item = &Event>) -> Result<(), WriteError> {
        if self.closed {
            return Err(nobody_reads(self.lines.refuse(events)));
        }
        let result = self.lines.write(NAME, events);
        self.ended(result)
    }

    fn due(&self) -> Option<Instant> {
        self.lines.is_holding().then(|| Instant::now() + RETRY)
    }

    fn tick(&mut self) -> Result<(), WriteError> {
        if self.closed {
            return Err(nobody_reads(0));
        }
        let result = self.lines.retry(NAME);
        self.ended(result)
    }

    fn finish(&mut self) -> Result<(), WriteError> {
        if self.closed {
            return Ok(());
        }
        self.lines.finish(NAME)
    }

    fn counters(&self) -> Arc<Counters> {
        self.lines.counters()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::fs::File;
    use std::io::{PipeReader, Read as _, pipe};
    use std::os::fd::OwnedFd;

    use api::filter::FieldFilters;

    use super::super::fixture::events;
    use super::{Form, Output, Sink as _, StdoutSink, Target as _};

    fn sink() -> (PipeReader, StdoutSink) {
        let (reader, writer) = pipe().unwrap();
        let file = File::from(OwnedFd::from(writer));
        (reader, StdoutSink::over(file, FieldFilters::none(), Form::Tetragon).unwrap())
    }

    // proves: EXP-03 (lines)
    #[test]
    fn a_pipe_gets_all_lines_whole() {
        let (mut reader, mut sink) = sink();
        let writer = std::thread::spawn(move || {
            sink.write(&mut events(5000).iter()).unwrap();
            sink.finish().unwrap();
        });
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        writer.join().unwrap();
        let lines: Vec<serde_json::Value> =
            text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        assert!(lines.len() == 5000 && text.ends_with('\n'));
        assert_eq!(lines[4999]["test"]["arg0"], "4999");
    }

    #[test]
    fn a_pipe_is_written_to_in_pieces_that_arrive_whole() {
        let (_reader, writer) = pipe().unwrap();
        let mut pipe = Output { file: File::from(OwnedFd::from(writer)), is_pipe: true };
        let lines = [b"x".repeat(99).as_slice(), b"\n"].concat().repeat(100);
        assert_eq!(pipe.room(&lines), 4000);
        let long = [b"x".repeat(9999).as_slice(), b"\n1\n"].concat();
        assert_eq!(pipe.room(&long), 10_000, "one that fits nowhere goes alone");
        pipe.is_pipe = false;
        assert_eq!(pipe.room(&lines), 10_000);
    }

    // proves: EXP-03 (closed)
    #[test]
    fn a_pipe_that_nobody_reads_any_more_is_an_error_and_its_events_are_counted() {
        let (reader, mut sink) = sink();
        sink.write(&mut events(3).iter()).unwrap();
        drop(reader);
        for expected in [10, 20] {
            let error = sink.write(&mut events(10).iter()).unwrap_err().to_string();
            assert!(error.contains("cannot write events to stdout: broken pipe; 10 dropped"), "{error}");
            let counts = sink.counters().counts();
            assert_eq!((counts.written, counts.dropped), (3, expected));
            assert!(sink.due().is_none() && sink.tick().is_err());
        }
        sink.finish().unwrap();
    }
}
