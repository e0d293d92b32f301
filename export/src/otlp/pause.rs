//! How long to wait before the next attempt.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

const FIRST: Duration = Duration::from_millis(500);
const LONGEST: Duration = Duration::from_secs(30);
/// No collector may ask for more.
const MOST_ASKED: Duration = Duration::from_mins(5);

/// Pauses between attempts: each twice the one before, up to half a minute, less up to a half by chance, so that many nodes do not come back at once.
#[derive(Debug)]
pub(super) struct Pauses {
    next: Duration,
}

impl Pauses {
    pub(super) const fn new() -> Self {
        Self { next: FIRST }
    }

    /// The next pause, and no less than what the collector `asked` for.
    pub(super) fn take(&mut self, asked: Option<Duration>) -> Duration {
        let half = self.next / 2;
        self.next = (self.next * 2).min(LONGEST);
        let chance = RandomState::new().hash_one(0) % 1024;
        let pause = half + half * u32::try_from(chance).unwrap_or_default() / 1024;
        pause.max(asked.unwrap_or_default().min(MOST_ASKED))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Pauses;

    #[test]
    fn pauses_grow_up_to_half_a_minute_and_are_no_shorter_than_what_is_asked_for() {
        let mut pauses = Pauses::new();
        let taken: Vec<_> = (0..20).map(|_| pauses.take(None)).collect();
        assert!(taken[0] >= Duration::from_millis(250) && taken[0] <= Duration::from_millis(500));
        assert!(taken[19] >= Duration::from_secs(15) && taken[19] <= Duration::from_secs(30));
        assert_eq!(pauses.take(Some(Duration::from_secs(100))), Duration::from_secs(100));
        assert_eq!(pauses.take(Some(Duration::from_hours(9))), Duration::from_mins(5));
    }
}
