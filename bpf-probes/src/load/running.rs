//! The programs of this kernel, whoever loaded them, and what they cost.

use std::os::fd::{AsFd as _, OwnedFd};
use std::time::Duration;

use super::sys::{self, ObjectKind, SysError};

/// What the kernel counted of a program since it was loaded, while anybody had it count ([`RunStatistics`]).
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RunningProgram {
    /// The kernel's number for it.
    pub id: u32,
    /// The first 15 bytes of its name.
    pub name: String,
    /// Time spent in it.
    pub run_time: Duration,
    /// How often it ran.
    pub run_count: u64,
}

/// All programs, by number. One that is gone before it was asked about is left out.
///
/// # Errors
/// The call that failed, `EPERM` without `CAP_SYS_ADMIN`.
pub fn running_programs() -> Result<Vec<RunningProgram>, SysError> {
    let mut programs = Vec::new();
    for id in sys::object_ids(ObjectKind::Program)? {
        let fd = match sys::program_by_id(id) {
            Ok(fd) => fd,
            Err(error) if error.errno == libc::ENOENT => continue,
            Err(error) => return Err(error),
        };
        let facts = sys::program_facts(fd.as_fd())?;
        programs.push(RunningProgram {
            id,
            name: sys::program_name(fd.as_fd())?,
            run_time: Duration::from_nanos(facts.run_time_ns),
            run_count: facts.run_count,
        });
    }
    Ok(programs)
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
