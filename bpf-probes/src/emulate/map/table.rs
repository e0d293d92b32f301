//! One map: its blueprint, its keys and its values.

use std::collections::BTreeMap;

use super::index::Index;
use super::lpm::Prefixes;
use super::ring::Ring;
use super::slab::Slab;
use crate::emulate::address;
use crate::emulate::errno::Errno;
use crate::spec::{Entries, MapKind, MapSpec, flag};

/// Flag of an update: the key must be new.
const NOEXIST: u64 = 1;
/// Flag of an update: the key must be there.
const EXIST: u64 = 2;

/// What a map holds.
#[derive(Clone, Debug)]
pub(in crate::emulate) enum Content {
    /// Values by key.
    Values {
        slab: Slab,
        keys: Keys,
    },
    Ring(Ring),
    /// Numbers of programs by index.
    Programs(BTreeMap<u32, usize>),
    /// Numbers of maps by key.
    Maps(BTreeMap<Vec<u8>, usize>),
}

/// How a key finds its value.
#[derive(Clone, Debug)]
pub(in crate::emulate) enum Keys {
    /// `u32` indices, all there from the start.
    Array,
    Hash(Index),
    /// The oldest key goes when there is no room.
    Lru(Index),
    Prefix(Prefixes),
    /// Addresses of tasks, without limit.
    Task(Index),
}

/// A value in a map.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::emulate) struct Position {
    pub(in crate::emulate) entry: usize,
    pub(in crate::emulate) lane: usize,
}

/// A map and what it holds.
#[derive(Clone, Debug)]
pub struct Map {
    spec: MapSpec,
    capacity: usize,
    content: Content,
}

impl Map {
    /// Makes a map for this many CPUs; the text says why it cannot be made.
    pub(in crate::emulate) fn new(spec: &MapSpec, cpus: u32) -> Result<Self, String> {
        let entries = match spec.entries {
            Entries::Fixed(entries) => entries,
            Entries::PerCpu(entries) => {
                entries.checked_mul(cpus).ok_or_else(|| format!("{entries} entries a CPU are too many"))?
            }
        };
        let content = make(spec, entries, cpus)?;
        let capacity = usize::try_from(entries).unwrap_or(usize::MAX);
        let mut map = Self { spec: spec.clone(), capacity, content };
        map.fill()?;
        Ok(map)
    }

    fn fill(&mut self) -> Result<(), String> {
        if matches!(self.content, Content::Programs(_) | Content::Maps(_)) {
            return Ok(());
        }
        for entry in std::mem::take(&mut self.spec.contents) {
            self.update(&entry.key, &entry.value)
                .map_err(|errno| format!("an entry from the start is refused: {errno}"))?;
            self.spec.contents.push(entry);
        }
        Ok(())
    }

    /// The blueprint.
    pub fn spec(&self) -> &MapSpec {
        &self.spec
    }

