//! Lines that wait for the collector: bounded in bytes, and counted to the last.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

use crate::sink::Counters;

/// Events in a request at most.
const BATCH: usize = 512;
/// Bytes of JSON in a request at most, unless one event alone has more: collectors take messages of 4 MiB.
const BATCH_BYTES: usize = 1 << 20;
/// How long an event waits for others to go with it.
const LINGER: Duration = Duration::from_secs(1);

/// An event on its way.
#[derive(Debug)]
pub(super) struct Line {
    /// Its JSON, with the fields that are wanted.
    pub(super) json: Box<[u8]>,
    /// When the sink got it, in nanoseconds since 1970.
    pub(super) observed: u64,
}

/// Lines that go together. Their room is taken until they are [`Queue::settle`]d.
#[derive(Debug)]
pub(super) struct Batch {
    pub(super) lines: Vec<Line>,
    bytes: usize,
}

/// What there is to say of the queue.
#[derive(Debug)]
pub(super) struct Trouble {
    /// Why events are not delivered.
    pub(super) reason: String,
    /// Events dropped since this was last asked.
    pub(super) dropped: u64,
    /// Bytes that wait.
    pub(super) held: usize,
}

#[derive(Debug)]
pub(super) struct Queue {
    bound: usize,
    state: Mutex<State>,
    changed: Notify,
    counters: Arc<Counters>,
}

#[derive(Debug, Default)]
struct State {
    lines: VecDeque<Line>,
    /// Of those lines and of the batch that is under way.
    bytes: usize,
    /// Of those lines.
    waiting: usize,
    /// When the first of them came.
    since: Option<Instant>,
    /// Why the last attempt failed.
    failure: Option<String>,
    /// Dropped and not told yet.
    untold: u64,
}

impl Queue {
    /// A queue of at most `bound` bytes of JSON.
    pub(super) fn new(bound: usize, counters: Arc<Counters>) -> Self {
        Self { bound, state: Mutex::default(), changed: Notify::new(), counters }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts a line in, if there is room.
    pub(super) fn push(&self, line: Line) {
        let mut state = self.lock();
        let size = line.json.len();
        if state.bytes + size > self.bound {
            state.untold += 1;
            drop(state);
            self.counters.add_dropped(1);
            return;
        }
        state.bytes += size;
        state.waiting += size;
        state.since.get_or_insert_with(Instant::now);
        state.lines.push_back(line);
    }

    /// Wakes who waits for lines.
    pub(super) fn wake(&self) {
        self.changed.notify_one();
    }

    /// Returns when [`Queue::wake`] was called since this was last waited for.
    pub(super) async fn changed(&self) {
        self.changed.notified().await;
    }

    /// The oldest lines, if they fill a batch or have waited long enough; with `all`, any.
    ///
    /// # Errors
    /// When to ask again: at that time, or never as long as nothing comes.
    pub(super) fn batch(&self, all: bool) -> Result<Batch, Option<Instant>> {
        let mut state = self.lock();
        let Some(since) = state.since else { return Err(None) };
        let due = since + LINGER;
        if !all && state.lines.len() < BATCH && state.waiting < BATCH_BYTES && Instant::now() < due {
            return Err(Some(due));
        }
        let mut batch = Batch { lines: Vec::new(), bytes: 0 };
        while let Some(line) = state.lines.front() {
            let bytes = batch.bytes + line.json.len();
            if batch.lines.len() == BATCH || (bytes > BATCH_BYTES && !batch.lines.is_empty()) {
                break;
            }
            batch.bytes = bytes;
            batch.lines.extend(state.lines.pop_front());
        }
        state.waiting -= batch.bytes;
        if state.lines.is_empty() {
            state.since = None;
        }
        Ok(batch)
    }

    /// The end of a batch: so many of its first events arrived, the others are given up; and why, if anything went wrong.
    pub(super) fn settle(&self, batch: &Batch, written: usize, failure: Option<String>) {
        let written = written.min(batch.lines.len());
        let dropped = (batch.lines.len() - written) as u64;
        let mut state = self.lock();
        state.bytes -= batch.bytes;
        state.untold += dropped;
        state.failure = failure;
        drop(state);
        // Which ones a collector refused it does not say: sizes are those of the first.
        let bytes: usize = batch.lines.iter().take(written).map(|line| line.json.len()).sum();
        self.counters.add_written(written as u64, bytes as u64);
        self.counters.add_dropped(dropped);
    }

    /// Gives up all that waits.
    pub(super) fn give_up(&self) {
        let mut state = self.lock();
        let dropped = state.lines.len() as u64;
        state.untold += dropped;
        state.bytes -= state.waiting;
        state.waiting = 0;
        state.since = None;
        state.lines.clear();
        drop(state);
        self.counters.add_dropped(dropped);
    }

    /// Notes why an attempt failed that will be made again.
    pub(super) fn note(&self, failure: String) {
        self.lock().failure = Some(failure);
    }

    /// What is wrong, if anything.
    pub(super) fn trouble(&self) -> Option<Trouble> {
        let mut state = self.lock();
        let dropped = std::mem::take(&mut state.untold);
        let slow = || (dropped > 0).then(|| "it takes them too slowly".to_owned());
        let reason = state.failure.clone().or_else(slow)?;
        Some(Trouble { reason, dropped, held: state.bytes })
    }

    /// Whether something may soon be to be said.
    pub(super) fn is_busy(&self) -> bool {
        let state = self.lock();
        state.bytes > 0 || state.untold > 0 || state.failure.is_some()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::sync::Arc;

    use super::{BATCH, BATCH_BYTES, Line, Queue};
    use crate::sink::Counters;

    fn line(size: usize) -> Line {
        Line { json: vec![b' '; size].into(), observed: 0 }
    }

    fn queue(bound: usize) -> (Queue, Arc<Counters>) {
        let counters = Arc::new(Counters::default());
        (Queue::new(bound, Arc::clone(&counters)), counters)
    }

    #[test]
    fn a_full_queue_drops_the_newest_and_has_no_room_before_a_batch_is_settled() {
        let (queue, counters) = queue(100);
        for size in [60, 30, 20] {
            queue.push(line(size));
        }
        let batch = queue.batch(true).unwrap();
        assert_eq!(batch.lines.iter().map(|line| line.json.len()).collect::<Vec<_>>(), [60, 30]);
        queue.push(line(11));
        assert_eq!(queue.trouble().map(|trouble| (trouble.dropped, trouble.held)), Some((2, 90)));
        queue.settle(&batch, 2, None);
        queue.push(line(100));
        assert!(queue.trouble().is_none());
        queue.give_up();
        let counts = counters.counts();
        assert_eq!((counts.written, counts.bytes, counts.dropped), (2, 90, 3));
        queue.push(line(100));
        assert_eq!(queue.trouble().map(|trouble| trouble.dropped), Some(1), "of what was given up");
    }

    #[test]
    fn a_batch_is_bounded_by_number_and_by_bytes_and_waits_until_it_is_full() {
        let (queue, _) = queue(16 << 20);
        queue.push(line(1));
        assert!(queue.batch(false).unwrap_err().is_some());
        for _ in 0..BATCH {
            queue.push(line(1));
        }
        assert_eq!(queue.batch(false).unwrap().lines.len(), BATCH);
        queue.push(line(2 * BATCH_BYTES));
        assert_eq!(queue.batch(false).unwrap().lines.len(), 1);
        assert_eq!(queue.batch(false).unwrap().lines[0].json.len(), 2 * BATCH_BYTES, "alone");
        assert!(queue.batch(true).unwrap_err().is_none());
    }
}
