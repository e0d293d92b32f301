//! The processes that are known.
//!
//! Invariants:
//! - An entry's references are one for its own life and one for each living entry whose parent it is. The first goes with its end
//!   (exit, or the exec that replaces it), those of its parent with the end of the child.
//! - Where entries keep their ancestors ([`Lineage::Kept`]), an entry holds its parent as long as it is referred to itself, not only while it runs.
//! - An entry without references is in the release queue, and only such are removed, unless the table is full.
//! - There are never more entries than the capacity. A full table removes ended processes first, then the one used longest ago.

use std::collections::{HashMap, HashSet};

use api::event::{Process, ProcessRef, SharedProcess};
use bpf_probes::abi::ProcessKey;
use foldhash::fast::RandomState;

use super::order::Order;
use super::release::ReleaseQueue;
use crate::pipeline::inspect::{KnownProcess, Stage};

/// One incarnation of a process: from its exec or fork to the next exec or its end.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) struct Incarnation {
    /// Thread group id.
    pub(crate) tgid: u32,
    /// Boot-time nanoseconds of its beginning.
    pub(crate) ktime: u64,
}

impl From<ProcessKey> for Incarnation {
    fn from(key: ProcessKey) -> Self {
        Self { tgid: key.tgid, ktime: key.ktime }
    }
}

/// The pseudo process that stands for the kernel.
pub(crate) const KERNEL: Incarnation = Incarnation { tgid: 0, ktime: 1 };

/// What is known of a process.
#[derive(Clone, Debug)]
pub(crate) struct Known {
    /// What events show.
    pub(crate) process: SharedProcess,
    /// Its parent.
    pub(crate) parent: Option<Incarnation>,
    /// References that events show where they do not show the current ones: one for a process that was forked, else none, as upstream.
    pub(crate) shown_refcnt: u32,
    /// A thread of the kernel: kept, but not exported.
    pub(crate) kernel_thread: bool,
}

/// How long an entry holds its parent in the table.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Lineage {
    /// While it runs: events show a process and its parent.
    Parent,
    /// While anybody refers to it: events show all ancestors.
    Kept,
}

/// The youngest process that has no ancestors to show: init is 1, the father of the kernel's threads 2.
const OLDEST: u32 = 2;
/// Most ancestors that an event shows; who forks deeper than that makes no event grow without bound.
const MAX_ANCESTORS: usize = 256;

/// Most bytes of arguments and variables of ended processes that are kept.
const RELEASED_BYTES: usize = 16 << 20;

#[derive(Debug)]
struct Entry {
    id: Incarnation,
    known: Known,
    /// Of its arguments and variables.
    bytes: usize,
    references: u32,
    /// Its own reference is still held.
    running: bool,
    /// It holds a reference to its parent.
    holds_parent: bool,
    /// It is in the release queue.
    queued: bool,
}

/// Numbers about the table.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct TableStats {
    /// Entries now.
    pub entries: usize,
    /// Entries of processes that run.
    pub running: usize,
    /// Entries that were removed, for any reason.
    pub removed: u64,
    /// Ended processes that wait for their removal.
    pub released: usize,
    /// Entries in use that were removed because the table was full.
    pub evicted: u64,
    /// Ended ones that were removed before their time.
    pub released_early: u64,
}

/// The table. Its keys are numbers of the kernel's making, so that a fast hash with a random key will do.
#[derive(Debug)]
pub(crate) struct Table {
    capacity: usize,
    released_limit: usize,
    lineage: Lineage,
    slots: Vec<Option<Entry>>,
    free: Vec<u32>,
    index: HashMap<Incarnation, u32, RandomState>,
    /// The newest incarnation of each process.
    newest: HashMap<u32, Incarnation, RandomState>,
    order: Order,
    queue: ReleaseQueue,
    /// Of entries in the queue.
    released_bytes: usize,
    running: usize,
    removed: u64,
    evicted: u64,
    released_early: u64,
}

