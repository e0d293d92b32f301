//! Lines on their way to a file: rendered into a bounded buffer, written in large pieces, never left half.

use std::fs::File;
use std::io::{self, Write as _};
use std::sync::Arc;

use api::event::Event;
use api::json::write_event;

use crate::sink::{Counters, WriteError};

/// The buffer is handed to the target when it holds this much.
const WRITE_AT: usize = 64 << 10;
/// Capacity that an empty buffer keeps.
const KEPT_CAPACITY: usize = 256 << 10;

/// Where lines go.
pub(super) trait Target {
    /// Appends some of `bytes`; says how many.
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Takes back the last `count` bytes appended.
    fn take_back(&mut self, count: usize) -> io::Result<()>;
}

impl Target for File {
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write(bytes)
    }

    fn take_back(&mut self, count: usize) -> io::Result<()> {
        let metadata = self.metadata()?;
        if !metadata.is_file() {
            return Err(io::ErrorKind::Unsupported.into());
        }
        // Counted from the end as it is now: someone may have truncated the file meanwhile.
        self.set_len(metadata.len().saturating_sub(count as u64))
    }
}

/// Lines waiting for a target, at most `bound` bytes of them.
#[derive(Debug)]
pub(super) struct Lines<T> {
    target: T,
    /// Whole lines, each with its end.
    pending: Vec<u8>,
    bound: usize,
    /// The target ends with part of a line that could not be taken back.
    torn: bool,
    counters: Arc<Counters>,
}

impl<T: Target> Lines<T> {
    /// Lines to `target`, of which at most `bound` bytes are held back. `torn` says that it ends with part of a line.
    pub(super) fn new(target: T, bound: usize, torn: bool) -> Self {
        Self { target, pending: Vec::new(), bound, torn, counters: Arc::default() }
    }

    pub(super) fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    /// Goes on with another target.
    pub(super) fn replace_target(&mut self, target: T, torn: bool) {
        self.target = target;
        self.torn = torn;
    }

    /// Renders and writes `batch`.
    pub(super) fn write(&mut self, name: &str, batch: &[Arc<Event>]) -> Result<(), WriteError> {
        let mut failure = None;
        let mut dropped = 0;
        for event in batch {
            self.counters.add_received(1);
            write_event(event, &mut self.pending);
            self.pending.push(b'\n');
            // After a failure only room matters: the target is asked again with the next batch.
            if self.pending.len() >= WRITE_AT.min(self.bound) && failure.is_none() {
                failure = self.write_out().err();
            }
            if self.pending.len() > self.bound {
                self.drop_last();
                dropped += 1;
            }
        }
        if failure.is_none() {
            failure = self.write_out().err();
        }
        self.report(name, failure, dropped)
    }

    /// Writes what is pending and drops what then remains.
    pub(super) fn finish(&mut self, name: &str) -> Result<(), WriteError> {
        let failure = self.write_out().err();
        let dropped = count_lines(&self.pending);
        self.counters.add_dropped(dropped);
        self.pending = Vec::new();
        self.report(name, failure, dropped)
    }

    /// Drops the newest line.
    fn drop_last(&mut self) {
        let before = self.pending.len().saturating_sub(1);
        let start = self.pending[..before].iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        self.pending.truncate(start);
        self.counters.add_dropped(1);
    }

    fn report(&self, name: &str, failure: Option<io::Error>, dropped: u64) -> Result<(), WriteError> {
        failure.map_or(Ok(()), |source| {
            Err(WriteError::Target { name: name.to_owned(), source, dropped, held: self.pending.len() })
        })
    }

    /// Appends all that is pending. After an error the target holds whole lines only, and the rest stays pending.
    fn write_out(&mut self) -> io::Result<()> {
        let mut appended = 0;
        let result = self.append(&mut appended);
        let whole = self.pending[..appended].iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        self.counters.add_written(count_lines(&self.pending[..whole]));
        if appended > whole {
            self.torn = self.target.take_back(appended - whole).is_err();
        }
        self.pending.drain(..whole);
        if self.pending.is_empty() {
            self.pending.shrink_to(KEPT_CAPACITY);
        }
        result
    }

