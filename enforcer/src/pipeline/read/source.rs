//! Where records come from.

use std::fmt;
use std::os::fd::{AsFd, BorrowedFd};

use bpf_probes::load::{Head, Ring};

/// One ring, or what stands for it in tests and benchmarks.
pub trait RecordSource: Send {
    /// What lies at the head, as of now. A record stays at the head until [`RecordSource::advance`].
    fn peek(&self) -> Head<'_>;
    /// Passes the record at the head. Its bytes stay valid until [`RecordSource::release`].
    fn advance(&self);
    /// Gives the space of what was passed back.
    fn release(&mut self);
    /// Skips all that is there, for a ring that cannot be read any further; says how many bytes.
    fn skip_all(&mut self) -> u64;
    /// Whether what was passed and not released takes much of the room that programs have to write.
    fn crowded(&self) -> bool;
    /// A descriptor that is readable while records wait; `None` where nothing ever arrives later.
    fn fd(&self) -> Option<BorrowedFd<'_>>;
}

impl RecordSource for Ring {
    fn peek(&self) -> Head<'_> {
        Self::peek(self)
    }

    fn advance(&self) {
        Self::advance(self);
    }

    fn release(&mut self) {
        Self::release(self);
    }

    fn skip_all(&mut self) -> u64 {
        Self::skip_all(self)
    }

    fn crowded(&self) -> bool {
        self.held() > self.size() / 16
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.as_fd())
    }
}

/// The two rings of a daemon.
pub struct Sources {
    /// Observations, and what happens to processes.
    pub events: Box<dyn RecordSource>,
    /// Enforcement.
    pub enforcement: Box<dyn RecordSource>,
}

impl fmt::Debug for Sources {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sources").finish_non_exhaustive()
    }
}