impl Table {
    /// A table for at most `capacity` processes (two at least), of which `released_limit` may have ended.
    pub(crate) fn new(capacity: usize, released_limit: usize, lineage: Lineage) -> Self {
        Self {
            capacity: capacity.max(2),
            released_limit,
            lineage,
            slots: Vec::new(),
            free: Vec::new(),
            index: HashMap::default(),
            newest: HashMap::default(),
            order: Order::new(),
            queue: ReleaseQueue::default(),
            released_bytes: 0,
            running: 0,
            removed: 0,
            evicted: 0,
            released_early: 0,
        }
    }

    pub(crate) fn stats(&self) -> TableStats {
        TableStats {
            entries: self.index.len(),
            running: self.running,
            removed: self.removed,
            released: self.queue.len(),
            evicted: self.evicted,
            released_early: self.released_early,
        }
    }

    /// All entries, those that began first before the others.
    pub(crate) fn known(&self) -> Vec<KnownProcess> {
        let ready: HashSet<Incarnation> = self.queue.ready().collect();
        let mut entries: Vec<&Entry> = self.slots.iter().flatten().collect();
        entries.sort_unstable_by_key(|entry| (entry.id.ktime, entry.id.tgid));
        let show = |entry: &Entry| KnownProcess {
            process: ProcessRef::new(entry.known.process.clone(), entry.references),
            stage: match (entry.queued, ready.contains(&entry.id)) {
                (false, _) => Stage::InUse,
                (true, false) => Stage::Ended,
                (true, true) => Stage::Ready,
            },
        };
        entries.into_iter().map(show).collect()
    }

    fn entry(&mut self, id: Incarnation) -> Option<&mut Entry> {
        let slot = *self.index.get(&id)?;
        self.slots.get_mut(slot as usize)?.as_mut()
    }

    /// What is known of `id`; counts as a use.
    pub(crate) fn get(&mut self, id: Incarnation) -> Option<&Known> {
        let slot = *self.index.get(&id)?;
        self.order.touch(slot);
        self.slots.get(slot as usize)?.as_ref().map(|entry| &entry.known)
    }

    pub(crate) fn contains(&self, id: Incarnation) -> bool {
        self.index.contains_key(&id)
    }

    /// The running incarnation of a process.
    pub(crate) fn current(&self, tgid: u32) -> Option<Incarnation> {
        self.newest(tgid).filter(|id| self.is_running(*id))
    }

    /// The incarnation that ran last under a number, whether it has ended or not.
    pub(crate) fn newest(&self, tgid: u32) -> Option<Incarnation> {
        self.newest.get(&tgid).copied()
    }

    fn is_running(&self, id: Incarnation) -> bool {
        let slot = self.index.get(&id).and_then(|slot| self.slots.get(*slot as usize));
        slot.and_then(Option::as_ref).is_some_and(|entry| entry.running)
    }

    /// `id` as events show it that do not count references.
    pub(crate) fn show(&mut self, id: Incarnation) -> Option<ProcessRef> {
        let known = self.get(id)?;
        Some(ProcessRef::new(known.process.clone(), known.shown_refcnt))
    }

    /// `id` as events show it, and its parent. `live`: with its references as of now.
    pub(crate) fn show_with_parent(
        &mut self,
        id: Incarnation,
        live: bool,
    ) -> Option<(ProcessRef, Option<Incarnation>)> {
        let slot = *self.index.get(&id)?;
        self.order.touch(slot);
        let Entry { known, references, .. } = self.slots.get(slot as usize)?.as_ref()?;
        let references = if live { *references } else { known.shown_refcnt };
        Some((ProcessRef::new(known.process.clone(), references), known.parent))
    }

