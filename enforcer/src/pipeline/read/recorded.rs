//! Records that do not come from a kernel: for tests, benchmarks and replays.

use std::cell::Cell;
use std::os::fd::BorrowedFd;

use bpf_probes::load::Head;
use zerocopy::{Immutable, IntoBytes};

use super::RecordSource;

/// A source that holds its records from the start.
#[derive(Debug, Default)]
pub struct Recorded {
    records: Vec<Box<[u64]>>,
    next: Cell<usize>,
}

impl Recorded {
    /// A ring with these records, each as [`record_bytes`] makes it.
    pub fn new(records: Vec<Box<[u64]>>) -> Self {
        Self { records, next: Cell::new(0) }
    }
}

impl RecordSource for Recorded {
    fn peek(&self) -> Head<'_> {
        self.records.get(self.next.get()).map_or(Head::Empty, |record| Head::Record(record.as_bytes()))
    }

    fn advance(&self) {
        self.next.set(self.next.get() + 1);
    }

    fn release(&mut self) {}

    fn skip_all(&mut self) -> u64 {
        let skipped =
            self.records.iter().skip(self.next.get()).map(|record| record.as_bytes().len() as u64).sum();
        self.next.set(self.records.len());
        skipped
    }

    fn crowded(&self) -> bool {
        false
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

/// The bytes of a record, aligned as in a ring: `fixed`, then `tail`, with the size set in the header, zeros up to a multiple of eight.
pub fn record_bytes<T: IntoBytes + Immutable>(fixed: &T, tail: &[u8]) -> Box<[u64]> {
    let fixed = fixed.as_bytes();
    let size = fixed.len() + tail.len();
    let mut words = vec![0_u64; size.div_ceil(8)].into_boxed_slice();
    let bytes = words.as_mut_bytes();
    bytes[..fixed.len()].copy_from_slice(fixed);
    bytes[fixed.len()..size].copy_from_slice(tail);
    if let Some(place) = bytes.get_mut(4..8) {
        place.copy_from_slice(&u32::try_from(size).unwrap_or(u32::MAX).to_ne_bytes());
    }
    words
}
