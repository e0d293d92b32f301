//! From keys to entries of hash maps, with or without eviction.

use std::collections::BTreeMap;

/// Exact keys. Every touch moves a key to the young end, so that the oldest is known.
#[derive(Clone, Debug, Default)]
pub(in crate::emulate) struct Index {
    entries: BTreeMap<Vec<u8>, (usize, u64)>,
    ages: BTreeMap<u64, Vec<u8>>,
    clock: u64,
}

impl Index {
    pub(super) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<usize> {
        self.entries.get(key).map(|(entry, _)| *entry)
    }

    /// Makes a key the youngest.
    pub(super) fn touch(&mut self, key: &[u8]) {
        if let Some((_, age)) = self.entries.get_mut(key) {
            self.ages.remove(age);
            self.clock += 1;
            *age = self.clock;
            self.ages.insert(self.clock, key.to_vec());
        }
    }

    pub(super) fn insert(&mut self, key: &[u8], entry: usize) -> Option<usize> {
        let old = self.remove(key);
        self.clock += 1;
        self.entries.insert(key.to_vec(), (entry, self.clock));
        self.ages.insert(self.clock, key.to_vec());
        old
    }

    pub(super) fn remove(&mut self, key: &[u8]) -> Option<usize> {
        let (entry, age) = self.entries.remove(key)?;
        self.ages.remove(&age);
        Some(entry)
    }

    pub(super) fn remove_oldest(&mut self) -> Option<usize> {
        let key = self.ages.first_key_value()?.1.clone();
        self.remove(&key)
    }

    /// All keys and entries in order of key.
    pub(super) fn iter(&self) -> impl Iterator<Item = (&[u8], usize)> {
        self.entries.iter().map(|(key, (entry, _))| (key.as_slice(), *entry))
    }
}