    /// The ancestors of `parent`, its own parent first, up to init or the father of the kernel's threads, as far as they are in the table.
    pub(crate) fn ancestors(&mut self, parent: Incarnation) -> Vec<ProcessRef> {
        let mut ancestors = Vec::new();
        let mut of = parent;
        while of.tgid > OLDEST && ancestors.len() < MAX_ANCESTORS {
            let Some(next) = self.get(of).and_then(|known| known.parent) else { break };
            let Some(shown) = self.show(next) else { break };
            ancestors.push(shown);
            of = next;
        }
        ancestors
    }

    /// Adds a process that has begun, with a reference to its parent, where the table has it. It is the current one of its pid from now on. A
    /// process that is there already stays as it is.
    pub(crate) fn insert(&mut self, id: Incarnation, known: Known) {
        if self.contains(id) {
            return;
        }
        // The kernel is its own parent.
        let holds_parent = known.parent.is_some_and(|parent| parent != id && self.refer(parent));
        while self.index.len() >= self.capacity {
            self.make_room();
        }
        let bytes = bytes(&known.process);
        let entry = Entry { id, known, bytes, references: 1, running: true, holds_parent, queued: false };
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = Some(entry);
            self.index.insert(id, slot);
            self.order.insert(slot);
            self.newest.insert(id.tgid, id);
            self.running += 1;
        }
    }

    /// The process has ended, or has become another incarnation. Doing it twice does nothing.
    pub(crate) fn end(&mut self, id: Incarnation) {
        let Some(entry) = self.entry(id) else { return };
        if !std::mem::replace(&mut entry.running, false) {
            return;
        }
        self.running -= 1;
        let parent = match self.lineage {
            Lineage::Parent => self.let_go(id),
            // The last reference lets go.
            Lineage::Kept => None,
        };
        self.unrefer(id);
        if let Some(parent) = parent {
            self.unrefer(parent);
        }
    }

    /// Takes away an entry's hold of its parent; says whom it held.
    fn let_go(&mut self, id: Incarnation) -> Option<Incarnation> {
        let entry = self.entry(id)?;
        if std::mem::replace(&mut entry.holds_parent, false) { entry.known.parent } else { None }
    }

    /// A step of the release: removes what has been waiting for two steps.
    pub(crate) fn step(&mut self) {
        while let Some(id) = self.queue.pop_ready() {
            self.release(id);
        }
        self.queue.step();
    }

    /// Adds a reference; whether `id` is there. One that had none left holds its parent again, and so on upwards.
    fn refer(&mut self, id: Incarnation) -> bool {
        let mut next = Some(id).filter(|id| self.contains(*id));
        let is_there = next.is_some();
        while let Some(id) = next.take() {
            if let Some(slot) = self.index.get(&id) {
                self.order.touch(*slot);
            }
            let lineage = self.lineage;
            let Some(entry) = self.entry(id) else { break };
            entry.references += 1;
            let parent = entry.known.parent.filter(|parent| *parent != id);
            if lineage == Lineage::Kept && entry.references == 1 {
                next = parent.filter(|parent| self.contains(*parent));
            }
            if next.is_some()
                && let Some(entry) = self.entry(id)
            {
                entry.holds_parent = true;
            }
        }
        is_there
    }

    /// Takes one reference away, and with the last one the hold of the parent, and so on upwards.
    fn unrefer(&mut self, id: Incarnation) {
        let mut next = Some(id);
        while let Some(id) = next.take() {
            let Some(entry) = self.entry(id) else { return };
            // A child of an entry that was evicted and came back holds a reference that the new one does not count: its own stays.
            entry.references = entry.references.saturating_sub(1).max(u32::from(entry.running));
            if entry.references == 0 {
                next = self.let_go(id);
                self.enqueue(id);
            }
        }
    }

    /// Has `id` wait for its removal; where too many wait, the oldest go.
    fn enqueue(&mut self, id: Incarnation) {
        let Some(entry) = self.entry(id).filter(|entry| !entry.queued) else { return };
        entry.queued = true;
        self.released_bytes += entry.bytes;
        self.queue.push(id);
        while self.queue.len() > self.released_limit || self.released_bytes > RELEASED_BYTES {
            if let Some(id) = self.queue.pop() {
                self.released_early += u64::from(self.release(id));
            } else {
                break;
            }
        }
    }

    /// Removes `id`, which has left the queue, unless it is referred to again.
    fn release(&mut self, id: Incarnation) -> bool {
        let Some(entry) = self.entry(id) else { return false };
        // One that was evicted and came back may stand in the queue without being in it.
        let bytes = if std::mem::take(&mut entry.queued) { entry.bytes } else { 0 };
        let unused = entry.references == 0;
        self.released_bytes -= bytes;
        if unused {
            self.remove(id);
        }
        unused
    }

    /// Removes one entry: an ended one where there is one, else the one used longest ago, but not the kernel.
    fn make_room(&mut self) {
        while let Some(id) = self.queue.pop() {
            if self.release(id) {
                self.released_early += 1;
                return;
            }
        }
        if let Some(kernel) = self.index.get(&KERNEL) {
            self.order.touch(*kernel);
        }
        let oldest = self.order.oldest().and_then(|slot| self.slots.get(slot as usize)?.as_ref());
        if let Some(id) = oldest.map(|entry| entry.id) {
            self.evicted += 1;
            self.end(id);
            let parent = self.let_go(id);
            self.remove(id);
            if let Some(parent) = parent {
                self.unrefer(parent);
            }
        }
    }

    fn remove(&mut self, id: Incarnation) {
        let Some(slot) = self.index.remove(&id) else { return };
        self.order.remove(slot);
        self.removed += 1;
        let entry = self.slots.get_mut(slot as usize).and_then(Option::take);
        if let Some(entry) = entry.filter(|entry| entry.queued) {
            self.released_bytes -= entry.bytes;
        }
        self.free.push(slot);
        if self.newest(id.tgid) == Some(id) {
            self.newest.remove(&id.tgid);
        }
    }
}

