//! Calls that were reported at their entry and wait for their return.
//!
//! One half of an event comes when the call is entered, the other when it returns; between them the first waits here. Bounded in number and in bytes: the call that waits
//! longest goes first, and is counted. A call of a process that has ended will not return.

use std::collections::{BTreeMap, HashMap};

use api::event::{EventKind, Timestamp};
use bpf_probes::abi::{HookRecord, ReturnRecord};

/// Most bytes of records whose calls are waited for.
const MAX_BYTES: usize = 16 << 20;

/// Which call it is: the same in both records.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
struct Call {
    entered: u64,
    tid: u32,
    layout: u32,
}

/// The half of an event that came at the entry.
#[derive(Debug)]
pub(super) struct Entered {
    /// The event, without what the call returned.
    pub(super) kind: EventKind,
    /// When the call was entered.
    pub(super) time: Timestamp,
}

#[derive(Debug)]
struct Waiter {
    half: Entered,
    number: u64,
    tgid: u32,
    bytes: usize,
}

/// Numbers about calls that are seen to return.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct ReturnStats {
    /// Calls under way.
    pub waiting: u64,
    /// Calls whose two halves became one event.
    pub joined: u64,
    /// Calls that were given up for want of room.
    pub evicted: u64,
    /// Calls under way when their process ended.
    pub ended: u64,
}

/// The calls under way.
#[derive(Debug)]
pub(super) struct Returns {
    capacity: usize,
    calls: HashMap<Call, Waiter>,
    /// By age.
    order: BTreeMap<u64, Call>,
    /// How many of each process.
    processes: HashMap<u32, usize>,
    next: u64,
    bytes: usize,
    stats: ReturnStats,
}

impl Returns {
    /// Waits for at most so many calls.
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            calls: HashMap::new(),
            order: BTreeMap::new(),
            processes: HashMap::new(),
            next: 0,
            bytes: 0,
            stats: ReturnStats::default(),
        }
    }

    pub(super) fn stats(&self) -> ReturnStats {
        ReturnStats { waiting: self.calls.len() as u64, ..self.stats }
    }

    /// A call was entered.
    pub(super) fn enter(&mut self, record: &HookRecord, half: Entered) {
        let call = Call { entered: record.header.ktime, tid: record.tid, layout: record.layout };
        self.remove(call);
        let bytes = usize::try_from(record.header.size).unwrap_or(usize::MAX);
        let (number, tgid) = (self.next, record.process.tgid);
        self.next += 1;
        self.order.insert(number, call);
        *self.processes.entry(tgid).or_default() += 1;
        self.bytes = self.bytes.saturating_add(bytes);
        self.calls.insert(call, Waiter { half, number, tgid, bytes });
        while self.calls.len() > self.capacity || (self.bytes > MAX_BYTES && self.calls.len() > 1) {
            let Some((_, &oldest)) = self.order.first_key_value() else { return };
            self.remove(oldest);
            self.stats.evicted += 1;
        }
    }

    /// A call returned: what came at its entry, unless that was lost.
    pub(super) fn leave(&mut self, record: &ReturnRecord) -> Option<Entered> {
        self.remove(Call { entered: record.entered, tid: record.tid, layout: record.layout })
    }

    /// Two halves became one event.
    pub(super) const fn joined(&mut self) {
        self.stats.joined += 1;
    }

    /// A process ended, and none of its calls will return.
    pub(super) fn end(&mut self, tgid: u32) {
        if !self.processes.contains_key(&tgid) {
            return;
        }
        let of_process = |call: &&Call| self.calls.get(*call).is_some_and(|waiter| waiter.tgid == tgid);
        let gone: Vec<Call> = self.order.values().filter(of_process).copied().collect();
        for call in gone {
            self.remove(call);
            self.stats.ended += 1;
        }
    }

    fn remove(&mut self, call: Call) -> Option<Entered> {
        let waiter = self.calls.remove(&call)?;
        self.order.remove(&waiter.number);
        self.bytes = self.bytes.saturating_sub(waiter.bytes);
        if let Some(left) = self.processes.get_mut(&waiter.tgid) {
            *left -= 1;
            if *left == 0 {
                self.processes.remove(&waiter.tgid);
            }
        }
        Some(waiter.half)
    }
}

#[cfg(test)]
mod tests {
    use api::event::{EventKind, Kprobe, Timestamp};
    use bpf_probes::abi::{Header, HookRecord, ProcessKey, ReturnRecord};

    use super::{Entered, MAX_BYTES, Returns};

    fn enter(returns: &mut Returns, tgid: u32, entered: u64, size: u32) {
        let record = HookRecord {
            header: Header { ktime: entered, size, ..Header::default() },
            process: ProcessKey { tgid, ..ProcessKey::default() },
            tid: tgid,
            layout: 1,
            ..HookRecord::default()
        };
        let half = Entered { kind: EventKind::Kprobe(Kprobe::default()), time: Timestamp::default() };
        returns.enter(&record, half);
    }

    fn leave(returns: &mut Returns, tid: u32, entered: u64) -> bool {
        returns.leave(&ReturnRecord { entered, tid, layout: 1, ..ReturnRecord::default() }).is_some()
    }

    #[test]
    fn a_call_returns_once() {
        let mut returns = Returns::new(10);
        enter(&mut returns, 1, 5, 64);
        assert!(!leave(&mut returns, 1, 6) && !leave(&mut returns, 2, 5));
        assert!(leave(&mut returns, 1, 5) && !leave(&mut returns, 1, 5));
        assert_eq!((returns.stats().waiting, returns.bytes, returns.processes.len()), (0, 0, 0));
    }

    // proves: EVT-18 (LRU)
    #[test]
    fn the_call_that_waits_longest_makes_room_and_is_counted() {
        let mut returns = Returns::new(3);
        for tid in 0..10 {
            enter(&mut returns, tid, 5, 64);
        }
        assert_eq!((returns.stats().waiting, returns.stats().evicted), (3, 7));
        assert!(!leave(&mut returns, 6, 5) && leave(&mut returns, 7, 5));
        let mut returns = Returns::new(10_000);
        for tid in 0..2_000 {
            enter(&mut returns, tid, 5, 24_576);
        }
        assert!(returns.bytes <= MAX_BYTES && returns.order.len() == returns.calls.len());
    }

    #[test]
    fn calls_of_a_process_that_ended_are_not_waited_for() {
        let mut returns = Returns::new(10);
        enter(&mut returns, 1, 5, 64);
        enter(&mut returns, 1, 6, 64);
        enter(&mut returns, 2, 5, 64);
        returns.end(1);
        returns.end(3);
        assert_eq!((returns.stats().waiting, returns.stats().ended, returns.stats().evicted), (1, 2, 0));
        assert!(leave(&mut returns, 2, 5));
    }
}
