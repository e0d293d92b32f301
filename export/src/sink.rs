//! What a sink is, and what every sink must count.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Instant;

use api::event::Event;

/// Counts of a sink, kept by the sink and read by anyone. At rest, `received = written + dropped`; while a sink holds
/// events back, because its disk is full say, the difference is what it holds.
#[derive(Debug, Default)]
pub struct Counters {
    received: AtomicU64,
    written: AtomicU64,
    dropped: AtomicU64,
    bytes: AtomicU64,
    limited: AtomicU64,
    newest: AtomicI64,
}

/// The values of [`Counters`] at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Events handed to the sink.
    pub received: u64,
    /// Events that left it whole.
    pub written: u64,
    /// Events that it gave up.
    pub dropped: u64,
    /// Bytes of the events written.
    pub bytes: u64,
    /// Events that a limit held back before they were handed to the sink.
    pub limited: u64,
    /// Seconds since 1970 at which the last event received happened.
    pub newest: i64,
}

impl Counters {
    /// The values now.
    pub fn counts(&self) -> Counts {
        Counts {
            received: self.received.load(Ordering::Relaxed),
            written: self.written.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            limited: self.limited.load(Ordering::Relaxed),
            newest: self.newest.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn add_received(&self, event: &Event) {
        self.received.fetch_add(1, Ordering::Relaxed);
        if let Some(time) = event.time {
            self.newest.store(time.parts().0, Ordering::Relaxed);
        }
    }

    pub(crate) fn add_written(&self, events: u64, bytes: u64) {
        self.written.fetch_add(events, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn add_limited(&self) {
        self.limited.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn add_dropped(&self, events: u64) {
        self.dropped.fetch_add(events, Ordering::Relaxed);
    }
}

/// A sink could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// The file could not be opened or created.
    #[error("cannot open {path} for events: {source}; check that its folder exists and may be written to")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Nothing can be sent to a collector.
    #[error("cannot export to {endpoint}: {reason}")]
    Collector {
        /// Its address.
        endpoint: String,
        /// What stands in the way.
        reason: String,
    },
    /// Standard output could not be taken over.
    #[error("cannot write events to standard output: {source}")]
    Stdout {
        /// What the system said.
        source: io::Error,
    },
}

/// A sink could not write all it was given. It goes on with the next batch.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// The target refused bytes. What fits the buffer is kept and tried again with the next batch.
    #[error(
        "cannot write events to {name}: {source}; {dropped} dropped, {held} bytes held back for the next attempt"
    )]
    Target {
        /// Name of the sink.
        name: String,
        /// What the system said.
        source: io::Error,
        /// Events dropped in this call.
        dropped: u64,
        /// Bytes held back.
        held: usize,
    },
    /// The file could not be put aside. Everything was written, to the old one, which grows.
    #[error("cannot put {name} aside for a new one: {reason}; events go on in it")]
    Rotation {
        /// Name of the sink.
        name: String,
        /// What the system said.
        reason: String,
    },
    /// What was written may be lost if the machine stops.
    #[error("cannot make sure that {name} is on its disk: {source}")]
    Sync {
        /// Name of the sink.
        name: String,
        /// What the system said.
        source: io::Error,
    },
}

/// Takes batches of events and delivers them in its own form.
pub trait Sink: Send {
    /// What logs and metrics call it: `file /var/log/x`, `stdout`.
    fn name(&self) -> &str;

    /// Delivers `events`. Each is counted as received, and sooner or later as written or dropped.
    ///
    /// # Errors
    ///
    /// Where something could not be delivered. The sink stays usable.
    fn write(&mut self, events: &mut dyn Iterator<Item = &Event>) -> Result<(), WriteError>;

    /// When [`Sink::tick`] wants to be called, if no event comes before.
    fn due(&self) -> Option<Instant> {
        None
    }

    /// Does what is due by time.
    ///
    /// # Errors
    ///
    /// As [`Sink::write`].
    fn tick(&mut self) -> Result<(), WriteError> {
        Ok(())
    }

    /// Opens the target anew, after someone moved it away.
    ///
    /// # Errors
    ///
    /// Where that fails; the sink then keeps the target it has.
    fn reopen(&mut self) -> Result<(), OpenError> {
        Ok(())
    }

    /// Delivers what is held back, at the end. What cannot be delivered is dropped.
    ///
    /// # Errors
    ///
    /// Where something was dropped.
    fn finish(&mut self) -> Result<(), WriteError>;

    /// Its counters.
    fn counters(&self) -> Arc<Counters>;
}
