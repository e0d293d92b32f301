//! What the kernel side keeps of a process, and the cells that the daemon writes.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::ProcessKey;

/// Words of class bits in a [`ProcessState`].
pub const CLASS_WORDS: usize = 8;
/// Classes there can be at once: one a distinct matchBinaries or followForks test.
pub const CLASSES: u32 = 64 * 8;

/// Bits of classes, bit n in word n / 64.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct ClassSet {
    /// The words.
    pub words: [u64; CLASS_WORDS],
}

impl ClassSet {
    /// Adds a class; classes above [`CLASSES`] are ignored.
    pub fn insert(&mut self, class: u32) {
        if let Some(word) = self.words.get_mut(class as usize / 64) {
            *word |= 1 << (class % 64);
        }
    }

    /// Removes a class.
    pub fn remove(&mut self, class: u32) {
        if let Some(word) = self.words.get_mut(class as usize / 64) {
            *word &= !(1 << (class % 64));
        }
    }

    /// Whether the class is in the set.
    pub fn contains(&self, class: u32) -> bool {
        self.words.get(class as usize / 64).is_some_and(|word| word & (1 << (class % 64)) != 0)
    }

    /// Adds all of `other`.
    pub fn extend(&mut self, other: &Self) {
        for (word, more) in self.words.iter_mut().zip(other.words) {
            *word |= more;
        }
    }
}

/// Value of the map [`map_name::PROCESSES`], keyed by tgid (`u32`). Written by the exec and fork programs and by the daemon's scan of /proc.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct ProcessState {
    /// When this image began.
    pub ktime: u64,
    /// The parent's image.
    pub parent: ProcessKey,
    /// [`super::process_flag`] bits, of which only `IN_INIT_TREE` and `CLONE` matter here.
    pub flags: u32,
    /// Not 0: this image began while its cgroup was throttled, so that its end is no event either.
    pub throttled: u32,
    /// Classes that the process is in.
    pub classes: ClassSet,
}

/// Key of the tries [`map_name::BINARIES`] and [`map_name::BINARY_ENDS`] (`struct bpf_lpm_trie_key`). In the first, an exact path is
/// stored with its NUL, a prefix without; a look-up is made with the NUL, and each entry's classes include those of all entries that are prefixes of
/// it. The second holds postfixes, last byte first, looked up with the reversed path.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct BinaryKey {
    /// Significant bits of `path`.
    pub prefix_bits: u32,
    /// The bytes.
    pub path: [u8; BINARY_BYTES],
}

/// Key of [`map_name::NUMBERS`]: a process number that was asked for.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct NumberKey {
    /// The number of the thread group; 0 with [`NumberKey::OWN`] stands for all that have one there.
    pub number: u32,
    /// [`NumberKey::HOST`] or [`NumberKey::OWN`].
    pub namespace: u32,
}

impl NumberKey {
    /// The number is one of the host's pid namespace.
    pub const HOST: u32 = 0;
    /// The number is one of the process's own pid namespace, which is not the host's.
    pub const OWN: u32 = 1;
}

/// Bytes of a [`BinaryKey`]'s path; the most that the kernel's trie takes (`LPM_DATA_SIZE_MAX`).
pub const BINARY_BYTES: usize = 256;
/// Bytes of a reversed end in [`map_name::BINARY_ENDS`]; the key is [`BinaryEndKey`].
pub const BINARY_END_BYTES: usize = 128;

/// Key of [`map_name::BINARY_ENDS`].
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct BinaryEndKey {
    /// Significant bits of `path`.
    pub prefix_bits: u32,
    /// The last bytes of the path, last one first, zero behind its first byte.
    pub path: [u8; BINARY_END_BYTES],
}

