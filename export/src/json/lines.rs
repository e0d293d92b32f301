//! Lines on their way to a file: rendered into a bounded buffer, written in large pieces, never left half.

use std::fs::File;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::time::Duration;

use api::event::Event;
use api::filter::FieldFilters;
use api::json::write_event;

use crate::siem::Form;
use crate::sink::{Counters, WriteError};

/// The buffer is handed to the target when it holds this much: the page cache takes large pieces in large folios.
const WRITE_AT: usize = 256 << 10;
/// Capacity that an empty buffer keeps.
const KEPT_CAPACITY: usize = 512 << 10;
/// Between two attempts to write what is held back, where no event comes.
pub(super) const RETRY: Duration = Duration::from_secs(1);
/// How often lines are written again that were written to a file nobody can find, before they are held back.
const ATTEMPTS: u32 = 3;

/// Where lines go.
pub(super) trait Target {
    /// Appends some of `bytes`; says how many.
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Takes back the last `count` bytes appended.
    fn take_back(&mut self, count: usize) -> io::Result<()>;

    /// How many bytes of `lines`, which are whole and not empty, to append now: the first line at least. May go on elsewhere first.
    fn room(&mut self, lines: &[u8]) -> usize {
        lines.len()
    }

    /// Called when something was appended: `false` where nobody can find it any more, and the target has gone on elsewhere.
    fn settle(&mut self) -> io::Result<bool> {
        Ok(true)
    }
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
    /// How many these are.
    waiting: u64,
    bound: usize,
    /// The target ends with part of a line that could not be taken back.
    torn: bool,
    fields: FieldFilters,
    form: Form,
    /// A line before its fields are filtered, and before it has its form.
    whole: Vec<u8>,
    filtered: Vec<u8>,
    counters: Arc<Counters>,
}

impl<T: Target> Lines<T> {
    /// Lines to `target`, which ends with a whole line. At most `bound` bytes are held back. Of each event,
    /// the fields that `fields` lets pass are written, as `form` wants them.
    pub(super) fn new(target: T, bound: usize, fields: FieldFilters, form: Form) -> Self {
        let (pending, whole, filtered) = (Vec::new(), Vec::new(), Vec::new());
        let counters = Arc::default();
        Self { target, pending, waiting: 0, bound, torn: false, fields, form, whole, filtered, counters }
    }