/// Bytes of what can be long of a process.
fn bytes(process: &Process) -> usize {
    let variables = process.environment.iter().map(|variable| variable.key.len() + variable.value.len());
    process.arguments.len() + variables.sum::<usize>()
}

#[cfg(test)]
mod tests {
    use api::event::{Process, SharedProcess};

    use super::{Incarnation, KERNEL, Known, Lineage, MAX_ANCESTORS, RELEASED_BYTES, Table, TableStats};

    fn id(tgid: u32) -> Incarnation {
        Incarnation { tgid, ktime: u64::from(tgid) * 100 }
    }

    fn known(parent: Option<Incarnation>) -> Known {
        let process = SharedProcess::new(Process { arguments: "ab".into(), ..Process::default() });
        Known { process, parent, shown_refcnt: 0, kernel_thread: false }
    }

    fn references(table: &mut Table, id: Incarnation) -> Option<u32> {
        table.show_with_parent(id, true).map(|(process, _)| process.refcnt)
    }

    // proves: ENR-01
    #[test]
    fn references_are_ones_own_life_and_the_living_children() {
        let mut table = Table::new(100, 100, Lineage::Parent);
        table.insert(id(1), known(None));
        table.insert(id(2), known(Some(id(1))));
        table.insert(id(3), known(Some(id(1))));
        assert_eq!(references(&mut table, id(1)), Some(3));
        table.end(id(2));
        table.end(id(2));
        assert_eq!(references(&mut table, id(1)), Some(2), "an end counts once");
        assert_eq!(references(&mut table, id(2)), Some(0));
        table.end(id(1));
        assert_eq!(references(&mut table, id(1)), Some(1), "a child lives");
        table.end(id(3));
        assert_eq!(references(&mut table, id(1)), Some(0));
    }