    /// How many entries there may be.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    pub(in crate::emulate) fn has_index(&self, index: u32) -> bool {
        usize::try_from(index).is_ok_and(|index| index < self.capacity)
    }

    pub(in crate::emulate) fn content(&self) -> &Content {
        &self.content
    }

    pub(in crate::emulate) fn content_mut(&mut self) -> &mut Content {
        &mut self.content
    }

    /// How many entries there are; an array is always full.
    pub fn len(&self) -> usize {
        match &self.content {
            Content::Values { keys: Keys::Array, .. } => self.capacity,
            Content::Values { keys: Keys::Hash(index) | Keys::Lru(index) | Keys::Task(index), .. } => {
                index.len()
            }
            Content::Values { keys: Keys::Prefix(prefixes), .. } => prefixes.len(),
            Content::Ring(ring) => ring.records().len(),
            Content::Programs(programs) => programs.len(),
            Content::Maps(maps) => maps.len(),
        }
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The value of a key, of CPU 0 where each has its own. Keys of task storage are the 8 bytes of the task's address.
    pub fn lookup(&self, key: &[u8]) -> Option<&[u8]> {
        self.lookup_cpu(key, 0)
    }

    /// The value of a key on one CPU.
    pub fn lookup_cpu(&self, key: &[u8], cpu: u32) -> Option<&[u8]> {
        let entry = self.entry(key)?;
        let Content::Values { slab, .. } = &self.content else {
            return None;
        };
        let lane = usize::try_from(cpu).ok().filter(|lane| *lane < slab.lanes())?;
        Some(slab.value(entry, lane))
    }

    /// Sets the value of a key, on all CPUs where each has its own.
    ///
    /// # Errors
    /// As the kernel: `E2BIG` without room or past an array, `EINVAL` for sizes that are not the map's and for maps without values.
    pub fn update(&mut self, key: &[u8], value: &[u8]) -> Result<(), Errno> {
        let lanes = match &self.content {
            Content::Values { slab, .. } => slab.lanes(),
            Content::Ring(_) | Content::Programs(_) | Content::Maps(_) => return Err(Errno::Einval),
        };
        for lane in 0..lanes {
            self.update_lane(key, value, 0, lane)?;
        }
        self.reclaim();
        Ok(())
    }

    /// Removes a key.
    ///
    /// # Errors
    /// As the kernel: `ENOENT` where there is none, `EINVAL` for arrays and for keys of another size.
    pub fn delete(&mut self, key: &[u8]) -> Result<(), Errno> {
        self.remove(key)?;
        self.reclaim();
        Ok(())
    }

    /// All keys with values of CPU 0, in order of key.
    pub fn entries(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let Content::Values { slab, keys } = &self.content else {
            return Vec::new();
        };
        let value = |entry| slab.value(entry, 0).to_vec();
        match keys {
            Keys::Array => (0_u32..)
                .take(self.capacity)
                .enumerate()
                .map(|(entry, index)| (index.to_le_bytes().to_vec(), value(entry)))
                .collect(),
            Keys::Hash(index) | Keys::Lru(index) | Keys::Task(index) => {
                index.iter().map(|(key, entry)| (key.to_vec(), value(entry))).collect()
            }
            Keys::Prefix(prefixes) => prefixes.iter().map(|(key, entry)| (key, value(entry))).collect(),
        }
    }

    fn entry(&self, key: &[u8]) -> Option<usize> {
        let Content::Values { keys, .. } = &self.content else {
            return None;
        };
        match keys {
            Keys::Array => array_entry(key).filter(|entry| *entry < self.capacity),
            Keys::Hash(index) | Keys::Lru(index) | Keys::Task(index) => index.get(key),
            Keys::Prefix(prefixes) => prefixes.find(key),
        }
    }

    /// What a program's look-up finds.
    pub(in crate::emulate) fn find(&mut self, key: &[u8]) -> Option<usize> {
        let entry = self.entry(key)?;
        if let Content::Values { keys: Keys::Lru(index), .. } = &mut self.content {
            index.touch(key);
        }
        Some(entry)
    }

    /// Sets the value of a key on one CPU (`map_update_elem` of each kind).
    pub(in crate::emulate) fn update_lane(
        &mut self,
        key: &[u8],
        value: &[u8],
        flags: u64,
        lane: usize,
    ) -> Result<(), Errno> {
        let Content::Values { slab, keys } = &mut self.content else {
            return Err(Errno::Einval);
        };
        let task = matches!(keys, Keys::Task(_)) && key.len() == 8;
        if flags > EXIST || value.len() != slab.size() || (key.len() != self.spec.key_size as usize && !task)
        {
            return Err(Errno::Einval);
        }
        let old = match keys {
            Keys::Array => {
                let entry = array_entry(key).filter(|entry| *entry < self.capacity).ok_or(Errno::E2big)?;
                if flags & NOEXIST != 0 {
                    return Err(Errno::Eexist);
                }
                slab.value_mut(entry, lane).copy_from_slice(value);
                return Ok(());
            }
            Keys::Hash(index) | Keys::Lru(index) | Keys::Task(index) => index.get(key),
            Keys::Prefix(prefixes) => prefixes.get(key)?,
        };
        match old {
            Some(_) if flags & NOEXIST != 0 => return Err(Errno::Eexist),
            None if flags & EXIST != 0 => return Err(Errno::Enoent),
            // values of one CPU are overwritten in place (`bpf_percpu_hash_update`)
            Some(entry) if slab.lanes() > 1 => {
                slab.value_mut(entry, lane).copy_from_slice(value);
                return Ok(());
            }
            Some(_) => {}
            None => make_room(keys, slab, self.capacity)?,
        }
        let entry = slab.allocate();
        slab.value_mut(entry, lane).copy_from_slice(value);
        let replaced = match keys {
            Keys::Hash(index) | Keys::Lru(index) | Keys::Task(index) => index.insert(key, entry),
            Keys::Prefix(prefixes) => prefixes.insert(key, entry),
            Keys::Array => None,
        };
        if let Some(replaced) = replaced {
            slab.release(replaced);
        }
        Ok(())
    }

    /// Removes a key; its value stays readable until the end of the run.
    pub(in crate::emulate) fn remove(&mut self, key: &[u8]) -> Result<(), Errno> {
        let Content::Values { slab, keys } = &mut self.content else {
            return Err(Errno::Einval);
        };
        let entry = match keys {
            Keys::Array => return Err(Errno::Einval),
            Keys::Hash(index) | Keys::Lru(index) | Keys::Task(index) => index.remove(key),
            Keys::Prefix(prefixes) => prefixes.remove(key)?,
        };
        slab.release(entry.ok_or(Errno::Enoent)?);
        Ok(())
    }

    /// Ends the life of values that were deleted or replaced.
    pub(in crate::emulate) fn reclaim(&mut self) {
        if let Content::Values { slab, .. } = &mut self.content {
            slab.reclaim();
        }
    }

    pub(in crate::emulate) fn slab(&self) -> Option<&Slab> {
        match &self.content {
            Content::Values { slab, .. } => Some(slab),
            Content::Ring(_) | Content::Programs(_) | Content::Maps(_) => None,
        }
    }

    pub(in crate::emulate) fn value(&self, position: Position) -> &[u8] {
        self.slab().map_or(&[], |slab| slab.value(position.entry, position.lane))
    }

    pub(in crate::emulate) fn value_mut(&mut self, position: Position) -> &mut [u8] {
        match &mut self.content {
            Content::Values { slab, .. } => slab.value_mut(position.entry, position.lane),
            Content::Ring(_) | Content::Programs(_) | Content::Maps(_) => &mut [],
        }
    }
}

