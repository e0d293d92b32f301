//! Two rings into one sequence in which causes come before effects.
//!
//! The claim: if record E was submitted before record H was begun (E the exec of a process, H a hook that it ran into; or E an enforcement, H
//! the exit that it led to), then E is emitted before H, whichever rings they are in.
//!
//! Programs read the clock before they reserve space. So for each record `clock < reserved < submitted`, and within a ring the order is that
//! of `reserved`.
//!
//! 1. *Same ring.* Records are emitted in the order of the ring, and E was reserved first.
//! 2. *Different rings.* H stands at the head of its ring. It is emitted only if the other ring, looked at after H was seen, was empty or
//!    has a head X with a later clock.
//!    - Empty: E was submitted before H was reserved. Who sees H submitted sees E too (the kernel publishes the producer position with
//!      release, a commit is an exchange), so E is not waiting there: it was emitted.
//!    - X with `clock(X) > clock(H)`: were E still waiting, it would be X or behind X, so `clock(X) < reserved(X) <= reserved(E) < submitted(E)`,
//!      and that is before `clock(H)`: a contradiction.
//!
//!    Nothing is emitted while a head is still being written, as its clock is not known and E may lie behind it. The writer runs on some CPU or
//!    will soon; if it is held up for longer than the reader's patience, the other ring goes on, and [`Next::Record`] says so.
//! 3. *Equal clocks.* Enforcement goes first. Between the clocks of a cause and its effect lie two program runs, which is longer than any
//!    clock of the kernel ticks; the deviation that `ktime_get_boot_fast_ns` may show between CPUs is shorter, too.

use std::sync::atomic::{Ordering, fence};

use bpf_probes::load::Head;

use super::{RecordSource, Sources};

/// Which ring a record came through.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum RingName {
    /// Observations, and what happens to processes.
    Events,
    /// Enforcement.
    Enforcement,
}

/// A record as it lies in its ring.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct RawRecord<'ring> {
    /// Which ring.
    pub(crate) ring: RingName,
    /// Its bytes.
    pub(crate) bytes: &'ring [u8],
}

/// What the merge has to give.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Next<'ring> {
    /// The next record, which has been passed. `unordered`: patience ended, so that what led to it may still come.
    Record { record: RawRecord<'ring>, unordered: bool },
    /// Both rings are empty.
    Empty,
    /// A head is still being written.
    Busy,
    /// A ring holds what no kernel writes.
    Corrupt(RingName),
}

/// Two rings read as one.
pub(crate) struct Merge {
    events: Box<dyn RecordSource>,
    enforcement: Box<dyn RecordSource>,
}

impl Merge {
    pub(crate) fn new(sources: Sources) -> Self {
        Self { events: sources.events, enforcement: sources.enforcement }
    }

    /// Both rings, for waiting.
    pub(crate) fn sources(&self) -> [&dyn RecordSource; 2] {
        [&*self.events, &*self.enforcement]
    }

    /// The ring that may not wait while observations gather.
    pub(crate) fn urgent(&self) -> [&dyn RecordSource; 1] {
        [&*self.enforcement]
    }

    /// Whether programs may soon run out of room.
    pub(crate) fn crowded(&self) -> bool {
        self.events.crowded() || self.enforcement.crowded()
    }

    /// Whether both rings are empty, as of now.
    pub(crate) fn is_empty(&self) -> bool {
        // What was released must be seen by programs before this looks for what they wrote.
        fence(Ordering::SeqCst);
        self.events.peek() == Head::Empty && self.enforcement.peek() == Head::Empty
    }

    fn source(&mut self, ring: RingName) -> &mut dyn RecordSource {
        match ring {
            RingName::Events => &mut *self.events,
            RingName::Enforcement => &mut *self.enforcement,
        }
    }

