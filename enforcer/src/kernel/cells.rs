//! The shared cells: what programs read of the daemon's, and what they count. Loads and stores of mapped memory, no system call.

use std::mem::offset_of;

use bpf_probes::abi::{ClassSet, Control, Counter, Counters, Loss, SELECTOR_COUNTERS, Withheld};
use bpf_probes::load::MappedArray;

/// The control cells and the counters of the base collection.
#[derive(Debug)]
pub struct Cells {
    control: MappedArray,
    counters: MappedArray,
}

/// The counters of one selector, by [`Counter`].
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct SelectorCounts([u64; SELECTOR_COUNTERS]);

impl SelectorCounts {
    /// One of them.
    pub fn get(&self, counter: Counter) -> u64 {
        self.0.get(counter as usize).copied().unwrap_or(0)
    }

    /// Adds those of another selector.
    pub fn add(&mut self, other: &Self) {
        for (sum, more) in self.0.iter_mut().zip(other.0) {
            *sum += more;
        }
    }
}

/// An offset in a value that is known to be small.
fn offset(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}

impl Cells {
    /// The mapped arrays `control` and `counters`.
    pub const fn new(control: MappedArray, counters: MappedArray) -> Self {
        Self { control, counters }
    }

    /// A number beyond the cells is a bug of the allocator that bounds it; say so, and store nothing.
    fn stored(what: &str, number: usize, stored: Option<()>) {
        if stored.is_none() {
            tracing::error!("{what} {number} is beyond the shared cells");
        }
    }

    /// Makes a slot the live one of a hook.
    pub fn set_live_slot(&self, hook: u32, slot: u32) {
        let at = offset_of!(Control, live_slot) + 4 * hook as usize;
        Self::stored("hook", hook as usize, self.control.store_u32(0, offset(at), slot));
    }

    /// Sets the mode of a policy.
    pub fn set_mode(&self, policy: u32, monitor: bool) {
        let at = offset_of!(Control, mode) + 4 * policy as usize;
        Self::stored("policy", policy as usize, self.control.store_u32(0, offset(at), u32::from(monitor)));
    }

    /// Says which tables of classes have entries ([`Control::tables`]).
    pub fn set_tables(&self, bits: u32) {
        Self::stored("table", 0, self.control.store_u32(0, offset(offset_of!(Control, tables)), bits));
    }

    /// Says which classes outlive an exec.
    pub fn set_followed(&self, followed: ClassSet) {
        for (index, word) in followed.words.iter().enumerate() {
            let at = offset_of!(Control, followed) + 8 * index;
            Self::stored("class word", index, self.control.store_u64(0, offset(at), *word));
        }
    }

    /// Says which classes the host's own processes have as a workload, and on which levels containers are.
    pub fn set_host(&self, classes: ClassSet, levels: u64) {
        for (index, word) in classes.words.iter().enumerate() {
            let at = offset_of!(Control, host) + 8 * index;
            Self::stored("class word", index, self.control.store_u64(0, offset(at), *word));
        }
        Self::stored("level", 0, self.control.store_u64(0, offset(offset_of!(Control, levels)), levels));
    }

    fn selector(selector: u32) -> usize {
        offset_of!(Counters, selectors) + 8 * SELECTOR_COUNTERS * selector as usize
    }

    /// Sets the counters of selectors to zero.
    pub fn reset_selectors(&self, first: u32, len: u32) {
        for selector in first..first.saturating_add(len) {
            for counter in 0..SELECTOR_COUNTERS {
                let at = Self::selector(selector) + 8 * counter;
                Self::stored("selector", selector as usize, self.counters.store_u64(0, offset(at), 0));
            }
        }
    }

    /// The counters of a selector.
    pub fn selector_counts(&self, selector: u32) -> SelectorCounts {
        let mut counts = SelectorCounts::default();
        for (index, count) in counts.0.iter_mut().enumerate() {
            *count = self.counters.load_u64(0, offset(Self::selector(selector) + 8 * index)).unwrap_or(0);
        }
        counts
    }

    /// Records that programs could not write, of one kind.
    pub fn lost(&self, kind: Loss) -> u64 {
        self.counters.load_u64(0, offset(offset_of!(Counters, lost) + 8 * kind as usize)).unwrap_or(0)
    }

    /// Events of throttled cgroups that programs withheld, of one kind.
    pub fn withheld(&self, kind: Withheld) -> u64 {
        self.counters.load_u64(0, offset(offset_of!(Counters, withheld) + 8 * kind as usize)).unwrap_or(0)
    }
}
