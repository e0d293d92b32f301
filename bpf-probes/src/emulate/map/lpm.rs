//! Longest-prefix match (`kernel/bpf/lpm_trie.c`). A key is a `u32` length in bits and then the data, first bit first.

use std::collections::BTreeMap;

use crate::emulate::errno::Errno;

/// Prefixes by length and by their bits, the rest of the data being zero.
#[derive(Clone, Debug)]
pub(in crate::emulate) struct Prefixes {
    data_bits: u32,
    entries: BTreeMap<u32, BTreeMap<Vec<u8>, usize>>,
    length: usize,
}

impl Prefixes {
    /// For keys of `key_size` bytes, length included.
    pub(super) fn new(key_size: u32) -> Self {
        Self { data_bits: key_size.saturating_sub(4).saturating_mul(8), entries: BTreeMap::new(), length: 0 }
    }

    pub(super) fn len(&self) -> usize {
        self.length
    }

    fn split<'k>(&self, key: &'k [u8]) -> Result<(u32, &'k [u8]), Errno> {
        let (length, data) = key.split_first_chunk::<4>().ok_or(Errno::Einval)?;
        let length = u32::from_le_bytes(*length);
        if length > self.data_bits { Err(Errno::Einval) } else { Ok((length, data)) }
    }

    /// The entry of the longest prefix of the key, among those not longer than the key says it is.
    pub(super) fn find(&self, key: &[u8]) -> Option<usize> {
        let (length, data) = self.split(key).ok()?;
        self.entries
            .range(..=length)
            .rev()
            .find_map(|(&length, same)| same.get(&masked(data, length)).copied())
    }

    /// The entry of exactly this prefix.
    pub(super) fn get(&self, key: &[u8]) -> Result<Option<usize>, Errno> {
        let (length, data) = self.split(key)?;
        Ok(self.entries.get(&length).and_then(|same| same.get(&masked(data, length)).copied()))
    }

    pub(super) fn insert(&mut self, key: &[u8], entry: usize) -> Option<usize> {
        let (length, data) = self.split(key).ok()?;
        let old = self.entries.entry(length).or_default().insert(masked(data, length), entry);
        self.length += usize::from(old.is_none());
        old
    }

    pub(super) fn remove(&mut self, key: &[u8]) -> Result<Option<usize>, Errno> {
        let (length, data) = self.split(key)?;
        let Some(same) = self.entries.get_mut(&length) else {
            return Ok(None);
        };
        let old = same.remove(&masked(data, length));
        if same.is_empty() {
            self.entries.remove(&length);
        }
        self.length -= usize::from(old.is_some());
        Ok(old)
    }

    /// All keys, with what follows the prefix zeroed, and entries; short prefixes first.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Vec<u8>, usize)> {
        self.entries.iter().flat_map(|(length, same)| {
            same.iter().map(|(data, &entry)| {
                let mut key = length.to_le_bytes().to_vec();
                key.extend_from_slice(data);
                (key, entry)
            })
        })
    }
}

fn masked(data: &[u8], bits: u32) -> Vec<u8> {
    let mut masked = data.to_vec();
    let (whole, rest) = ((bits / 8) as usize, bits % 8);
    if let Some(byte) = masked.get_mut(whole) {
        *byte &= !(0xff_u8.checked_shr(rest).unwrap_or(0));
    }
    if let Some(tail) = masked.get_mut(whole + 1..) {
        tail.fill(0);
    }
    masked
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn key(bits: u32, data: [u8; 4]) -> Vec<u8> {
        [bits.to_le_bytes(), data].concat()
    }

    #[test]
    fn the_longest_of_the_matching_prefixes_wins() {
        let mut prefixes = Prefixes::new(8);
        prefixes.insert(&key(8, [10, 0, 0, 0]), 1);
        prefixes.insert(&key(17, [10, 0, 0x80, 9]), 2);
        prefixes.insert(&key(0, [7, 7, 7, 7]), 3);
        assert_eq!(prefixes.find(&key(32, [10, 0, 0xff, 1])), Some(2));
        assert_eq!(prefixes.find(&key(32, [10, 0, 0x7f, 1])), Some(1));
        assert_eq!(prefixes.find(&key(16, [10, 0, 0xff, 1])), Some(1), "the key is shorter than the prefix");
        assert_eq!(prefixes.find(&key(32, [11, 0, 0, 1])), Some(3));
        assert_eq!(prefixes.find(&key(33, [10, 0, 0, 1])), None, "longer than the data");
        assert_eq!(prefixes.get(&key(17, [10, 0, 0x81, 0])).unwrap(), Some(2), "bits behind do not count");
        assert_eq!(prefixes.insert(&key(8, [10, 1, 1, 1]), 4), Some(1));
        assert_eq!(prefixes.len(), 3);
        assert_eq!(prefixes.remove(&key(8, [10, 2, 2, 2])).unwrap(), Some(4));
        assert_eq!(prefixes.remove(&key(8, [10, 2, 2, 2])).unwrap(), None);
        assert_eq!(prefixes.find(&key(32, [10, 0, 0x7f, 1])), Some(3));
        assert_eq!(prefixes.remove(&key(40, [0; 4])).unwrap_err(), Errno::Einval);
    }
}
