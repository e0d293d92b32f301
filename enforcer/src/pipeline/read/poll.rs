//! Waiting for records, or for the end.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::RecordSource;

/// Asks the reader to end, or only wakes it; can be shared.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    asked: Arc<AtomicBool>,
    wake: Arc<EventFd>,
}

impl Stop {
    pub(crate) fn new() -> Result<Self, Errno> {
        let wake = EventFd::from_flags(EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK)?;
        Ok(Self { asked: Arc::default(), wake: Arc::new(wake) })
    }

    /// Asks, and wakes the reader.
    pub(crate) fn ask(&self) {
        self.asked.store(true, Ordering::Release);
        self.wake();
    }

    /// Wakes the reader.
    pub(crate) fn wake(&self) {
        // It fails when the counter is full, and then the reader wakes all the same.
        let _woken = self.wake.write(1);
    }

    /// Takes note of having been woken, unless it is the end, which stays visible.
    fn seen(&self) {
        if !self.asked() {
            let _number = self.wake.read();
        }
    }

    /// Whether it was asked.
    pub(crate) fn asked(&self) -> bool {
        self.asked.load(Ordering::Acquire)
    }
}

/// Waits in one thread.
#[derive(Debug)]
pub(crate) struct Waiter {
    stop: Stop,
}

impl Waiter {
    pub(crate) const fn new(stop: Stop) -> Self {
        Self { stop }
    }

    /// Returns when a source has something, when the end was asked for or it was woken, or after `limit`.
    pub(crate) fn wait<const N: usize>(&self, sources: [&dyn RecordSource; N], limit: Duration) {
        let Ok(limit) = PollTimeout::try_from(limit.min(Duration::from_mins(1))) else { return };
        let mut descriptors = Vec::with_capacity(N + 1);
        descriptors.push(PollFd::new(self.stop.wake.as_fd(), PollFlags::POLLIN));
        let fds = sources.iter().filter_map(|source| source.fd());
        descriptors.extend(fds.map(|fd| PollFd::new(fd, PollFlags::POLLIN)));
        match poll(&mut descriptors, limit) {
            Ok(_) if descriptors.first().is_some_and(|wake| wake.any() == Some(true)) => self.stop.seen(),
            Ok(_) | Err(Errno::EINTR | Errno::EAGAIN) => {}
            // Descriptors that are open and our own cannot fail otherwise; do not spin if they do.
            Err(_) => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Stop, Waiter};
    use crate::pipeline::read::Recorded;

    #[test]
    #[expect(clippy::unwrap_used, reason = "tests")]
    fn a_stop_from_another_thread_ends_the_wait() {
        let stop = Stop::new().unwrap();
        let asking = stop.clone();
        let started = Instant::now();
        let thread = std::thread::spawn(move || asking.ask());
        let source = Recorded::default();
        Waiter::new(stop.clone()).wait([&source, &source], Duration::from_secs(30));
        thread.join().unwrap();
        assert!(stop.asked());
        assert!(started.elapsed() < Duration::from_secs(20));
    }

    #[test]
    #[expect(clippy::unwrap_used, reason = "tests")]
    fn waking_ends_one_wait_and_a_stop_all_of_them() {
        let stop = Stop::new().unwrap();
        let waiter = Waiter::new(stop.clone());
        let source = Recorded::default();
        let wait = |limit: Duration| {
            let started = Instant::now();
            waiter.wait([&source, &source], limit);
            started.elapsed()
        };
        stop.wake();
        assert!(wait(Duration::from_secs(30)) < Duration::from_secs(20));
        assert!(wait(Duration::from_millis(20)) >= Duration::from_millis(20), "it was seen");
        stop.ask();
        for _ in 0..2 {
            assert!(wait(Duration::from_secs(30)) < Duration::from_secs(20));
        }
    }
}
