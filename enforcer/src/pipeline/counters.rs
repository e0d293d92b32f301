//! What became of every record.

use std::sync::{Mutex, PoisonError};

use bpf_probes::abi::RecordKind;

use super::decode::DecodeErrorKind;
use super::identify::{DataStats, LookupStats, TableStats};
use super::read::RingName;
use super::returns::ReturnStats;

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
}

impl NoEvent {
    /// All reasons.
    pub const ALL: [Self; 11] = [
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
        }
    }

    /// Whether something is missing because of it.
    pub const fn is_loss(self) -> bool {
        matches!(self, Self::Malformed(_) | Self::UnknownLayout | Self::NotEntered)
    }
}

/// What became of every record since the start: `read = events from records + no event`, and `published = events from records + replayed`.
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
    /// Events of processes that ran before.
    pub replayed: u64,
    /// `process_exec` events from records.
    pub exec_events: u64,
    /// `process_exit` events.
    pub exit_events: u64,
    /// Events of hooks.
    pub hook_events: u64,
    /// Events of which the process was not known.
    pub unknown_process: u64,
    /// Events given to the hub.
    pub published: u64,
    /// Records that did not wait for one of the other ring that was being written for too long.
    pub unordered: u64,
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

    /// Events that records gave.
    pub const fn events(&self) -> u64 {
        self.exec_events + self.exit_events + self.hook_events
    }

    /// Whether every record is accounted for.
    pub fn balanced(&self) -> bool {
        let no_event: u64 = self.no_event.iter().sum();
        self.read() == self.events() + no_event && self.published == self.events() + self.replayed
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

    pub(crate) const fn add_no_event(&mut self, reason: NoEvent) {
        self.no_event[reason.index()] += 1;
    }
}

/// [`Totals`] as others see them: up to date after each batch.
#[derive(Debug, Default)]
pub struct PipelineCounters {
    totals: Mutex<Totals>,
}

impl PipelineCounters {
    /// The totals as of the last batch.
    pub fn totals(&self) -> Totals {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn store(&self, totals: &Totals) {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner).clone_from(totals);
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