    /// The next record. `impatient`: a head that is still being written does not hold up the other ring.
    pub(crate) fn next(&self, impatient: bool) -> Next<'_> {
        loop {
            let mut events = self.events.peek();
            let enforcement = self.enforcement.peek();
            if events == Head::Empty {
                // Not empty *after* the other head was seen, unless looked at again.
                events = self.events.peek();
                if let (Head::Record(_), Head::Empty) = (events, enforcement) {
                    // Now it is the other ring that was looked at too early.
                    continue;
                }
            }
            return match (events, enforcement) {
                (Head::Corrupt, _) => Next::Corrupt(RingName::Events),
                (_, Head::Corrupt) => Next::Corrupt(RingName::Enforcement),
                (Head::Record(event), Head::Record(enforced)) => {
                    if clock(enforced) <= clock(event) {
                        self.pass_enforcement(enforced, false)
                    } else {
                        self.pass_event(event, false)
                    }
                }
                (Head::Record(event), Head::Empty) => self.pass_event(event, false),
                (Head::Empty, Head::Record(enforced)) => self.pass_enforcement(enforced, false),
                (Head::Record(event), Head::Busy) if impatient => self.pass_event(event, true),
                (Head::Busy, Head::Record(enforced)) if impatient => self.pass_enforcement(enforced, true),
                (Head::Empty, Head::Empty) => Next::Empty,
                (Head::Busy, _) | (_, Head::Busy) => Next::Busy,
            };
        }
    }

    fn pass_event<'ring>(&'ring self, bytes: &'ring [u8], unordered: bool) -> Next<'ring> {
        self.events.advance();
        Next::Record { record: RawRecord { ring: RingName::Events, bytes }, unordered }
    }

    fn pass_enforcement<'ring>(&'ring self, bytes: &'ring [u8], unordered: bool) -> Next<'ring> {
        self.enforcement.advance();
        Next::Record { record: RawRecord { ring: RingName::Enforcement, bytes }, unordered }
    }

    /// Gives the space of all records passed back to the kernel.
    pub(crate) fn release(&mut self) {
        self.events.release();
        self.enforcement.release();
    }

    /// Skips all that a ring holds; says how many bytes.
    pub(crate) fn skip_all(&mut self, ring: RingName) -> u64 {
        self.source(ring).skip_all()
    }
}

