//! The values of one map at stable addresses.

use std::ops::Range;

/// Values of equal size, each at a multiple of a stride that leaves a gap behind it. One entry has as many values as there are lanes: one,
/// or one for each CPU.
#[derive(Clone, Debug)]
pub(in crate::emulate) struct Slab {
    size: usize,
    stride: usize,
    lanes: usize,
    bytes: Vec<u8>,
    live: Vec<bool>,
    free: Vec<usize>,
    dying: Vec<usize>,
}

impl Slab {
    pub(super) fn new(size: usize, lanes: usize) -> Self {
        Self {
            size,
            stride: (size + 1).next_multiple_of(64),
            lanes,
            bytes: Vec::new(),
            live: Vec::new(),
            free: Vec::new(),
            dying: Vec::new(),
        }
    }

    /// Bytes that `entries` span.
    pub(super) fn span(&self, entries: usize) -> Option<usize> {
        entries.checked_mul(self.lanes)?.checked_mul(self.stride)
    }

    pub(in crate::emulate) fn lanes(&self) -> usize {
        self.lanes
    }

    pub(in crate::emulate) fn size(&self) -> usize {
        self.size
    }

    /// A new entry of zero bytes.
    pub(super) fn allocate(&mut self) -> usize {
        if let Some(entry) = self.free.pop() {
            self.live[entry] = true;
            for lane in 0..self.lanes {
                let range = self.range(entry, lane);
                self.bytes[range].fill(0);
            }
            return entry;
        }
        self.live.push(true);
        let span = self.span(self.live.len()).unwrap_or(usize::MAX);
        self.bytes.resize(span, 0);
        self.live.len() - 1
    }

    /// Gives an entry back; its bytes stay readable until [`Slab::reclaim`].
    pub(super) fn release(&mut self, entry: usize) {
        self.dying.push(entry);
    }

    /// Ends the life of what was released.
    pub(super) fn reclaim(&mut self) {
        for entry in self.dying.drain(..) {
            self.live[entry] = false;
            self.free.push(entry);
        }
    }

    fn range(&self, entry: usize, lane: usize) -> Range<usize> {
        let start = (entry * self.lanes + lane) * self.stride;
        start..start + self.size
    }

    /// Offset of a value from the start of the slab.
    pub(in crate::emulate) fn offset(&self, entry: usize, lane: usize) -> u64 {
        ((entry * self.lanes + lane) * self.stride) as u64
    }

    pub(super) fn value(&self, entry: usize, lane: usize) -> &[u8] {
        self.bytes.get(self.range(entry, lane)).unwrap_or_default()
    }

    pub(super) fn value_mut(&mut self, entry: usize, lane: usize) -> &mut [u8] {
        let range = self.range(entry, lane);
        self.bytes.get_mut(range).unwrap_or_default()
    }

    /// The value that contains an offset, and where in it; `None` where no value is alive.
    pub(in crate::emulate) fn locate(&self, offset: u64) -> Option<(usize, usize, usize)> {
        let offset = usize::try_from(offset).ok()?;
        let number = offset / self.stride;
        let (entry, lane) = (number / self.lanes, number % self.lanes);
        self.live.get(entry).copied().filter(|live| *live)?;
        Some((entry, lane, offset % self.stride))
    }
}
