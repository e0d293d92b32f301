//! Long values that come in pieces before the record that they belong to.

use std::collections::{HashMap, VecDeque};

use bpf_probes::abi::{MAX_ARGUMENTS, data_value};

use super::Incarnation;
use crate::pipeline::histogram::Histogram;
use crate::pipeline::record::Data;

/// Most bytes of incomplete values that are held.
const MAX_BYTES: usize = 16 << 20;

/// Whose value, and which of its values, a number of [`data_value`].
type Key = (Incarnation, u16);

#[derive(Debug, Default)]
struct Pieces {
    bytes: Vec<u8>,
    next: u16,
    /// A piece is missing; what is there ends before it.
    broken: bool,
}

/// Numbers about long values.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct DataStats {
    /// Values that are incomplete now.
    pub held: usize,
    /// Pieces that came.
    pub received: u64,
    /// Pieces that began a value.
    pub begun: u64,
    /// Pieces that came out of order.
    pub broken: u64,
    /// Values that were whole when their record came.
    pub whole: u64,
    /// Values that were thrown away incomplete, for want of room.
    pub evicted: u64,
    /// Values that were shorter than their record said.
    pub incomplete: u64,
    /// Values of which there was nothing when their record came.
    pub missed: u64,
    /// Bytes of whole values.
    pub whole_sizes: Histogram,
    /// Bytes there were of the others.
    pub incomplete_sizes: Histogram,
}

/// Values that are not complete yet, by the process that they belong to. Bounded in number and bytes; the oldest go first.
#[derive(Debug)]
pub(super) struct DataCache {
    capacity: usize,
    values: HashMap<Key, Pieces>,
    /// By age; some may be gone from `values`.
    order: VecDeque<Key>,
    bytes: usize,
    stats: DataStats,
}

impl DataCache {
    pub(super) fn new(capacity: usize) -> Self {
        Self {
            capacity: capacity.max(1),
            values: HashMap::new(),
            order: VecDeque::new(),
            bytes: 0,
            stats: DataStats::default(),
        }
    }

    pub(super) fn stats(&self) -> DataStats {
        DataStats { held: self.values.len(), ..self.stats }
    }

    /// Adds a piece.
    pub(super) fn add(&mut self, data: &Data<'_>) {
        let id = (Incarnation::from(data.fixed.process), data.fixed.value);
        if data.fixed.sequence == 0 {
            self.remove(id);
        }
        self.stats.received += 1;
        if !self.values.contains_key(&id) {
            self.order.push_back(id);
            self.stats.begun += 1;
        }
        let pieces = self.values.entry(id).or_default();
        let is_out_of_order = data.fixed.sequence != pieces.next;
        self.stats.broken += u64::from(is_out_of_order);
        pieces.broken |= is_out_of_order;
        pieces.next = pieces.next.wrapping_add(1);
        let room = (MAX_ARGUMENTS as usize).saturating_sub(pieces.bytes.len());
        if !pieces.broken {
            let taken = &data.payload[..data.payload.len().min(room)];
            pieces.bytes.extend_from_slice(taken);
            self.bytes += taken.len();
        }
        self.make_room(id);
    }

    /// The value of `id`, which its record says has `len` bytes, and whether it is whole.
    pub(super) fn take(&mut self, id: Incarnation, len: u32) -> (Vec<u8>, bool) {
        self.take_value((id, data_value::ONLY), len)
    }

    /// The same of the environment of an exec.
    pub(super) fn take_environment(&mut self, id: Incarnation, len: u32) -> (Vec<u8>, bool) {
        self.take_value((id, data_value::ENVIRONMENT), len)
    }

