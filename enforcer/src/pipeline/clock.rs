//! Boot time to wall-clock time.

use api::event::Timestamp;
use nix::time::{ClockId, clock_gettime};

/// Two clocks of one machine.
pub trait Clock: Send {
    /// Nanoseconds since boot, suspend included (`CLOCK_BOOTTIME`), as in records.
    fn boot(&self) -> u64;
    /// Nanoseconds since the epoch (`CLOCK_REALTIME`).
    fn wall(&self) -> i64;
}

/// The clocks of the running kernel.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

fn nanos(clock: ClockId) -> i64 {
    clock_gettime(clock)
        .map_or(0, |time| time.tv_sec().saturating_mul(1_000_000_000).saturating_add(time.tv_nsec()))
}

impl Clock for SystemClock {
    fn boot(&self) -> u64 {
        nanos(ClockId::CLOCK_BOOTTIME).unsigned_abs()
    }

    fn wall(&self) -> i64 {
        nanos(ClockId::CLOCK_REALTIME)
    }
}

/// Deviation of the wall clock that is followed, in nanoseconds. Smaller ones are noise of the measurement, and would give one moment
/// several times.
const STEP: u64 = 1_000_000;

/// Converts times of records. It follows steps of the wall clock when it is [refreshed](Self::refresh).
#[derive(Clone, Copy, Debug)]
pub(crate) struct WallTime {
    offset: i64,
}

impl WallTime {
    /// Measures the difference of the clocks.
    pub(crate) fn new(clock: &dyn Clock) -> Self {
        Self { offset: measure(clock) }
    }

    /// Measures the difference again.
    pub(crate) fn refresh(&mut self, clock: &dyn Clock) {
        let offset = measure(clock);
        if offset.abs_diff(self.offset) > STEP {
            self.offset = offset;
        }
    }

    /// The time of a record.
    pub(crate) fn at(self, ktime: u64) -> Timestamp {
        let boot = i64::try_from(ktime).unwrap_or(i64::MAX);
        Timestamp::from_nanos(boot.saturating_add(self.offset))
    }
}

/// Wall time minus boot time; the wall clock is read between two readings of the other, so that an interruption shows half.
fn measure(clock: &dyn Clock) -> i64 {
    let before = clock.boot();
    let wall = clock.wall();
    let after = clock.boot();
    let middle = before + after.saturating_sub(before) / 2;
    wall.saturating_sub(i64::try_from(middle).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicI64, Ordering};

    use super::{Clock, SystemClock, WallTime};

    struct Fixed(Arc<AtomicI64>);

    impl Clock for Fixed {
        fn boot(&self) -> u64 {
            1_000
        }

        fn wall(&self) -> i64 {
            self.0.load(Ordering::Relaxed)
        }
    }

    #[test]
    fn a_step_of_the_wall_clock_is_followed_and_jitter_is_not() {
        let wall = Arc::new(AtomicI64::new(5_000_000_000));
        let clock = Fixed(Arc::clone(&wall));
        let mut time = WallTime::new(&clock);
        assert_eq!(time.at(2_000).nanos(), 5_000_001_000);
        wall.store(5_000_000_700, Ordering::Relaxed);
        time.refresh(&clock);
        assert_eq!(time.at(2_000).nanos(), 5_000_001_000);
        wall.store(9_000_000_000, Ordering::Relaxed);
        time.refresh(&clock);
        assert_eq!(time.at(2_000).nanos(), 9_000_001_000);
    }

    #[test]
    fn a_time_that_no_record_can_have_does_not_overflow() {
        let time = WallTime::new(&SystemClock);
        assert!(time.at(u64::MAX) > time.at(0));
    }
}
