//! Blueprint of a map.

/// The kinds of map that we make (`enum bpf_map_type`).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u32)]
#[expect(missing_docs, reason = "the names are the kernel's")]
pub enum MapKind {
    Hash = 1,
    Array = 2,
    ProgArray = 3,
    PerCpuHash = 5,
    PerCpuArray = 6,
    StackTrace = 7,
    LruHash = 9,
    LpmTrie = 11,
    ArrayOfMaps = 12,
    HashOfMaps = 13,
    RingBuf = 27,
    TaskStorage = 29,
}

/// Flags of `BPF_MAP_CREATE`.
pub mod flag {
    /// Elements are allocated when they are made.
    pub const NO_PREALLOC: u32 = 1 << 0;
    /// Programs may only read.
    pub const RDONLY_PROG: u32 = 1 << 7;
    /// The values of an array can be mapped into the daemon (5.5).
    pub const MMAPABLE: u32 = 1 << 10;
}

/// How many entries a map has.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Entries {
    /// This many; bytes for a ring.
    Fixed(u32),
    /// This many for each possible CPU.
    PerCpu(u32),
}

/// One entry that the map holds from the start.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Entry {
    /// `key_size` bytes.
    pub key: Vec<u8>,
    /// `value_size` bytes.
    pub value: Vec<u8>,
}

/// A map before it exists.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct MapSpec {
    /// Unique in its collection; the kernel keeps the first 15 bytes.
    pub name: String,
    /// What it is.
    pub kind: MapKind,
    /// Bytes of a key; 0 for rings.
    pub key_size: u32,
    /// Bytes of a value; 0 for rings.
    pub value_size: u32,
    /// Its capacity.
    pub entries: Entries,
    /// [`flag`] bits.
    pub flags: u32,
    /// What it holds from the start.
    pub contents: Vec<Entry>,
}

impl MapSpec {
    /// An array with `u32` indices.
    pub fn array(name: impl Into<String>, value_size: u32, entries: Entries) -> Self {
        Self {
            name: name.into(),
            kind: MapKind::Array,
            key_size: 4,
            value_size,
            entries,
            flags: 0,
            contents: Vec::new(),
        }
    }

    /// A hash map, preallocated unless flagged otherwise.
    pub fn hash(name: impl Into<String>, key_size: u32, value_size: u32, entries: u32) -> Self {
        Self {
            name: name.into(),
            kind: MapKind::Hash,
            key_size,
            value_size,
            entries: Entries::Fixed(entries),
            flags: 0,
            contents: Vec::new(),
        }
    }

    /// A ring buffer of `bytes`, a power of two and a multiple of the page size.
    pub fn ring(name: impl Into<String>, bytes: u32) -> Self {
        Self {
            name: name.into(),
            kind: MapKind::RingBuf,
            key_size: 0,
            value_size: 0,
            entries: Entries::Fixed(bytes),
            flags: 0,
            contents: Vec::new(),
        }
    }

    /// The same map with these flags added.
    #[must_use]
    pub fn with_flags(mut self, flags: u32) -> Self {
        self.flags |= flags;
        self
    }

    /// Whether a map made from `other` can stand in for one made from this (contents aside). No entries stand for any number: programs seldom
    /// depend on it.
    pub fn is_compatible(&self, other: &Self) -> bool {
        (self.kind, self.key_size, self.value_size, self.flags)
            == (other.kind, other.key_size, other.value_size, other.flags)
            && (self.entries == Entries::Fixed(0) || self.entries == other.entries)
    }
}
