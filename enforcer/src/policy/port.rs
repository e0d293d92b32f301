//! What the policy side asks of the kernel, as traits: the real kernel in `kernel.rs`, a made-up one in tests.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bpf_probes::abi::{ClassSet, ProcessState};
use bpf_probes::asm::Origin;
use tracing_policy::CompiledBody;

/// The kernel said no.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Refused {
    /// What was tried, what came back, what to do.
    pub message: String,
    /// Where the refused instruction came from, if it was the verifier who refused.
    pub origin: Option<Origin>,
}

impl fmt::Display for Refused {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl Refused {
    /// A refusal in words.
    pub fn new(message: impl fmt::Display) -> Self {
        Self { message: message.to_string(), origin: None }
    }
}

/// One of the two places behind a stub.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Slot {
    /// The first.
    A,
    /// The second.
    B,
}

impl Slot {
    /// Index in the stub's program array, and value of the hook's cell.
    pub const fn index(self) -> u32 {
        match self {
            Self::A => 0,
            Self::B => 1,
        }
    }

    /// The other one.
    #[must_use]
    pub const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// What running programs cost.
#[derive(Clone, Copy, Debug, Default, Eq, Ord, PartialEq, PartialOrd)]
pub struct Cost {
    /// Runs, while `kernel.bpf_stats_enabled` is 1.
    pub runs: u64,
    /// Time spent in them, likewise.
    pub time: Duration,
    /// Instructions that the verifier walked (5.16).
    pub verified: u32,
}

/// What the kernel counts about programs that are loaded.
pub trait Figures: fmt::Debug + Send + Sync {
    /// Calls that passed unseen because the program was running on that CPU already.
    fn recursion_misses(&self) -> u64;
    /// Calls that the kernel did not hand to the link of the programs.
    fn link_misses(&self) -> u64 {
        0
    }
    /// Bytes of kernel memory that programs and maps take.
    fn memory(&self) -> u64;
    /// What running them costs.
    fn cost(&self) -> Cost {
        Cost::default()
    }
}

/// Loads and attaches the programs of hooks. What it returns is released when dropped: a stub is detached.
pub trait HookPort {
    /// A loaded program behind a stub.
    type Body;
    /// A stub with its two slots, attached or not yet.
    type Stub;

    /// Loads a program; nothing runs it yet.
    ///
    /// # Errors
    /// The kernel's refusal.
    fn load_body(&self, body: &CompiledBody) -> Result<Self::Body, Refused>;

    /// Loads the stub for a program, of the hook with this number; nothing runs it yet. A program with [`tracing_policy::policy::Role::Override`] is attached in a stub's stead, and is not
    /// exchanged: it is the same for all policies.
    ///
    /// # Errors
    /// The kernel's refusal.
    fn load_stub(
        &self,
        compiled: &CompiledBody,
        body: &Self::Body,
        number: u32,
    ) -> Result<Self::Stub, Refused>;

    /// Puts a program into a slot.
    ///
    /// # Errors
    /// The kernel's refusal.
    fn put(&self, stub: &Self::Stub, slot: Slot, body: &Self::Body) -> Result<(), Refused>;

    /// Empties a slot; a slot that cannot be emptied keeps a program that nothing runs.
    fn clear(&self, stub: &Self::Stub, slot: Slot);

    /// Attaches a stub.
    ///
    /// # Errors
    /// The kernel's refusal.
    fn attach(&self, stub: &mut Self::Stub) -> Result<(), Refused>;

    /// Makes a slot the live one of the hook with this number. A store, which cannot fail.
    fn go_live(&self, number: u32, slot: Slot);

    /// What the kernel counts about a stub and the program behind it.
    fn figures(&self, stub: &Self::Stub, body: &Self::Body) -> Arc<dyn Figures>;
}

/// The tables that classify processes at exec and fork.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Table {
    /// Exact paths (with their NUL) and prefixes of binaries, a trie.
    Binaries,
    /// Postfixes of binaries, last byte first, a trie.
    Ends,
    /// Process numbers: bytes of a [`bpf_probes::abi::NumberKey`].
    Numbers,
}

impl Table {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Binaries, Self::Ends, Self::Numbers];

    /// The table's bit in [`bpf_probes::abi::Control::tables`].
    pub const fn bit(self) -> u32 {
        match self {
            Self::Binaries => 1,
            Self::Ends => 2,
            Self::Numbers => 4,
        }
    }
}

/// Keeps the classes of processes in the kernel.
pub trait ClassPort {
    /// Makes or replaces entries.
    ///
    /// # Errors
    /// The kernel's refusal; entries before the refused one are written.
    fn write_table(&self, table: Table, entries: &[(&[u8], ClassSet)]) -> Result<(), Refused>;

    /// Deletes entries; one that is not there is no error.
    ///
    /// # Errors
    /// The kernel's refusal.
    fn erase_table(&self, table: Table, keys: &[&[u8]]) -> Result<(), Refused>;

    /// Says which tables have entries, by [`Table::bit`]. A store.
    fn set_tables_used(&self, tables: u32);

    /// Says which classes outlive an exec. A store.
    fn set_followed(&self, followed: ClassSet);

    /// Says which classes the workload of a container has.
    ///
    /// # Errors
    /// The kernel's refusal.
    fn write_workload(&self, cgroup: u64, classes: ClassSet) -> Result<(), Refused>;

    /// Forgets a container; one that is not known is no error.
    ///
    /// # Errors
    /// The kernel's refusal.
    fn erase_workload(&self, cgroup: u64) -> Result<(), Refused>;

    /// Says which classes the host's own processes have as a workload, and on which levels of the hierarchy containers are
    /// ([`bpf_probes::abi::Control::levels`]). Stores.
    fn set_host(&self, classes: ClassSet, levels: u64);

    /// What the kernel keeps of a process; `None` if nothing.
    ///
    /// # Errors
    /// The kernel's refusal.
    fn state(&self, tgid: u32) -> Result<Option<ProcessState>, Refused>;

    /// All processes that the kernel keeps something of.
    ///
    /// # Errors
    /// The kernel's refusal.
    fn known_processes(&self) -> Result<Vec<u32>, Refused>;

    /// Sets and keeps bits of one word of a process's classes, atomically with its forks and execs. `false` when there is no such image
    /// (`ktime`) of it any more.
    ///
    /// # Errors
    /// The kernel's refusal.
    fn mark(&self, tgid: u32, ktime: u64, word: usize, set: u64, keep: u64) -> Result<bool, Refused>;
}

/// Cells of policies.
pub trait CellPort {
    /// Sets the mode that programs read. A store.
    fn set_mode(&self, policy: u32, monitor: bool);
    /// Sets the counters of `len` selectors from `first` to zero.
    fn reset_counters(&self, first: u32, len: u32);
}
