//! The programs and maps of this kernel, whoever made them, and what they cost.

use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use super::map::memory_of;
use super::sys::{self, Elements, ObjectKind, SysError};
use crate::spec::MapKind;

/// More slots than any array of programs of ours has.
const SLOTS: u32 = 4_096;

/// What the kernel counted of a program since it was loaded, while anybody had it count ([`RunStatistics`]).
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RunningProgram {
    /// The kernel's number for it.
    pub id: u32,
    /// Its name; the first 15 bytes where the kernel has no types that tell it.
    pub name: String,
    /// `enum bpf_prog_type`.
    pub kind: u32,
    /// Time spent in it.
    pub run_time: Duration,
    /// How often it ran.
    pub run_count: u64,
    /// Runs that recursion protection skipped; 0 where the kernel does not count them.
    pub recursion_misses: u64,
    /// Instructions that the verifier walked; 0 where the kernel does not say (before 5.16).
    pub verified_insns: u32,
    /// Memory that it is charged with, in bytes; 0 where the kernel does not say.
    pub memory: u64,
}

/// All programs, by number. One that is gone before it was asked about is left out.
///
/// # Errors
/// The call that failed, `EPERM` without `CAP_SYS_ADMIN`.
pub fn running_programs() -> Result<Vec<RunningProgram>, SysError> {
    let mut programs = Vec::new();
    for id in sys::object_ids(ObjectKind::Program)? {
        let Some(fd) = still_there(sys::program_by_id(id))? else { continue };
        let facts = sys::program_facts(fd.as_fd())?;
        programs.push(RunningProgram {
            id,
            name: sys::program_name(fd.as_fd())?,
            kind: facts.kind,
            run_time: Duration::from_nanos(facts.run_time_ns),
            run_count: facts.run_count,
            recursion_misses: facts.recursion_misses,
            verified_insns: facts.verified_insns,
            memory: memory_of(fd.as_fd()).unwrap_or_default(),
        });
    }
    Ok(programs)
}

/// A map that exists.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct RunningMap {
    /// The kernel's number for it.
    pub id: u32,
    /// The first 15 bytes of its name.
    pub name: String,
    /// `enum bpf_map_type`.
    pub kind: u32,
    /// Size of a key in bytes.
    pub key_size: u32,
    /// Size of a value in bytes, on one CPU.
    pub value_size: u32,
    /// Its capacity; bytes for a ring.
    pub max_entries: u32,
    /// Memory that it is charged with, in bytes; exact from 6.4 on.
    pub memory: u64,
}

/// All maps, by number. One that is gone before it was asked about is left out.
///
/// # Errors
/// The call that failed, `EPERM` without `CAP_SYS_ADMIN`.
pub fn running_maps() -> Result<Vec<RunningMap>, SysError> {
    let mut maps = Vec::new();
    for id in sys::object_ids(ObjectKind::Map)? {
        let Some(fd) = still_there(sys::map_by_id(id))? else { continue };
        let facts = sys::map_facts(fd.as_fd())?;
        maps.push(RunningMap {
            id,
            name: facts.name,
            kind: facts.kind,
            key_size: facts.key_size,
            value_size: facts.value_size,
            max_entries: facts.max_entries,
            memory: memory_of(fd.as_fd()).unwrap_or_default(),
        });
    }
    Ok(maps)
}

/// The numbers of the maps that the program with the number `id` uses; none where it is gone.
///
/// # Errors
/// The call that failed, `EPERM` without `CAP_SYS_ADMIN`.
pub fn maps_of_program(id: u32) -> Result<Vec<u32>, SysError> {
    still_there(sys::program_by_id(id))?.map_or_else(|| Ok(Vec::new()), |fd| sys::program_maps(fd.as_fd()))
}

/// The numbers of the programs in the map with the number `id`; none where it is no array of programs.
///
/// # Errors
/// The call that failed, `EPERM` without `CAP_SYS_ADMIN`.
pub fn programs_in_map(id: u32) -> Result<Vec<u32>, SysError> {
    let Some(fd) = still_there(sys::map_by_id(id))? else { return Ok(Vec::new()) };
    let facts = sys::map_facts(fd.as_fd())?;
    if facts.kind != MapKind::ProgArray as u32 {
        return Ok(Vec::new());
    }
    let slots = Elements::of_program_array(fd);
    let mut programs = Vec::new();
    for slot in 0..facts.max_entries.min(SLOTS) {
        let mut program = [0; size_of::<u32>()];
        if slots.lookup(&slot.to_ne_bytes(), &mut program)? {
            programs.push(u32::from_ne_bytes(program));
        }
    }
    Ok(programs)
}

/// Nothing where the object went away meanwhile.
fn still_there(fd: Result<OwnedFd, SysError>) -> Result<Option<OwnedFd>, SysError> {
    match fd {
        Ok(fd) => Ok(Some(fd)),
        Err(error) if error.errno == libc::ENOENT => Ok(None),
        Err(error) => Err(error),
    }
}

/// Has the kernel count runs and time of all programs, which costs some ten nanoseconds a run; until dropped.
#[derive(Debug)]
#[must_use = "dropping it ends the counting"]
pub struct RunStatistics(#[expect(dead_code, reason = "held open")] OwnedFd);

impl RunStatistics {
    /// Starts counting (5.8).
    ///
    /// # Errors
    /// The call that failed, `EPERM` without `CAP_SYS_ADMIN`.
    pub fn enable() -> Result<Self, SysError> {
        sys::enable_run_statistics().map(Self)
    }
}
