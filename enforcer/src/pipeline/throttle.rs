//! Cgroups that are throttled now.
//!
//! The kernel says when a cgroup goes over its rate on a CPU, and again each second as long as it is over it. It is let go on that CPU a fixed time after the last
//! such record, and told so here at the same time: nothing is asked of the kernel.

use std::collections::HashMap;

use api::event::{EventKind, Throttle};
use api::name::ThrottleType;
use bpf_probes::abi::{RATES, THROTTLE_LASTS, ThrottleRecord};

/// How often cgroups were throttled and let go.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ThrottleStats {
    /// Events that say that a cgroup is throttled.
    pub started: u64,
    /// Events that say that it is let go.
    pub stopped: u64,
    /// Cgroups that were throttled and not announced, because too many were at once.
    pub untold: u64,
}

/// One of them.
#[derive(Debug)]
struct Throttled {
    name: Box<str>,
    /// When it is let go on all CPUs, in nanoseconds since boot.
    until: u64,
}

/// Those that are throttled, as many as the kernel counts at most.
#[derive(Debug)]
pub(super) struct Throttling {
    cgroups: HashMap<u64, Throttled>,
    /// No time at which one is let go comes before this one.
    next: u64,
    stats: ThrottleStats,
}

fn event(kind: ThrottleType, cgroup: Box<str>) -> EventKind {
    EventKind::Throttle(Throttle { kind, cgroup })
}

impl Throttling {
    pub(super) fn new() -> Self {
        Self { cgroups: HashMap::new(), next: u64::MAX, stats: ThrottleStats::default() }
    }

    pub(super) const fn stats(&self) -> ThrottleStats {
        self.stats
    }

    /// Takes what the kernel says of a cgroup; the event if that is new.
    pub(super) fn told(&mut self, record: &ThrottleRecord) -> Option<EventKind> {
        let until = record.header.ktime.saturating_add(THROTTLE_LASTS);
        if let Some(known) = self.cgroups.get_mut(&record.cgroup_id) {
            known.until = known.until.max(until);
            return None;
        }
        if self.cgroups.len() >= RATES as usize {
            self.stats.untold += 1;
            return None;
        }
        let end = record.name.iter().position(|byte| *byte == 0).unwrap_or(record.name.len());
        let name: Box<str> = String::from_utf8_lossy(&record.name[..end]).into();
        self.cgroups.insert(record.cgroup_id, Throttled { name: name.clone(), until });
        self.next = self.next.min(until);
        self.stats.started += 1;
        Some(event(ThrottleType::Start, name))
    }

    /// When to look next whether one is to be let go, in nanoseconds since boot; `u64::MAX` if none is throttled.
    pub(super) const fn next(&self) -> u64 {
        self.next
    }

    /// Lets those go whose time has come by `now`, and says when that was; the first one first.
    pub(super) fn let_go(&mut self, now: u64) -> Vec<(EventKind, u64)> {
        if now < self.next {
            return Vec::new();
        }
        let over = self.cgroups.extract_if(|_, throttled| throttled.until <= now);
        let mut over: Vec<_> = over.map(|(id, throttled)| (throttled.until, id, throttled.name)).collect();
        over.sort_unstable();
        self.next = self.cgroups.values().map(|throttled| throttled.until).min().unwrap_or(u64::MAX);
        self.stats.stopped += over.len() as u64;
        over.into_iter().map(|(until, _, name)| (event(ThrottleType::Stop, name), until)).collect()
    }
}

#[cfg(test)]
mod tests {
    use bpf_probes::abi::{Header, RecordKind};

    use super::*;

    fn record(cgroup_id: u64, ktime: u64, text: &[u8]) -> ThrottleRecord {
        let mut name = [0; 128];
        name[..text.len()].copy_from_slice(text);
        let header = Header { kind: RecordKind::Throttle as u8, ktime, ..Header::default() };
        ThrottleRecord { header, cgroup_id, name }
    }

    #[test]
    fn a_cgroup_is_let_go_a_fixed_time_after_the_last_word_of_any_cpu() {
        let mut throttling = Throttling::new();
        assert_eq!(throttling.next(), u64::MAX);
        assert_eq!(throttling.told(&record(7, 100, b"a")), Some(event(ThrottleType::Start, "a".into())));
        assert_eq!(throttling.told(&record(7, 300, b"a")), None);
        assert_eq!(throttling.told(&record(7, 200, b"a")), None, "another CPU, which reads later");
        assert_eq!(throttling.next(), 100 + THROTTLE_LASTS, "as was known first");
        assert_eq!(throttling.let_go(299 + THROTTLE_LASTS), []);
        assert_eq!(throttling.next(), 300 + THROTTLE_LASTS);
        let over = throttling.let_go(300 + THROTTLE_LASTS);
        assert_eq!(over, [(event(ThrottleType::Stop, "a".into()), 300 + THROTTLE_LASTS)]);
        assert_eq!(throttling.next(), u64::MAX);
        assert_eq!(throttling.stats(), ThrottleStats { started: 1, stopped: 1, untold: 0 });
    }

    #[test]
    fn cgroups_are_let_go_in_the_order_of_their_times_and_their_number_is_bounded() {
        let mut throttling = Throttling::new();
        for id in 0..u64::from(RATES) {
            assert!(throttling.told(&record(id, u64::from(RATES) - id, b"\xff")).is_some());
        }
        assert_eq!(throttling.told(&record(u64::MAX, 1, &[b'n'; 128])), None);
        assert_eq!(throttling.stats().untold, 1);
        let over = throttling.let_go(u64::MAX);
        assert_eq!(over.len(), RATES as usize);
        assert!(over.is_sorted_by_key(|(_, until)| *until));
        assert_eq!(over[0].0, event(ThrottleType::Stop, "\u{fffd}".into()), "a name is any bytes");
    }
}
