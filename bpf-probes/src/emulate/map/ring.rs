//! Ring buffers with their capacity (`kernel/bpf/ringbuf.c`).

use std::collections::VecDeque;

/// Bytes before each record (`BPF_RINGBUF_HDR_SZ`).
const HEADER: u64 = 8;

/// A submitted record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Record {
    /// Its bytes; those that the program never wrote are `0xa5`.
    pub bytes: Vec<u8>,
    /// How many bytes of a reserved record the program never wrote: in the kernel these leak what was in the ring before.
    pub unwritten: usize,
}

#[derive(Clone, Debug)]
enum State {
    Busy,
    Submitted(Record),
    Discarded,
}

/// A ring buffer.
#[derive(Clone, Debug)]
pub struct Ring {
    capacity: u64,
    produced: u64,
    consumed: u64,
    /// Records not yet consumed: their number, bytes with header, and state.
    entries: VecDeque<(u64, u64, State)>,
    next: u64,
    refused: u64,
}

impl Ring {
    pub(super) fn new(capacity: u32) -> Self {
        Self {
            capacity: u64::from(capacity),
            produced: 0,
            consumed: 0,
            entries: VecDeque::new(),
            next: 0,
            refused: 0,
        }
    }

    /// Makes room for a record of `length` bytes and returns its number; `None` when there is none.
    pub(in crate::emulate) fn reserve(&mut self, length: u64) -> Option<u64> {
        let bytes = length.checked_add(HEADER)?.checked_next_multiple_of(8)?;
        if length > u64::from(u32::MAX / 4) || self.produced + bytes - self.consumed > self.capacity - 1 {
            self.refused += 1;
            return None;
        }
        self.produced += bytes;
        self.next += 1;
        self.entries.push_back((self.next, bytes, State::Busy));
        Some(self.next)
    }

    fn set(&mut self, number: u64, state: State) {
        if let Some(entry) = self.entries.iter_mut().rev().find(|entry| entry.0 == number) {
            entry.2 = state;
        }
    }

    pub(in crate::emulate) fn submit(&mut self, number: u64, record: Record) {
        self.set(number, State::Submitted(record));
    }

    pub(in crate::emulate) fn discard(&mut self, number: u64) {
        self.set(number, State::Discarded);
    }

    /// What `bpf_ringbuf_query` says.
    pub(in crate::emulate) fn query(&self, what: u64) -> u64 {
        match what {
            0 => self.produced - self.consumed,
            1 => self.capacity,
            2 => self.consumed,
            3 => self.produced,
            _ => 0,
        }
    }

    /// The submitted records that nobody has taken yet, oldest first.
    pub fn records(&self) -> Vec<Record> {
        self.entries
            .iter()
            .filter_map(|(_, _, state)| match state {
                State::Submitted(record) => Some(record.clone()),
                State::Busy | State::Discarded => None,
            })
            .collect()
    }

    /// Takes all submitted records, oldest first, and frees their room.
    pub fn drain(&mut self) -> Vec<Record> {
        let mut records = Vec::new();
        for (_, bytes, state) in self.entries.drain(..) {
            self.consumed += bytes;
            if let State::Submitted(record) = state {
                records.push(record);
            }
        }
        records
    }

    /// How many records found no room since the ring was made.
    pub fn refused(&self) -> u64 {
        self.refused
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_full_ring_refuses_until_records_are_taken_and_discarded_ones_take_room_too() {
        let mut ring = Ring::new(4096);
        let numbers: Vec<u64> = (0..3).map(|_| ring.reserve(1000).unwrap()).collect();
        assert_eq!(ring.reserve(1065), None);
        assert_eq!(ring.refused(), 1);
        ring.discard(numbers[1]);
        for number in [numbers[2], numbers[0]] {
            ring.submit(number, Record { bytes: number.to_le_bytes().to_vec(), unwritten: 0 });
        }
        assert_eq!(ring.query(0), 3 * 1008);
        let taken: Vec<u64> = ring
            .drain()
            .iter()
            .map(|record| u64::from_le_bytes(*record.bytes.first_chunk().unwrap()))
            .collect();
        assert_eq!(taken, [numbers[0], numbers[2]], "in order of reservation");
        assert_eq!(ring.query(0), 0);
        assert!(ring.reserve(4080).is_some(), "all but eight bytes can be used");
        assert_eq!(Ring::new(4096).reserve(4081), None);
    }
}