/// The clock in a record's header; 0 for one without, which the decoder refuses.
fn clock(bytes: &[u8]) -> u64 {
    bytes.get(8..16).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_ne_bytes)
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::os::fd::BorrowedFd;
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};

    use bpf_probes::abi::{ExitRecord, Header};
    use bpf_probes::load::Head;

    use super::{Merge, Next, RingName, clock};
    use crate::pipeline::read::{RecordSource, Recorded, Sources, record_bytes};

    fn record(ktime: u64) -> Box<[u64]> {
        let header = Header { kind: 3, ktime, ..Header::default() };
        record_bytes(&ExitRecord { header, ..ExitRecord::default() }, &[])
    }

    fn merge(events: &[u64], enforcement: &[u64]) -> Merge {
        let ring = |times: &[u64]| Box::new(Recorded::new(times.iter().map(|time| record(*time)).collect()));
        Merge::new(Sources { events: ring(events), enforcement: ring(enforcement) })
    }

    fn drain(merge: &Merge) -> Vec<(RingName, u64)> {
        std::iter::from_fn(|| match merge.next(false) {
            Next::Record { record, .. } => Some((record.ring, clock(record.bytes))),
            Next::Empty | Next::Busy | Next::Corrupt(_) => None,
        })
        .collect()
    }

    #[test]
    fn records_come_by_time_and_enforcement_first_on_a_tie() {
        use RingName::{Enforcement, Events};
        let merge = merge(&[1, 3, 5, 9], &[2, 5, 10]);
        let expected = [
            (Events, 1),
            (Enforcement, 2),
            (Events, 3),
            (Enforcement, 5),
            (Events, 5),
            (Events, 9),
            (Enforcement, 10),
        ];
        assert_eq!(drain(&merge), expected);
        assert_eq!(merge.next(false), Next::Empty);
    }

    #[test]
    fn a_record_behind_a_later_one_in_its_ring_keeps_its_place() {
        let merge = merge(&[7, 6], &[6]);
        assert_eq!(drain(&merge), [(RingName::Enforcement, 6), (RingName::Events, 7), (RingName::Events, 6)]);
    }

    /// A ring into which records appear when the *other* ring is looked at: what another CPU does at the worst moment.
    struct Racing {
        /// Looks at either ring so far.
        looks: Arc<AtomicU32>,
        /// (looks after which it is there, record)
        records: Vec<(u32, Box<[u64]>)>,
        next: Cell<usize>,
        busy_until: u32,
    }

    impl RecordSource for Racing {
        fn peek(&self) -> Head<'_> {
            let now = self.looks.fetch_add(1, Ordering::Relaxed) + 1;
            if now < self.busy_until {
                return Head::Busy;
            }
            match self.records.get(self.next.get()) {
                Some((from, record)) if *from <= now => {
                    Head::Record(zerocopy::IntoBytes::as_bytes(&**record))
                }
                _ => Head::Empty,
            }
        }

        fn advance(&self) {
            self.next.set(self.next.get() + 1);
        }

        fn release(&mut self) {}

        fn skip_all(&mut self) -> u64 {
            0
        }

        fn crowded(&self) -> bool {
            false
        }

        fn fd(&self) -> Option<BorrowedFd<'_>> {
            None
        }
    }

    /// Both records arrive just before look number `at`, exec (time 1) in one ring, what follows from it (time 2) in the other.
    fn race(at: u32, exec_in_events: bool) -> Vec<u64> {
        let looks = Arc::new(AtomicU32::new(0));
        let ring = |time| {
            Box::new(Racing {
                looks: Arc::clone(&looks),
                records: vec![(at, record(time))],
                next: Cell::new(0),
                busy_until: 0,
            })
        };
        let (first, second) = (ring(1), ring(2));
        let merge = Merge::new(if exec_in_events {
            Sources { events: first, enforcement: second }
        } else {
            Sources { events: second, enforcement: first }
        });
        let mut times = Vec::new();
        for _ in 0..20 {
            if let Next::Record { record, .. } = merge.next(false) {
                times.push(clock(record.bytes));
            }
        }
        times
    }

    #[test]
    fn a_cause_comes_first_whenever_both_records_appear() {
        for at in 0..20 {
            for exec_in_events in [true, false] {
                assert_eq!(
                    race(at, exec_in_events),
                    [1, 2],
                    "at look {at}, exec in events: {exec_in_events}"
                );
            }
        }
    }

    #[test]
    fn a_record_that_is_still_being_written_holds_up_the_other_ring_until_patience_ends() {
        let looks = Arc::new(AtomicU32::new(0));
        let busy = Racing {
            looks: Arc::clone(&looks),
            records: vec![(0, record(1))],
            next: Cell::new(0),
            busy_until: 10,
        };
        let merge = Merge::new(Sources {
            events: Box::new(busy),
            enforcement: Box::new(Recorded::new(vec![record(2)])),
        });
        assert_eq!(merge.next(false), Next::Busy);
        looks.store(20, Ordering::Relaxed);
        assert_eq!(drain(&merge), [(RingName::Events, 1), (RingName::Enforcement, 2)]);

        let busy =
            Racing { looks: Arc::default(), records: Vec::new(), next: Cell::new(0), busy_until: u32::MAX };
        let merge = Merge::new(Sources {
            events: Box::new(busy),
            enforcement: Box::new(Recorded::new(vec![record(2)])),
        });
        assert!(matches!(merge.next(true), Next::Record { unordered: true, .. }));
        assert_eq!(merge.next(true), Next::Busy);
    }
}