    // proves: EVT-17
    #[test]
    fn an_exec_without_fork_ends_the_incarnation_that_stays_its_parent() {
        let mut table = Table::new(100, 100, Lineage::Parent);
        let (old, new) = (id(5), Incarnation { tgid: 5, ktime: 999 });
        table.insert(id(1), known(None));
        table.insert(old, known(Some(id(1))));
        table.insert(new, known(Some(old)));
        table.end(old);
        assert_eq!(table.current(5), Some(new));
        assert_eq!(references(&mut table, id(1)), Some(1));
        assert_eq!(references(&mut table, old), Some(1));
        table.end(new);
        assert_eq!(references(&mut table, old), Some(0));
        assert_eq!(table.current(5), None);
    }

    // proves: ENR-01
    #[test]
    fn an_ended_process_is_found_until_the_second_step() {
        let mut table = Table::new(100, 100, Lineage::Parent);
        table.insert(id(1), known(None));
        table.end(id(1));
        assert!(table.get(id(1)).is_some());
        table.step();
        assert!(table.get(id(1)).is_some());
        table.step();
        assert!(table.get(id(1)).is_none());
        assert_eq!(table.stats(), TableStats { removed: 1, ..TableStats::default() });
    }

    #[test]
    fn an_ended_process_that_gets_a_child_stays_as_long_as_the_child() {
        let mut table = Table::new(100, 100, Lineage::Parent);
        table.insert(id(1), known(None));
        table.end(id(1));
        table.insert(id(2), known(Some(id(1))));
        for _ in 0..3 {
            table.step();
        }
        assert!(table.get(id(1)).is_some());
        table.end(id(2));
        for _ in 0..2 {
            table.step();
        }
        assert_eq!(table.stats().entries, 0);
    }

    #[test]
    fn more_ended_processes_than_the_limit_go_oldest_first() {
        let mut table = Table::new(1000, 10, Lineage::Parent);
        for tgid in 1..=100 {
            table.insert(id(tgid), known(None));
            table.end(id(tgid));
        }
        assert!(table.get(id(90)).is_none());
        assert!(table.get(id(91)).is_some());
        let ended = TableStats {
            entries: 10,
            released: 10,
            removed: 90,
            released_early: 90,
            ..TableStats::default()
        };
        assert_eq!(table.stats(), ended);
    }

    // proves: ENR-01
    #[test]
    fn a_full_table_removes_ended_processes_and_then_the_one_used_longest_ago_but_never_the_kernel() {
        let mut table = Table::new(4, 100, Lineage::Parent);
        table.insert(KERNEL, known(Some(KERNEL)));
        for tgid in 1..=3 {
            table.insert(id(tgid), known(None));
        }
        table.end(id(3));
        table.insert(id(4), known(None));
        assert!(!table.contains(id(3)), "it had ended");
        assert!(table.get(id(1)).is_some());
        table.insert(id(5), known(None));
        assert!(!table.contains(id(2)), "1 was used since");
        assert!(table.contains(KERNEL) && table.contains(id(1)));
        let stats = table.stats();
        assert_eq!((stats.entries, stats.evicted, stats.released_early), (4, 1, 1));
        assert_eq!((stats.running, stats.removed), (4, 2));
    }

    #[test]
    fn a_parent_that_was_evicted_and_came_back_is_not_ended_by_its_old_child() {
        let mut table = Table::new(3, 100, Lineage::Parent);
        table.insert(id(1), known(None));
        table.insert(id(2), known(Some(id(1))));
        table.insert(id(3), known(None));
        assert!(table.get(id(2)).is_some());
        table.insert(id(4), known(None));
        assert!(!table.contains(id(1)));
        table.insert(id(1), known(None));
        table.end(id(2));
        assert_eq!(references(&mut table, id(1)), Some(1));
    }