/// Names of the maps that programs of several collections share.
pub mod map_name {
    /// Ring of observations.
    pub const EVENTS: &str = "events";
    /// Ring of enforcement.
    pub const ENFORCEMENT: &str = "enforcement";
    /// Hash of tgid to [`super::ProcessState`].
    pub const PROCESSES: &str = "processes";
    /// Trie of [`super::BinaryKey`] to [`super::ClassSet`].
    pub const BINARIES: &str = "binaries";
    /// Trie of [`super::BinaryEndKey`] to [`super::ClassSet`].
    pub const BINARY_ENDS: &str = "binary_ends";
    /// Hash of [`super::NumberKey`] to the [`super::ClassSet`] that a process has with such a number, from its fork on.
    pub const NUMBERS: &str = "numbers";
    /// Hash of tgid to [`super::super::Recorded`]; there only while a policy asks what changed.
    pub const RECORDED: &str = "recorded";
    /// Hash of the cgroup id (`u64`) of a pod's container to the [`super::ClassSet`] of its workload. Written by the daemon.
    pub const WORKLOADS: &str = "workloads";
    /// One value: [`super::Control`].
    pub const CONTROL: &str = "control";
    /// One value: [`super::Counters`].
    pub const COUNTERS: &str = "counters";
    /// Working memory of programs that cannot be preempted, one entry a CPU.
    pub const SCRATCH: &str = "scratch";
    /// Working memory of programs that can, several entries a CPU, claimed.
    pub const CLAIMED: &str = "claimed";
    /// Hash of [`crate::abi::NoteKey`] to [`crate::abi::Note`].
    pub const NOTES: &str = "notes";
    /// Hash of [`crate::abi::NoteKey`] to [`crate::abi::UserRegisters`]; there only while a policy overrides places in programs.
    pub const REGISTERS: &str = "registers";
    /// Hash of the address of a `struct sock` (`u64`) to [`crate::abi::SocketOwner`]; there only while a policy reports or tracks sockets.
    pub const SOCKETS: &str = "sockets";
    /// Hash of [`crate::abi::PendingKey`] to [`crate::abi::Pending`]; there only while a policy has enforcers.
    pub const PENDING: &str = "pending";
    /// LRU hash of [`crate::abi::HashKey`] to [`crate::abi::FileHash`]; there only while a policy reports hashes of files.
    pub const HASHES: &str = "hashes";
    /// LRU hash of [`crate::abi::CallKey`] to [`crate::abi::Call`].
    pub const CALLS: &str = "calls";
    /// LRU hash of [`crate::abi::RateKey`] to [`crate::abi::Rate`]; there only while cgroups are throttled (`--cgroup-rate`).
    pub const RATES: &str = "rates";
    /// Hash of [`crate::abi::LimitKey`] to the time of the last report (`u64`); there only while a policy limits reports.
    pub const LIMITS: &str = "limits";
}

/// Different levels of the hierarchy of cgroups on which containers can be at once, see [`Control::levels`].
pub const WORKLOAD_LEVELS: usize = 8;
/// Containers that can be known at once.
pub const WORKLOADS: u32 = 4_096;
/// Policies that can be loaded at once.
pub const POLICIES: usize = 2048;
/// Stubs that can be attached at once.
pub const HANDOVER_CELLS: usize = 1024;

/// Value of [`map_name::CONTROL`] (mapped into the daemon): cells that programs read and the daemon stores without a system call.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Control {
    /// Classes that outlive an exec (followChildren, followForks).
    pub followed: ClassSet,
    /// Bit 0: [`map_name::BINARIES`] has entries; bit 1: [`map_name::BINARY_ENDS`] has; bit 2: [`map_name::NUMBERS`] has. Look-ups are skipped while
    /// clear.
    pub tables: u32,
    /// Unused, zero.
    pub reserved: u32,
    /// By hook number: the live slot (0 or 1) of the hook's program array.
    pub live_slot: [u32; HANDOVER_CELLS],
    /// By policy number: 0 enforce, 1 monitor.
    pub mode: [u32; POLICIES],
    /// Classes of processes that belong to no known container of a pod.
    pub host: ClassSet,
    /// On which levels of the hierarchy the cgroups in [`map_name::WORKLOADS`] are, a byte each, the deepest in the lowest byte; zero (the root) ends the
    /// list. One word, so that programs see the old list or the new one. Look-ups are skipped while it is zero.
    pub levels: u64,
}

