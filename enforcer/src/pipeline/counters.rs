//! What became of every record.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use api::event::Event;
use api::name::ProcessFlags;
use bpf_probes::abi::RecordKind;

use super::decode::DecodeErrorKind;
use super::histogram::Histogram;
use super::identify::{DataStats, LookupStats, TableStats};
use super::read::RingName;
use super::returns::ReturnStats;
use super::series::Series;
use super::throttle::ThrottleStats;

/// Why a record gave no event.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum NoEvent {
    /// It is no record: loss.
    Malformed(DecodeErrorKind),
    /// Its layout is not known: loss.
    UnknownLayout,
    /// A fork: intended, it goes into the table.
    Fork,
    /// A piece of a long value: intended, it goes into the record that it belongs to.
    Data,
    /// The exit of a thread of the kernel: intended.
    KernelThread,
    /// The entry of a call: intended, it waits for the return.
    Waits,
    /// The return of a call that the policy does not want: intended.
    Dismissed,
    /// The return of a call whose entry was lost: loss.
    NotEntered,
    /// A cgroup that is known to be throttled still is: intended.
    Throttled,
    /// The exit of a process that began while its cgroup was throttled: intended, and counted by the kernel side.
    Withheld,
}

impl NoEvent {
    /// All reasons.
    pub const ALL: [Self; 13] = [
        Self::Malformed(DecodeErrorKind::Size),
        Self::Malformed(DecodeErrorKind::Kind),
        Self::Malformed(DecodeErrorKind::Parts),
        Self::Malformed(DecodeErrorKind::Values),
        Self::UnknownLayout,
        Self::Fork,
        Self::Data,
        Self::KernelThread,
        Self::Waits,
        Self::Dismissed,
        Self::NotEntered,
        Self::Throttled,
        Self::Withheld,
    ];

    const fn index(self) -> usize {
        match self {
            Self::Malformed(DecodeErrorKind::Size) => 0,
            Self::Malformed(DecodeErrorKind::Kind) => 1,
            Self::Malformed(DecodeErrorKind::Parts) => 2,
            Self::Malformed(DecodeErrorKind::Values) => 3,
            Self::UnknownLayout => 4,
            Self::Fork => 5,
            Self::Data => 6,
            Self::KernelThread => 7,
            Self::Waits => 8,
            Self::Dismissed => 9,
            Self::NotEntered => 10,
            Self::Throttled => 11,
            Self::Withheld => 12,
        }
    }

    /// The name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Malformed(kind) => kind.name(),
            Self::UnknownLayout => "unknown_layout",
            Self::Fork => "fork",
            Self::Data => "data",
            Self::KernelThread => "kernel_thread",
            Self::Waits => "waits",
            Self::Dismissed => "dismissed",
            Self::NotEntered => "not_entered",
            Self::Throttled => "throttled",
            Self::Withheld => "withheld",
        }
    }

    /// Whether something is missing because of it.
    pub const fn is_loss(self) -> bool {
        matches!(self, Self::Malformed(_) | Self::UnknownLayout | Self::NotEntered)
    }
}

/// What became of every record since the start: `read = events from records + no event`, and `published = events from records + replayed + cgroups let go`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Totals {
    /// Records read from the ring of events.
    pub events_ring: u64,
    /// Records read from the ring of enforcement.
    pub enforcement_ring: u64,
    /// Bytes of all records.
    pub bytes: u64,
    decoded: [u64; RecordKind::ALL.len()],
    no_event: [u64; NoEvent::ALL.len()],
    /// Records that are none, by their kind; the first of an unknown kind.
    malformed: [u64; RecordKind::ALL.len() + 1],
    /// Execs by the bits of their process's flags.
    flags: [u64; u32::BITS as usize],
    /// Microseconds that records took, by kind, where that is measured.
    latency: Option<Box<[Histogram; RecordKind::ALL.len()]>>,
    /// Events of processes that ran before.
    pub replayed: u64,
    /// `process_exec` events from records.
    pub exec_events: u64,
    /// `process_exit` events.
    pub exit_events: u64,
    /// Events of hooks.
    pub hook_events: u64,
    /// Those of mapped code.
    pub loader_events: u64,
    /// Events of which the process was not known.
    pub unknown_process: u64,
    /// Events given to the hub.
    pub published: u64,
    /// Records that did not wait for one of the other ring that was being written for too long.
    pub unordered: u64,
    /// Times that a ring could not be read any further.
    pub corrupt_rings: u64,
    /// Bytes skipped in a ring that could not be read any further.
    pub skipped_bytes: u64,
    /// The table of processes.
    pub table: TableStats,
    /// Look-ups in procfs.
    pub lookups: LookupStats,
    /// Long values.
    pub data: DataStats,
    /// Calls that are seen to return.
    pub returns: ReturnStats,
    /// Cgroups that are throttled; those let go are events that no record gave.
    pub throttle: ThrottleStats,
}

impl Totals {
    /// Records read.
    pub const fn read(&self) -> u64 {
        self.events_ring + self.enforcement_ring
    }

