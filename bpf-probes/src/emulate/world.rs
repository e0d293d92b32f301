//! What programs see of the kernel around them.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use super::space::Space;
use super::{Registers, address};

/// The current task.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Task {
    /// Thread number in the host's namespace.
    pub tid: u32,
    /// Process number in the host's namespace.
    pub tgid: u32,
    /// Real user id.
    pub uid: u32,
    /// Real group id.
    pub gid: u32,
    /// The name; what is past 15 bytes is cut.
    pub comm: Vec<u8>,
    /// Address of its `struct task_struct`, 0 if the test needs none.
    pub address: u64,
    /// Id of its cgroup in the v2 hierarchy.
    pub cgroup_id: u64,
    /// Ids of its ancestors in the v2 hierarchy from level 0 on, itself last.
    pub cgroup_ancestors: Vec<u64>,
    /// What the task's PID namespace is and says.
    pub namespace: PidNamespace,
}

/// A PID namespace as `bpf_get_ns_current_pid_tgid` knows it.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct PidNamespace {
    /// Device of its file in nsfs.
    pub device: u64,
    /// Inode of its file in nsfs.
    pub inode: u64,
    /// Thread number inside.
    pub tid: u32,
    /// Process number inside.
    pub tgid: u32,
}

/// The two clocks, and how much both move each time that a program reads one.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Clock {
    /// `CLOCK_MONOTONIC` in ns.
    pub monotonic: u64,
    /// `CLOCK_BOOTTIME` in ns.
    pub boot: u64,
    /// Added to both after each read.
    pub step: u64,
}

/// Reads that fail although something is mapped.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct ReadFaults {
    numbers: BTreeSet<u64>,
    ranges: Vec<Range<u64>>,
}

impl ReadFaults {
    /// Makes the `number`th call of a `bpf_probe_read_*` or `bpf_copy_from_user` of each run fail, counted from 1.
    pub fn fail_read(&mut self, number: u64) {
        self.numbers.insert(number);
    }

    /// Makes every fault-safe read of these addresses fail, plain loads through kernel pointers too.
    pub fn fail_addresses(&mut self, addresses: Range<u64>) {
        self.ranges.push(addresses);
    }

    /// No faults any more.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    pub(super) fn fails(&self, number: u64) -> bool {
        self.numbers.contains(&number)
    }

    /// How many of the `length` bytes from `address` on can be read before the first marked one.
    pub(super) fn readable(&self, address: u64, length: usize) -> usize {
        let end = address.saturating_add(length as u64);
        let first = self
            .ranges
            .iter()
            .filter(|range| range.start < end && range.end > address)
            .map(|range| range.start.saturating_sub(address))
            .min();
        first.and_then(|first| usize::try_from(first).ok()).map_or(length, |first| first.min(length))
    }
}

/// What programs see of the kernel around them.
#[derive(Clone, Debug)]
pub struct World {
    /// Kernel objects.
    pub kernel: Space,
    /// Memory of the current process.
    pub user: Space,
    /// The current task.
    pub task: Task,
    /// The time.
    pub clock: Clock,
    /// The CPU that programs run on.
    pub cpu: u32,
    /// Reads that fail.
    pub faults: ReadFaults,
    /// What `bpf_d_path` and `bpf_path_d_path` make of a `struct path` at an address, without NUL.
    pub paths: BTreeMap<u64, Vec<u8>>,
    /// What `bpf_ima_file_hash` and `bpf_ima_inode_hash` say of a `struct file` or `struct inode` at an address: algorithm and digest.
    pub hashes: BTreeMap<u64, (u32, Vec<u8>)>,
    /// Return addresses that `bpf_get_stackid` finds in the kernel, innermost first.
    pub kernel_stack: Vec<u64>,
    /// Return addresses that `bpf_get_stackid` finds in user space, innermost first.
    pub user_stack: Vec<u64>,
    pub(super) random: u32,
}

impl Default for World {
    fn default() -> Self {
        Self {
            kernel: Space::kernel(),
            user: Space::user(),
            task: Task {
                tid: 1000,
                tgid: 1000,
                uid: 0,
                gid: 0,
                comm: b"test".to_vec(),
                address: 0,
                cgroup_id: 1,
                cgroup_ancestors: vec![1],
                namespace: PidNamespace::default(),
            },
            clock: Clock { monotonic: 1_000_000_000, boot: 1_000_000_000, step: 0 },
            cpu: 0,
            faults: ReadFaults::default(),
            paths: BTreeMap::new(),
            hashes: BTreeMap::new(),
            kernel_stack: Vec::new(),
            user_stack: Vec::new(),
            random: 0x9e37_79b9,
        }
    }
}

impl World {
    /// An object with the registers of a system call, whose address is the argument of the kernel's `__x64_sys_…` functions.
    pub fn syscall_registers(&mut self, number: u64, arguments: [u64; 6]) -> u64 {
        self.kernel.bytes("pt_regs", &Registers::syscall(number, arguments).to_bytes())
    }

    /// What can be read from `address` on without a fault, at most `limit` bytes; user or kernel objects by address.
    pub(super) fn readable(&self, address: u64, limit: usize) -> &[u8] {
        let space = if address::is_kernel(address) { &self.kernel } else { &self.user };
        let tail = space.tail(address).unwrap_or_default();
        let length = self.faults.readable(address, tail.len().min(limit));
        tail.get(..length).unwrap_or_default()
    }

    /// The next of a fixed sequence (xorshift).
    pub(super) fn next_random(&mut self) -> u32 {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 17;
        self.random ^= self.random << 5;
        self.random
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reading_stops_before_a_marked_address() {
        let mut world = World::default();
        let address = world.kernel.bytes("text", b"abcdef");
        assert_eq!(world.readable(address, 4), b"abcd");
        world.faults.fail_addresses(address + 2..address + 3);
        assert_eq!(world.readable(address, 4), b"ab");
        assert_eq!(world.readable(address + 2, 4), b"");
        assert_eq!(world.readable(address + 3, 9), b"def");
        world.faults.clear();
        assert_eq!(world.readable(address, 9), b"abcdef");
    }
}