/// Kinds of loss that programs count, by index in [`Counters::lost`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum Loss {
    /// Exec records that found the ring full.
    Exec = 0,
    /// Fork records.
    Fork = 1,
    /// Exit records.
    Exit = 2,
    /// Hook records of observation.
    Hook = 3,
    /// Hook records of enforcement.
    Enforcement = 4,
    /// Data records.
    Data = 5,
    /// The process table took no entry.
    Process = 6,
    /// No working memory could be claimed.
    Scratch = 7,
    /// No note could be left for the hooks on a denied call's way; the caller was killed instead.
    Note = 8,
    /// A call whose return was to be seen was not seen to return, or no room was left to wait for it.
    Return = 9,
    /// Throttle records that found the ring full; the cgroup was not throttled then.
    Throttle = 10,
}

impl Loss {
    /// All kinds, in order of index.
    pub const ALL: [Self; 11] = [
        Self::Exec,
        Self::Fork,
        Self::Exit,
        Self::Hook,
        Self::Enforcement,
        Self::Data,
        Self::Process,
        Self::Scratch,
        Self::Note,
        Self::Return,
        Self::Throttle,
    ];

    /// The name in metrics and status.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exec => "exec",
            Self::Fork => "fork",
            Self::Exit => "exit",
            Self::Hook => "hook",
            Self::Enforcement => "enforcement",
            Self::Data => "data",
            Self::Process => "process",
            Self::Scratch => "scratch",
            Self::Note => "note",
            Self::Return => "return",
            Self::Throttle => "throttle",
        }
    }
}

/// What is withheld of a cgroup that is throttled, by index in [`Counters::withheld`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum Withheld {
    /// Execs: nothing is sent.
    Exec = 0,
    /// Exits: the record says only that the process is gone.
    Exit = 1,
}

impl Withheld {
    /// All of them, in order of index.
    pub const ALL: [Self; 2] = [Self::Exec, Self::Exit];

    /// The name in metrics.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Exec => "exec",
            Self::Exit => "exit",
        }
    }
}

/// Counters that one selector of one policy's hook has, by index from its first (the fields of `TracingPolicyActionCounters`, and what was missed).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are those of the wire message")]
pub enum Counter {
    Post = 0,
    Signal = 1,
    MonitorSignal = 2,
    Override = 3,
    MonitorOverride = 4,
    NotifyEnforcer = 5,
    MonitorNotifyEnforcer = 6,
    Set = 7,
    MonitorSet = 8,
    NoPost = 9,
    /// Reports that a rate limit left out; in no wire message.
    Limited = 10,
    /// What enforcers were told about a thread was told anew before it was done; in no wire message.
    NotifyOverwritten = 11,
    /// What enforcers were told about a thread was taken back before it was done; in no wire message.
    NotifyUnused = 12,
}

/// Counters of one selector.
pub const SELECTOR_COUNTERS: usize = 13;
/// Selectors that can be counted at once.
pub const SELECTORS: usize = 2048;

/// Value of [`map_name::COUNTERS`] (mapped into the daemon): programs add atomically, the daemon reads.
#[derive(Clone, Copy, Debug, FromBytes, Immutable, IntoBytes, KnownLayout)]
#[repr(C)]
pub struct Counters {
    /// By [`Loss`].
    pub lost: [u64; 16],
    /// By selector number, then [`Counter`].
    pub selectors: [[u64; SELECTOR_COUNTERS]; SELECTORS],
    /// By [`Withheld`].
    pub withheld: [u64; 2],
}