    #[test]
    fn ended_processes_with_long_arguments_are_kept_up_to_so_many_bytes() {
        let mut table = Table::new(1000, 1000, Lineage::Parent);
        let long: std::sync::Arc<str> = "x".repeat(300_000).into();
        for tgid in 1..=200 {
            let process = Process { arguments: std::sync::Arc::clone(&long), ..Process::default() };
            table.insert(id(tgid), Known { process: SharedProcess::new(process), ..known(None) });
            table.end(id(tgid));
        }
        let kept = RELEASED_BYTES / long.len();
        assert_eq!((table.stats().entries, table.stats().released), (kept, kept));
        assert!(table.released_bytes <= RELEASED_BYTES);
        table.step();
        table.step();
        assert_eq!((table.stats().entries, table.released_bytes), (0, 0));
    }

    fn shown_ancestors(table: &mut Table, parent: Incarnation) -> usize {
        table.ancestors(parent).len()
    }

    #[test]
    fn ancestors_are_there_as_long_as_a_descendant_runs_and_go_with_it() {
        for (lineage, kept) in [(Lineage::Parent, 1), (Lineage::Kept, 4)] {
            let mut table = Table::new(100, 100, lineage);
            for tgid in 2..=6 {
                table.insert(id(tgid), known((tgid > 2).then(|| id(tgid - 1))));
            }
            assert_eq!(shown_ancestors(&mut table, id(5)), 3, "up to 2, the parent not among them");
            assert_eq!(shown_ancestors(&mut table, id(2)), 0);
            (2..=5).for_each(|tgid| table.end(id(tgid)));
            for _ in 0..3 {
                table.step();
            }
            assert_eq!(table.stats().entries, kept + 1, "{lineage:?}");
            table.end(id(6));
            table.step();
            table.step();
            assert_eq!(table.stats().entries, 0, "{lineage:?}");
        }
    }

    #[test]
    fn an_ended_ancestor_that_gets_a_child_keeps_its_own_ancestors_again() {
        let mut table = Table::new(100, 100, Lineage::Kept);
        (3..=5).for_each(|tgid| table.insert(id(tgid), known((tgid > 3).then(|| id(tgid - 1)))));
        (3..=5).for_each(|tgid| table.end(id(tgid)));
        assert_eq!(table.stats().released, 3);
        table.insert(id(9), known(Some(id(5))));
        for _ in 0..3 {
            table.step();
        }
        assert_eq!((table.stats().entries, shown_ancestors(&mut table, id(5))), (4, 2));
        table.end(id(9));
        table.step();
        table.step();
        assert_eq!(table.stats().entries, 0);
    }

    #[test]
    fn a_line_of_forks_without_end_shows_so_many_ancestors_and_ends_one_after_the_other() {
        let mut table = Table::new(5_000, 5_000, Lineage::Kept);
        (3..=4_000).for_each(|tgid| table.insert(id(tgid), known((tgid > 3).then(|| id(tgid - 1)))));
        assert_eq!(shown_ancestors(&mut table, id(4_000)), MAX_ANCESTORS);
        (3..=4_000).for_each(|tgid| table.end(id(tgid)));
        assert_eq!(table.stats().released, 3_998);
    }

    #[test]
    fn the_table_stays_bounded_and_empties_whatever_the_order_of_events() {
        for lineage in [Lineage::Parent, Lineage::Kept] {
            bounded_and_empty_at_the_end(Table::new(64, 16, lineage));
        }
    }

    fn bounded_and_empty_at_the_end(mut table: Table) {
        let mut seed = 1_u32;
        for _ in 0..20_000 {
            seed = seed.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let (tgid, parent) = (seed >> 24, seed >> 16 & 0xff);
            match seed >> 13 & 3 {
                0 => table.end(id(tgid)),
                1 if seed & 0xff0 == 0 => table.step(),
                _ => table.insert(id(tgid), known(Some(id(parent)))),
            }
            assert!(table.stats().entries <= 64);
        }
        for tgid in 0..256 {
            table.end(id(tgid));
        }
        table.step();
        table.step();
        assert_eq!((table.stats().entries, table.stats().released, table.released_bytes), (0, 0, 0));
    }
}