    /// Records of this kind that were decoded.
    pub const fn decoded(&self, kind: RecordKind) -> u64 {
        self.decoded[kind as usize - 1]
    }

    /// Records that gave no event for this reason.
    pub const fn no_event(&self, reason: NoEvent) -> u64 {
        self.no_event[reason.index()]
    }

    /// Records that are none, by the kind in their header; `None`: no known one.
    pub fn malformed(&self) -> impl Iterator<Item = (Option<RecordKind>, u64)> {
        let kinds = [None].into_iter().chain(RecordKind::ALL.map(Some));
        kinds.zip(self.malformed)
    }

    /// Execs by the words of their process's flags.
    pub fn flags(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let count = |bit: u32| self.flags.get(bit.trailing_zeros() as usize).copied().unwrap_or(0);
        ProcessFlags::all().map(move |(bit, word)| (word, count(bit)))
    }

    /// Microseconds that records of a kind took, where that is measured.
    pub fn latency(&self, kind: RecordKind) -> Option<&Histogram> {
        self.latency.as_ref()?.get(kind as usize - 1)
    }

    /// Events that records gave.
    pub const fn events(&self) -> u64 {
        self.exec_events + self.exit_events + self.hook_events + self.throttle.started
    }

    /// Whether every record is accounted for.
    pub fn balanced(&self) -> bool {
        let no_event: u64 = self.no_event.iter().sum();
        let without_record = self.replayed + self.throttle.stopped;
        self.read() == self.events() + no_event && self.published == self.events() + without_record
    }

    pub(crate) const fn add_read(&mut self, ring: RingName, bytes: usize) {
        match ring {
            RingName::Events => self.events_ring += 1,
            RingName::Enforcement => self.enforcement_ring += 1,
        }
        self.bytes += bytes as u64;
    }

    pub(crate) const fn add_decoded(&mut self, kind: RecordKind) {
        self.decoded[kind as usize - 1] += 1;
    }

    /// Measures from now on how long records take.
    pub(crate) fn measure_latency(&mut self) {
        self.latency = Some(Box::default());
    }

    pub(crate) const fn measures_latency(&self) -> bool {
        self.latency.is_some()
    }

    pub(crate) fn add_latency(&mut self, kind: u8, micros: u64) {
        let place = usize::from(kind).checked_sub(1);
        let histogram = self.latency.as_mut().and_then(|latency| latency.get_mut(place?));
        if let Some(histogram) = histogram {
            histogram.add(micros);
        }
    }

    pub(crate) fn add_malformed(&mut self, kind: u8) {
        let place = RecordKind::from_number(kind).map_or(0, |kind| kind as usize);
        if let Some(count) = self.malformed.get_mut(place) {
            *count += 1;
        }
    }

    pub(crate) fn add_flags(&mut self, flags: u32) {
        for (bit, count) in self.flags.iter_mut().enumerate() {
            *count += u64::from(flags >> bit & 1);
        }
    }

    pub(crate) const fn add_no_event(&mut self, reason: NoEvent) {
        self.no_event[reason.index()] += 1;
    }
}

/// [`Totals`] as others see them: up to date after each batch.
#[derive(Debug, Default)]
pub struct PipelineCounters {
    totals: Mutex<Totals>,
    series: Mutex<Series>,
    joined: Mutex<HashMap<Arc<str>, u64>>,
}

impl PipelineCounters {
    /// The totals as of the last batch.
    pub fn totals(&self) -> Totals {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn store(&self, totals: &Totals) {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner).clone_from(totals);
    }

    /// Looks at events by type, policy and program; the event path waits meanwhile.
    pub fn with_series<R>(&self, look: impl FnOnce(&Series) -> R) -> R {
        look(&self.series.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Counts events of a batch by type, policy and program.
    pub(crate) fn count(&self, events: &[Event]) {
        self.series.lock().unwrap_or_else(PoisonError::into_inner).count(events);
    }

    /// How many calls of each function became one event of their entry and return.
    pub fn joined(&self) -> Vec<(Arc<str>, u64)> {
        let joined = self.joined.lock().unwrap_or_else(PoisonError::into_inner);
        let mut joined: Vec<_> = joined.iter().map(|(name, count)| (Arc::clone(name), *count)).collect();
        joined.sort_unstable();
        joined
    }

    /// Counts such calls.
    pub(crate) fn add_joined(&self, functions: &mut Vec<Arc<str>>) {
        if functions.is_empty() {
            return;
        }
        let mut joined = self.joined.lock().unwrap_or_else(PoisonError::into_inner);
        for function in functions.drain(..) {
            *joined.entry(function).or_default() += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::NoEvent;

    #[test]
    fn each_reason_has_its_place_and_name() {
        let mut names: Vec<_> = NoEvent::ALL.iter().map(|reason| reason.name()).collect();
        for (place, reason) in NoEvent::ALL.iter().enumerate() {
            assert_eq!(reason.index(), place);
        }
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), NoEvent::ALL.len());
    }
}