    fn append(&mut self, appended: &mut usize) -> io::Result<()> {
        while self.torn {
            match self.target.append(b"\n") {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => self.torn = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        while *appended < self.pending.len() {
            match self.target.append(&self.pending[*appended..]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => *appended += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// How many lines end in `bytes`: JSON text has no line end inside.
fn count_lines(bytes: &[u8]) -> u64 {
    bytes.split(|&byte| byte == b'\n').skip(1).count() as u64
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::io;
    use std::sync::Arc;

    use api::event::{Event, EventKind, Node, TestEvent, Timestamp};

    use super::{Lines, Target};
    use crate::sink::Counts;

    /// A disk with room for so many bytes, that writes at most seven bytes at a time.
    #[derive(Debug, Default)]
    struct Disk {
        content: Vec<u8>,
        room: usize,
        cannot_take_back: bool,
    }

    impl Target for Disk {
        fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let count = bytes.len().min(7).min(self.room - self.content.len());
            self.content.extend_from_slice(&bytes[..count]);
            if count == 0 { Err(io::ErrorKind::StorageFull.into()) } else { Ok(count) }
        }

        fn take_back(&mut self, count: usize) -> io::Result<()> {
            if self.cannot_take_back {
                return Err(io::ErrorKind::Unsupported.into());
            }
            self.content.truncate(self.content.len() - count);
            Ok(())
        }
    }

    fn event(arg0: u64) -> Arc<Event> {
        let kind = EventKind::Test(TestEvent { arg0, ..TestEvent::default() });
        Arc::new(Event::new(kind, Timestamp::from_nanos(0), Arc::new(Node::named("n"))))
    }

    fn batch(numbers: impl IntoIterator<Item = u64>) -> Vec<Arc<Event>> {
        numbers.into_iter().map(event).collect()
    }

    /// The `arg0` of each line; panics where a line is not whole.
    fn numbers(content: &[u8]) -> Vec<u64> {
        assert!(content.is_empty() || content.ends_with(b"\n"));
        let lines = content.split(|&byte| byte == b'\n').filter(|line| !line.is_empty());
        let values = lines.map(|line| serde_json::from_slice::<serde_json::Value>(line).unwrap());
        values.map(|value| value["test"]["arg0"].as_str().unwrap().parse().unwrap()).collect()
    }

    #[test]
    fn short_writes_lose_nothing() {
        let mut lines = Lines::new(Disk { room: 1 << 20, ..Disk::default() }, 1 << 20, false);
        lines.write("disk", &batch(1..=1000)).unwrap();
        assert_eq!(numbers(&lines.target.content), (1..=1000).collect::<Vec<_>>());
        assert_eq!(lines.counters.counts(), Counts { received: 1000, written: 1000, dropped: 0 });
    }

    #[test]
    fn a_full_disk_holds_whole_lines_and_the_rest_follows_when_there_is_room() {
        let mut lines = Lines::new(Disk { room: 200, ..Disk::default() }, 1 << 20, false);
        let error = lines.write("disk", &batch(1..=9)).unwrap_err();
        assert!(error.to_string().contains("cannot write events to disk"), "{error}");
        assert_eq!(numbers(&lines.target.content), [1, 2]);
        lines.target.room = 1 << 20;
        lines.write("disk", &batch(10..=10)).unwrap();
        assert_eq!(numbers(&lines.target.content), (1..=10).collect::<Vec<_>>());
        assert_eq!(lines.counters.counts(), Counts { received: 10, written: 10, dropped: 0 });
    }

    // proves: REL-03 (files)
    #[test]
    fn what_exceeds_the_buffer_on_a_full_disk_is_dropped_and_counted() {
        let mut lines = Lines::new(Disk::default(), 300, false);
        assert!(lines.write("disk", &batch(1..=9)).is_err());
        let held = numbers(&lines.pending);
        assert_eq!(held, [1, 2, 3, 4]);
        assert_eq!(lines.counters.counts(), Counts { received: 9, written: 0, dropped: 5 });
        assert!(lines.finish("disk").is_err());
        assert_eq!(lines.counters.counts(), Counts { received: 9, written: 0, dropped: 9 });
    }

    #[test]
    fn a_disk_that_fills_up_midway_keeps_what_fits_and_holds_what_may_wait() {
        let mut lines = Lines::new(Disk { room: 500, ..Disk::default() }, 300, false);
        assert!(lines.write("disk", &batch(1..=20)).is_err());
        assert_eq!(numbers(&lines.target.content), [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(numbers(&lines.pending), [8, 9, 10, 11]);
        assert_eq!(lines.counters.counts(), Counts { received: 20, written: 7, dropped: 9 });
    }

    #[test]
    fn a_torn_line_that_cannot_be_taken_back_is_ended_before_the_next() {
        let mut lines =
            Lines::new(Disk { room: 100, cannot_take_back: true, ..Disk::default() }, 1 << 20, false);
        assert!(lines.write("disk", &batch(1..=2)).is_err());
        lines.target.room = 1 << 20;
        lines.write("disk", &[]).unwrap();
        let content = String::from_utf8(lines.target.content).unwrap();
        let whole = content.lines().filter(|line| serde_json::from_str::<serde_json::Value>(line).is_ok());
        assert_eq!((content.lines().count(), whole.count()), (3, 2));
        assert_eq!(lines.counters.counts(), Counts { received: 2, written: 2, dropped: 0 });
    }

    #[test]
    fn a_large_batch_with_a_small_bound_is_written_as_it_comes() {
        let mut lines = Lines::new(Disk { room: 10 << 20, ..Disk::default() }, 128 << 10, false);
        lines.write("disk", &batch(1..=5000)).unwrap();
        assert_eq!(lines.counters.counts(), Counts { received: 5000, written: 5000, dropped: 0 });
        assert!(lines.pending.is_empty() && lines.pending.capacity() <= super::KEPT_CAPACITY);
    }
}