fn make(spec: &MapSpec, entries: u32, cpus: u32) -> Result<Content, String> {
    let keys = match spec.kind {
        MapKind::RingBuf => return ring(spec, entries),
        MapKind::ProgArray => return Ok(Content::Programs(BTreeMap::new())),
        MapKind::ArrayOfMaps | MapKind::HashOfMaps => return Ok(Content::Maps(BTreeMap::new())),
        MapKind::Array | MapKind::PerCpuArray if spec.key_size != 4 => {
            return Err(format!("keys of an array have 4 bytes, not {}", spec.key_size));
        }
        MapKind::Array | MapKind::PerCpuArray => Keys::Array,
        MapKind::Hash | MapKind::PerCpuHash | MapKind::StackTrace => Keys::Hash(Index::default()),
        MapKind::LruHash => Keys::Lru(Index::default()),
        MapKind::LpmTrie if spec.key_size <= 4 => {
            return Err("keys of a prefix map begin with a length of 4 bytes".to_owned());
        }
        MapKind::LpmTrie if spec.flags & flag::NO_PREALLOC == 0 => {
            return Err("a prefix map needs the flag NO_PREALLOC".to_owned());
        }
        MapKind::LpmTrie => Keys::Prefix(Prefixes::new(spec.key_size)),
        MapKind::TaskStorage => Keys::Task(Index::default()),
    };
    if spec.value_size == 0 || (entries == 0 && !matches!(keys, Keys::Task(_))) {
        return Err("a map needs entries and a value size".to_owned());
    }
    let per_cpu = matches!(spec.kind, MapKind::PerCpuHash | MapKind::PerCpuArray);
    let lanes = if per_cpu { cpus as usize } else { 1 };
    let mut slab = Slab::new(spec.value_size as usize, lanes);
    // twice the room: entries that were replaced live until the end of the run
    let span = slab.span(entries as usize * 2).map_or(u64::MAX, |span| span as u64);
    if span > address::MAP_WINDOW {
        return Err("the values do not fit the addresses of one map".to_owned());
    }
    if matches!(keys, Keys::Array) {
        for _ in 0..entries {
            slab.allocate();
        }
    }
    Ok(Content::Values { slab, keys })
}

fn ring(spec: &MapSpec, bytes: u32) -> Result<Content, String> {
    if !bytes.is_power_of_two() || !bytes.is_multiple_of(4096) || bytes > address::MAX_RING_BYTES {
        return Err(format!("{bytes} bytes are no size of a ring"));
    }
    if spec.key_size != 0 || spec.value_size != 0 {
        return Err("a ring has neither keys nor values".to_owned());
    }
    Ok(Content::Ring(Ring::new(bytes)))
}

fn array_entry(key: &[u8]) -> Option<usize> {
    let key: [u8; 4] = key.try_into().ok()?;
    usize::try_from(u32::from_le_bytes(key)).ok()
}

fn make_room(keys: &mut Keys, slab: &mut Slab, capacity: usize) -> Result<(), Errno> {
    match keys {
        Keys::Hash(index) if index.len() >= capacity => Err(Errno::E2big),
        Keys::Prefix(prefixes) if prefixes.len() >= capacity => Err(Errno::Enospc),
        Keys::Lru(index) => {
            if index.len() >= capacity
                && let Some(oldest) = index.remove_oldest()
            {
                slab.release(oldest);
            }
            Ok(())
        }
        Keys::Array | Keys::Hash(_) | Keys::Prefix(_) | Keys::Task(_) => Ok(()),
    }
}
