//! Counts by name.

use std::collections::HashMap;
use std::time::Duration;

/// So many names are kept.
pub(super) const LIMIT: usize = 1_024;
/// So many characters of a name are kept.
const NAME_LIMIT: usize = 256;

/// How often something happened.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Count {
    /// Since it was first seen.
    pub(super) total: u64,
    /// A second, over the last interval.
    pub(super) rate: f64,
    /// Since the last interval began.
    fresh: u64,
    /// When it happened last, in events.
    last: u64,
}

impl Count {
    /// Counts one, the event of that number.
    pub(super) fn add(&mut self, event: u64) {
        self.total += 1;
        self.fresh += 1;
        self.last = event;
    }

    /// Ends an interval.
    pub(super) fn tick(&mut self, interval: Duration) {
        self.rate = if interval.is_zero() { 0.0 } else { per_second(self.fresh, interval) };
        self.fresh = 0;
    }

    /// When it happened last, in events.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// The busier first, then the one that happened more often.
    pub(super) fn busier(&self, other: &Self) -> std::cmp::Ordering {
        other.rate.total_cmp(&self.rate).then(other.total.cmp(&self.total))
    }
}

#[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
fn per_second(count: u64, interval: Duration) -> f64 {
    count as f64 / interval.as_secs_f64()
}

/// Counts by name; at most [`LIMIT`] names, the one that happened longest ago goes first.
#[derive(Debug, Default)]
pub(super) struct Tally {
    counts: HashMap<String, Count>,
    events: u64,
}

impl Tally {
    /// Counts one for `name`.
    pub(super) fn add(&mut self, name: &str) {
        self.events += 1;
        let name = cut(name);
        if !self.counts.contains_key(name) && self.counts.len() >= LIMIT {
            let oldest = self.counts.iter().min_by_key(|(_, count)| count.last).map(|(name, _)| name.clone());
            oldest.map(|name| self.counts.remove(&name));
        }
        self.counts.entry(name.to_owned()).or_default().add(self.events);
    }

    /// Ends an interval.
    pub(super) fn tick(&mut self, interval: Duration) {
        self.counts.values_mut().for_each(|count| count.tick(interval));
    }

    /// All, the busiest first.
    pub(super) fn busiest(&self) -> Vec<(&str, Count)> {
        let mut all: Vec<_> = self.counts.iter().map(|(name, count)| (name.as_str(), *count)).collect();
        all.sort_by(|(a_name, a), (b_name, b)| a.busier(b).then(a_name.cmp(b_name)));
        all
    }
}

/// The beginning of a name.
pub(super) fn cut(name: &str) -> &str {
    name.char_indices().nth(NAME_LIMIT).and_then(|(end, _)| name.get(..end)).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_busiest_come_first_and_an_interval_without_events_has_none() {
        let mut tally = Tally::default();
        for name in ["a", "b", "b", "c"] {
            tally.add(name);
        }
        tally.tick(Duration::from_millis(500));
        let names =
            |tally: &Tally| tally.busiest().iter().map(|(name, _)| (*name).to_owned()).collect::<Vec<_>>();
        assert_eq!(names(&tally), ["b", "a", "c"]);
        assert!((tally.busiest()[0].1.rate - 4.0).abs() < 1e-9);
        tally.add("c");
        tally.tick(Duration::from_secs(1));
        assert_eq!(names(&tally), ["c", "b", "a"]);
        assert!(tally.busiest()[1].1.rate.abs() < 1e-9 && tally.busiest()[1].1.total == 2);
    }

    #[test]
    fn names_without_end_do_not_fill_the_memory() {
        let mut tally = Tally::default();
        for number in 0..3 * LIMIT {
            tally.add("kept");
            tally.add(&format!("{number}{}", "ü".repeat(1_000)));
        }
        assert_eq!(tally.counts.len(), LIMIT);
        assert!(tally.counts.contains_key("kept"));
        assert!(tally.counts.keys().all(|name| name.chars().count() <= NAME_LIMIT));
    }
}
