//! The maps that all programs share, as blueprints: made once by the base collection, imported by everything else.

use std::mem::size_of;

use crate::abi::{
    BinaryEndKey, BinaryKey, CALLS, Call, CallKey, ClassSet, Control, Counters, FileHash, HASHES, HashKey,
    LIMITS, LimitKey, NOTES, Note, NoteKey, NumberKey, PENDING, Pending, PendingKey, ProcessState, RATES,
    Rate, RateKey, Recorded, SOCKETS, SocketOwner, UserRegisters, WORKLOADS, map_name,
};
use crate::builder::Facts;
use crate::routine::layout::{CLAIMED_BYTES, CLAIMS, SCRATCH_BYTES};
use crate::spec::{Entries, MapKind, MapSpec, flag};

/// Values that the tries of binaries hold at most.
const BINARY_VALUES: u32 = 200_000;
/// Process numbers that can be asked for at once.
const NUMBERS: u32 = 4_096;

fn size<T>() -> u32 {
    u32::try_from(size_of::<T>()).expect("map values are small")
}

/// Cells that the daemon stores.
pub fn control() -> MapSpec {
    MapSpec::array(map_name::CONTROL, size::<Control>(), Entries::Fixed(1)).with_flags(flag::MMAPABLE)
}

/// Counters that programs add to.
pub fn counters() -> MapSpec {
    MapSpec::array(map_name::COUNTERS, size::<Counters>(), Entries::Fixed(1)).with_flags(flag::MMAPABLE)
}

/// Working memory, one entry a CPU.
pub fn scratch() -> MapSpec {
    MapSpec::array(map_name::SCRATCH, SCRATCH_BYTES, Entries::PerCpu(1))
}

/// Working memory that is claimed.
pub fn claimed() -> MapSpec {
    MapSpec::array(map_name::CLAIMED, CLAIMED_BYTES, Entries::PerCpu(CLAIMS))
}

/// The process table, `entries` large; it allocates on insert where the kernel lets tracing programs do so.
pub fn processes(facts: &Facts<'_>, entries: u32) -> MapSpec {
    let map = MapSpec::hash(map_name::PROCESSES, 4, size::<ProcessState>(), entries);
    if facts.allocating_maps { map.with_flags(flag::NO_PREALLOC) } else { map }
}

/// Notes for the hooks on the way of denied calls. All its memory is there from the start: an insert fails only when it is full.
pub fn notes() -> MapSpec {
    MapSpec::hash(map_name::NOTES, size::<NoteKey>(), size::<Note>(), NOTES)
}

/// What the registers of threads are to be that override. All its memory is there from the start, as that of notes.
pub fn registers() -> MapSpec {
    MapSpec::hash(map_name::REGISTERS, size::<NoteKey>(), size::<UserRegisters>(), NOTES)
}

/// Whose the sockets are that are tracked.
pub fn sockets() -> MapSpec {
    let map = MapSpec::hash(map_name::SOCKETS, size::<u64>(), size::<SocketOwner>(), SOCKETS);
    MapSpec { kind: MapKind::LruHash, ..map }
}

/// Hashes of files on their way into reports.
pub fn hashes() -> MapSpec {
    let map = MapSpec::hash(map_name::HASHES, size::<HashKey>(), size::<FileHash>(), HASHES);
    MapSpec { kind: MapKind::LruHash, ..map }
}

/// What enforcers were told about threads. All its memory is there from the start, as that of notes.
pub fn pending() -> MapSpec {
    MapSpec::hash(map_name::PENDING, size::<PendingKey>(), size::<Pending>(), PENDING)
}

/// Calls under way whose return is to be seen. The longest unused goes when it is full: what a thread that died in a call left behind does not stay for ever.
pub fn calls() -> MapSpec {
    MapSpec {
        kind: MapKind::LruHash,
        ..MapSpec::hash(map_name::CALLS, size::<CallKey>(), size::<Call>(), CALLS)
    }
}

/// When what is alike was reported last.
pub fn limits() -> MapSpec {
    let map = MapSpec::hash(map_name::LIMITS, size::<LimitKey>(), size::<u64>(), LIMITS);
    MapSpec { kind: MapKind::LruHash, ..map }
}

/// How often processes of a cgroup begin and end on each CPU.
pub fn rates() -> MapSpec {
    let map = MapSpec::hash(map_name::RATES, size::<RateKey>(), size::<Rate>(), RATES);
    MapSpec { kind: MapKind::LruHash, ..map }
}

/// What processes were in and might do when their image began, `entries` large; it allocates as the process table does.
pub fn recorded(facts: &Facts<'_>, entries: u32) -> MapSpec {
    let map = MapSpec::hash(map_name::RECORDED, 4, size::<Recorded>(), entries);
    if facts.allocating_maps { map.with_flags(flag::NO_PREALLOC) } else { map }
}

/// Containers of pods, by their cgroups; it allocates as the process table does.
pub fn workloads(facts: &Facts<'_>) -> MapSpec {
    let map = MapSpec::hash(map_name::WORKLOADS, size::<u64>(), size::<ClassSet>(), WORKLOADS);
    if facts.allocating_maps { map.with_flags(flag::NO_PREALLOC) } else { map }
}

/// Process numbers that are asked for; it allocates as the process table does.
pub fn numbers(facts: &Facts<'_>) -> MapSpec {
    let map = MapSpec::hash(map_name::NUMBERS, size::<NumberKey>(), size::<ClassSet>(), NUMBERS);
    if facts.allocating_maps { map.with_flags(flag::NO_PREALLOC) } else { map }
}

/// The trie of exact paths and prefixes.
pub fn binaries() -> MapSpec {
    trie(map_name::BINARIES, size::<BinaryKey>())
}

/// The trie of postfixes.
pub fn binary_ends() -> MapSpec {
    trie(map_name::BINARY_ENDS, size::<BinaryEndKey>())
}

fn trie(name: &str, key_size: u32) -> MapSpec {
    MapSpec { kind: MapKind::LpmTrie, ..MapSpec::hash(name, key_size, size::<ClassSet>(), BINARY_VALUES) }
        .with_flags(flag::NO_PREALLOC)
}

/// The ring of observations.
pub fn events(bytes: u32) -> MapSpec {
    MapSpec::ring(map_name::EVENTS, bytes)
}

/// The ring of enforcement.
pub fn enforcement(bytes: u32) -> MapSpec {
    MapSpec::ring(map_name::ENFORCEMENT, bytes)
}