    fn take_value(&mut self, key: Key, len: u32) -> (Vec<u8>, bool) {
        let pieces = self.remove(key);
        self.stats.missed += u64::from(pieces.is_none());
        let bytes = pieces.map_or_else(Vec::new, |pieces| pieces.bytes);
        let whole = usize::try_from(len).is_ok_and(|len| len == bytes.len());
        let (count, sizes) = if whole {
            (&mut self.stats.whole, &mut self.stats.whole_sizes)
        } else {
            (&mut self.stats.incomplete, &mut self.stats.incomplete_sizes)
        };
        *count += 1;
        sizes.add(bytes.len() as u64);
        (bytes, whole)
    }

    fn remove(&mut self, id: Key) -> Option<Pieces> {
        let pieces = self.values.remove(&id)?;
        self.bytes -= pieces.bytes.len();
        // Nearly always the last one or the only one.
        if let Some(place) = self.order.iter().rposition(|other| *other == id) {
            self.order.remove(place);
        }
        Some(pieces)
    }

    fn make_room(&mut self, newest: Key) {
        while self.values.len() > self.capacity || self.bytes > MAX_BYTES {
            let Some(oldest) = self.order.front().copied().filter(|oldest| *oldest != newest) else { return };
            self.remove(oldest);
            self.stats.evicted += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use bpf_probes::abi::{DataRecord, MAX_ARGUMENTS, ProcessKey};

    use super::{DataCache, Incarnation, MAX_BYTES};
    use crate::pipeline::record::Data;

    fn add(cache: &mut DataCache, tgid: u32, sequence: u16, payload: &[u8]) {
        let process = ProcessKey { tgid, ktime: 1, reserved: 0 };
        let fixed = DataRecord { process, sequence, ..DataRecord::default() };
        cache.add(&Data { fixed: &fixed, payload });
    }

    fn take(cache: &mut DataCache, tgid: u32, len: u32) -> (Vec<u8>, bool) {
        cache.take(Incarnation { tgid, ktime: 1 }, len)
    }

    #[test]
    fn pieces_of_two_processes_are_kept_apart() {
        let mut cache = DataCache::new(10);
        add(&mut cache, 1, 0, b"ab");
        add(&mut cache, 2, 0, b"x");
        add(&mut cache, 1, 1, b"cd");
        assert_eq!(take(&mut cache, 1, 4), (b"abcd".to_vec(), true));
        assert_eq!(take(&mut cache, 2, 1), (b"x".to_vec(), true));
        assert_eq!(take(&mut cache, 2, 1), (Vec::new(), false));
    }

    #[test]
    fn what_follows_a_missing_piece_is_left_out() {
        let mut cache = DataCache::new(10);
        add(&mut cache, 1, 0, b"ab");
        add(&mut cache, 1, 2, b"ef");
        add(&mut cache, 1, 3, b"gh");
        assert_eq!(take(&mut cache, 1, 8), (b"ab".to_vec(), false));
        assert_eq!(cache.stats().incomplete, 1);
    }

    #[test]
    fn a_first_piece_begins_anew() {
        let mut cache = DataCache::new(10);
        add(&mut cache, 1, 0, b"left over");
        add(&mut cache, 1, 0, b"new");
        assert_eq!(take(&mut cache, 1, 3), (b"new".to_vec(), true));
        assert_eq!(cache.bytes, 0);
    }

    #[test]
    fn number_and_bytes_are_bounded() {
        let mut cache = DataCache::new(3);
        for tgid in 0..10 {
            add(&mut cache, tgid, 0, b"x");
        }
        assert_eq!((cache.values.len(), cache.order.len(), cache.stats().evicted), (3, 3, 7));
        let mut cache = DataCache::new(1000);
        let piece = vec![b'x'; 32_736];
        for tgid in 0..100 {
            for sequence in 0..12 {
                add(&mut cache, tgid, sequence, &piece);
            }
        }
        assert!(cache.bytes <= MAX_BYTES);
        assert_eq!(take(&mut cache, 99, MAX_ARGUMENTS), (vec![b'x'; MAX_ARGUMENTS as usize], true));
    }
}
