//! Wall-clock time.

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

#[cfg(test)]
mod tests {
    use super::Timestamp;

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
