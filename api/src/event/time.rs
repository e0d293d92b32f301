//! Wall-clock time.

use std::time::{SystemTime, UNIX_EPOCH};

/// Nanoseconds since 1970-01-01T00:00:00Z, good for the years 1677 to 2262.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Timestamp(i64);

impl Timestamp {
    /// A time from nanoseconds since the epoch.
    pub const fn from_nanos(nanos: i64) -> Self {
        Self(nanos)
    }

    /// A time from seconds since the epoch and nanoseconds within the second; `None` beyond what 64 bits of nanoseconds hold.
    pub fn from_parts(seconds: i64, nanos: i32) -> Option<Self> {
        seconds.checked_mul(1_000_000_000)?.checked_add(i64::from(nanos)).map(Self)
    }

    /// Nanoseconds since the epoch.
    pub const fn nanos(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch (rounded down) and the nanoseconds `0..1_000_000_000` after them.
    pub fn parts(self) -> (i64, u32) {
        let nanos = u32::try_from(self.0.rem_euclid(1_000_000_000)).unwrap_or_default();
        (self.0.div_euclid(1_000_000_000), nanos)
    }
}

impl From<SystemTime> for Timestamp {
    /// The epoch for a time before it, the last nanosecond of 64 bits for one after that.
    fn from(time: SystemTime) -> Self {
        let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
        Self(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::Timestamp;

    #[test]
    fn a_time_of_the_system_is_nanoseconds_since_the_epoch() {
        let second = Duration::from_secs(1);
        assert_eq!(Timestamp::from(UNIX_EPOCH + second).nanos(), 1_000_000_000);
        assert_eq!(Timestamp::from(UNIX_EPOCH - second).nanos(), 0);
        assert_eq!(Timestamp::from(UNIX_EPOCH + second * 10_000_000 * 1_000).nanos(), i64::MAX);
    }

    #[test]
    fn a_time_before_the_epoch_has_positive_nanoseconds() {
        assert_eq!(Timestamp::from_nanos(-1).parts(), (-1, 999_999_999));
    }

    #[test]
    fn parts_and_nanoseconds_agree() {
        let time = Timestamp::from_nanos(1_795_443_469_949_105_178);
        let (seconds, nanos) = time.parts();
        assert_eq!((seconds, nanos), (1_795_443_469, 949_105_178));
        assert_eq!(Timestamp::from_parts(seconds, 949_105_178), Some(time));
    }

    #[test]
    fn a_time_beyond_sixty_four_bits_is_none() {
        assert_eq!(Timestamp::from_parts(i64::MAX, 0), None);
    }
}