    pub(super) fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }

    pub(super) const fn target(&self) -> &T {
        &self.target
    }

    pub(super) const fn target_mut(&mut self) -> &mut T {
        &mut self.target
    }

    /// Whether lines wait for another attempt.
    pub(super) const fn is_holding(&self) -> bool {
        !self.pending.is_empty()
    }

    /// Says that the target has changed, and ends with a whole line.
    pub(super) const fn target_is_whole(&mut self) {
        self.torn = false;
    }

    /// Tries again to write what is held back.
    pub(super) fn retry(&mut self, name: &str) -> Result<(), WriteError> {
        let failure = self.write_out().err();
        self.report(name, failure, 0)
    }

    /// Renders and writes `events`.
    pub(super) fn write(
        &mut self,
        name: &str,
        events: &mut dyn Iterator<Item = &Event>,
    ) -> Result<(), WriteError> {
        let mut failure = None;
        let mut dropped = 0;
        for event in events {
            self.counters.add_received(event);
            self.render(event);
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
        let dropped = self.give_up();
        self.report(name, failure, dropped)
    }

    /// Drops what is pending; says how many events that were.
    pub(super) fn give_up(&mut self) -> u64 {
        let dropped = std::mem::take(&mut self.waiting);
        self.counters.add_dropped(dropped);
        self.pending = Vec::new();
        dropped
    }

    /// Drops `events`, and says how many.
    pub(super) fn refuse(&self, events: &mut dyn Iterator<Item = &Event>) -> u64 {
        let dropped = events.inspect(|event| self.counters.add_received(event)).count() as u64;
        self.counters.add_dropped(dropped);
        dropped
    }

    fn render(&mut self, event: &Event) {
        let Self { fields, form, whole, filtered, pending, .. } = self;
        let as_it_is = *form == Form::Tetragon;
        filtered.clear();
        let out = if as_it_is { &mut *pending } else { &mut *filtered };
        if fields.is_none() {
            write_event(event, out);
        } else {
            whole.clear();
            write_event(event, whole);
            fields.copy_json(whole, event.event_type(), out);
        }
        if !as_it_is {
            form.write(filtered, pending);
        }
        pending.push(b'\n');
        self.waiting += 1;
    }

    /// Drops the newest line.
    fn drop_last(&mut self) {
        let before = self.pending.len().saturating_sub(1);
        let start = self.pending[..before].iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
        self.pending.truncate(start);
        self.waiting -= 1;
        self.counters.add_dropped(1);
    }

    fn report(&self, name: &str, failure: Option<io::Error>, dropped: u64) -> Result<(), WriteError> {
        failure.map_or(Ok(()), |source| {
            Err(WriteError::Target { name: name.to_owned(), source, dropped, held: self.pending.len() })
        })
    }

    /// Appends all that is pending. After an error the target holds whole lines only, and the rest stays pending.
    fn write_out(&mut self) -> io::Result<()> {
        let mut done = 0;
        let result = self.append_pieces(&mut done);
        self.pending.drain(..done);
        let left = if self.pending.is_empty() { 0 } else { count_lines(&self.pending) };
        self.counters.add_written(self.waiting - left, done as u64);
        self.waiting = left;
        if self.pending.is_empty() {
            self.pending.shrink_to(KEPT_CAPACITY);
        }
        result
    }

    /// Appends what is pending from `done` on, which it moves behind what can be found in the target.
    fn append_pieces(&mut self, done: &mut usize) -> io::Result<()> {
        let mut attempts = 0;
        while *done < self.pending.len() {
            let end = *done + self.target.room(&self.pending[*done..]);
            let mut appended = *done;
            let result = self.append(&mut appended, end);
            let whole = *done + whole_lines(&self.pending[*done..], appended - *done);
            if appended > whole {
                self.torn = self.target.take_back(appended - whole).is_err();
            }
            if self.target.settle()? {
                *done = whole;
                result?;
            } else {
                self.torn = false;
                attempts += 1;
                if attempts == ATTEMPTS {
                    return Err(io::ErrorKind::NotFound.into());
                }
            }
        }
        Ok(())
    }

    /// Appends what is pending from `appended` to `end`, and moves `appended` along.
    fn append(&mut self, appended: &mut usize, end: usize) -> io::Result<()> {
        while self.torn {
            match self.target.append(b"\n") {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(_) => self.torn = false,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        while *appended < end {
            match self.target.append(&self.pending[*appended..end]) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => *appended += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(())
    }
}

/// How many of the first `most` bytes of `lines` are whole lines; where that is none and `most` is not all, 0.
pub(super) fn whole_lines(lines: &[u8], most: usize) -> usize {
    let within = &lines[..most.min(lines.len())];
    within.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1)
}

/// Bytes of the first of `lines`.
pub(super) fn first_line(lines: &[u8]) -> usize {
    lines.iter().position(|&byte| byte == b'\n').map_or(lines.len(), |end| end + 1)
}

/// How many lines end in `bytes`: JSON text has no line end inside.
fn count_lines(bytes: &[u8]) -> u64 {
    bytes.iter().map(|&byte| u64::from(byte == b'\n')).sum()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::io;
    use std::sync::Arc;

    use api::event::{Event, EventKind, Node, TestEvent, Timestamp};
    use api::filter::{FieldFilters, read_field_filters};

    use super::{Form, Lines, Target};
    use crate::sink::{Counts, WriteError};

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

    fn event(arg0: u64) -> Event {
        let kind = EventKind::Test(TestEvent { arg0, ..TestEvent::default() });
        Event::new(kind, Timestamp::from_nanos(0), Arc::new(Node::named("n")))
    }

    /// Events received, written and dropped.
    fn counts(lines: &Lines<Disk>) -> (u64, u64, u64) {
        let Counts { received, written, dropped, .. } = lines.counters.counts();
        (received, written, dropped)
    }

    fn write(lines: &mut Lines<Disk>, numbers: impl IntoIterator<Item = u64>) -> Result<(), WriteError> {
        let events: Vec<_> = numbers.into_iter().map(event).collect();
        lines.write("disk", &mut events.iter())
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
        let mut lines = Lines::new(
            Disk { room: 1 << 20, ..Disk::default() },
            1 << 20,
            FieldFilters::none(),
            Form::Tetragon,
        );
        write(&mut lines, 1..=1000).unwrap();
        assert_eq!(numbers(&lines.target.content), (1..=1000).collect::<Vec<_>>());
        assert_eq!(counts(&lines), (1000, 1000, 0));
    }

    // proves: FLT-12 (export)
    #[test]
    fn lines_have_the_fields_that_are_wanted() {
        let filters = read_field_filters(r#"{"fields":"arg0","action":"EXCLUDE"}"#).unwrap();
        let fields = FieldFilters::compile(&filters).unwrap();
        let mut lines =
            Lines::new(Disk { room: 1 << 20, ..Disk::default() }, 1 << 20, fields, Form::Tetragon);
        write(&mut lines, 1..=2).unwrap();
        let line = "{\"test\":{},\"node_name\":\"n\",\"time\":\"1970-01-01T00:00:00Z\"}\n";
        assert_eq!(String::from_utf8_lossy(&lines.target.content), line.repeat(2));
    }

    #[test]
    fn a_full_disk_holds_whole_lines_and_the_rest_follows_when_there_is_room() {
        let mut lines =
            Lines::new(Disk { room: 200, ..Disk::default() }, 1 << 20, FieldFilters::none(), Form::Tetragon);
        let error = write(&mut lines, 1..=9).unwrap_err();
        assert!(error.to_string().contains("cannot write events to disk"), "{error}");
        assert_eq!(numbers(&lines.target.content), [1, 2]);
        lines.target.room = 1 << 20;
        write(&mut lines, 10..=10).unwrap();
        assert_eq!(numbers(&lines.target.content), (1..=10).collect::<Vec<_>>());
        assert_eq!(counts(&lines), (10, 10, 0));
    }

    // proves: REL-03 (files)
    #[test]
    fn what_exceeds_the_buffer_on_a_full_disk_is_dropped_and_counted() {
        let mut lines = Lines::new(Disk::default(), 300, FieldFilters::none(), Form::Tetragon);
        assert!(write(&mut lines, 1..=9).is_err());
        let held = numbers(&lines.pending);
        assert_eq!(held, [1, 2, 3, 4]);
        assert_eq!(counts(&lines), (9, 0, 5));
        assert!(lines.finish("disk").is_err());
        assert_eq!(counts(&lines), (9, 0, 9));
    }

    #[test]
    fn a_disk_that_fills_up_midway_keeps_what_fits_and_holds_what_may_wait() {
        let mut lines =
            Lines::new(Disk { room: 500, ..Disk::default() }, 300, FieldFilters::none(), Form::Tetragon);
        assert!(write(&mut lines, 1..=20).is_err());
        assert_eq!(numbers(&lines.target.content), [1, 2, 3, 4, 5, 6, 7]);
        assert_eq!(numbers(&lines.pending), [8, 9, 10, 11]);
        assert_eq!(counts(&lines), (20, 7, 9));
    }

    #[test]
    fn a_torn_line_that_cannot_be_taken_back_is_ended_before_the_next() {
        let mut lines = Lines::new(
            Disk { room: 100, cannot_take_back: true, ..Disk::default() },
            1 << 20,
            FieldFilters::none(),
            Form::Tetragon,
        );
        assert!(write(&mut lines, 1..=2).is_err());
        lines.target.room = 1 << 20;
        lines.retry("disk").unwrap();
        let content = String::from_utf8(lines.target.content.clone()).unwrap();
        let whole = content.lines().filter(|line| serde_json::from_str::<serde_json::Value>(line).is_ok());
        assert_eq!((content.lines().count(), whole.count()), (3, 2));
        assert_eq!(counts(&lines), (2, 2, 0));
    }

    #[test]
    fn a_large_batch_with_a_small_bound_is_written_as_it_comes() {
        let mut lines = Lines::new(
            Disk { room: 10 << 20, ..Disk::default() },
            128 << 10,
            FieldFilters::none(),
            Form::Tetragon,
        );
        write(&mut lines, 1..=5000).unwrap();
        assert_eq!(counts(&lines), (5000, 5000, 0));
        assert!(lines.pending.is_empty() && lines.pending.capacity() <= super::KEPT_CAPACITY);
    }
}
