//! How many events a sink takes in a minute.

use std::time::{Duration, Instant};

/// Between two reports of what was held back.
const REPORT: Duration = Duration::from_mins(1);

/// So many events a minute: as many at once as have not been used for a minute.
#[derive(Debug)]
pub struct Limit {
    per_minute: u32,
    /// Events that may pass now.
    tokens: f64,
    filled: Instant,
    dropped: u64,
    reported: Instant,
}

impl Limit {
    /// A limit that begins at `now`.
    pub fn new(per_minute: u32, now: Instant) -> Self {
        Self { per_minute, tokens: f64::from(per_minute), filled: now, dropped: 0, reported: now }
    }

    /// Whether an event may pass now.
    pub(crate) fn admits(&mut self, now: Instant) -> bool {
        let most = f64::from(self.per_minute);
        let gained = now.saturating_duration_since(self.filled).as_secs_f64() * most / 60.0;
        self.tokens = (self.tokens + gained).min(most);
        self.filled = now;
        if self.tokens < 1.0 {
            self.dropped += 1;
            return false;
        }
        self.tokens -= 1.0;
        true
    }

    /// When to report what was held back, if anything was.
    pub(crate) fn due(&self) -> Option<Instant> {
        (self.dropped > 0).then(|| self.reported + REPORT)
    }

    /// Events held back since this was last asked.
    pub(crate) fn take_dropped(&mut self, now: Instant) -> u64 {
        self.reported = now;
        std::mem::take(&mut self.dropped)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Limit;

    fn admitted(limit: &mut Limit, count: usize, now: Instant) -> usize {
        (0..count).filter(|_| limit.admits(now)).count()
    }

    // proves: FLT-15 (rate)
    #[test]
    fn a_minutes_events_may_come_at_once_and_then_as_time_goes() {
        let start = Instant::now();
        let mut limit = Limit::new(60, start);
        assert_eq!(limit.due(), None);
        assert_eq!(admitted(&mut limit, 100, start), 60);
        assert_eq!(limit.due(), Some(start + Duration::from_mins(1)));
        assert_eq!(admitted(&mut limit, 100, start + Duration::from_secs(10)), 10);
        assert_eq!(limit.take_dropped(start + Duration::from_mins(1)), 130);
        assert_eq!((limit.take_dropped(start), limit.due()), (0, None));
        assert_eq!(admitted(&mut limit, 100, start + Duration::from_hours(9)), 60, "no more than a minute's");
    }
}
