//! Waiting until programs that run have ended.

#![expect(unsafe_code, reason = "membarrier(2)")]

use super::SysError;

/// `MEMBARRIER_CMD_GLOBAL` (`include/uapi/linux/membarrier.h`).
const GLOBAL: libc::c_int = 1;

/// Waits until every program that ran when this was called has ended, those that may sleep excepted: a grace period of RCU
/// (`kernel/sched/membarrier.c` calls `synchronize_rcu`; a trampoline holds `rcu_read_lock` around a program, `kernel/bpf/trampoline.c: __bpf_prog_enter`).
/// Milliseconds; as long as the longest preempted program on a busy machine.
///
/// # Errors
/// `EINVAL` on a machine with CPUs without ticks (`nohz_full`), `ENOSYS` on a kernel without membarrier(2).
pub fn wait_for_programs() -> Result<(), SysError> {
    // SAFETY: the call takes numbers only.
    let result = unsafe { libc::syscall(libc::SYS_membarrier, GLOBAL, 0, 0) };
    if result < 0 { Err(SysError::last("membarrier(MEMBARRIER_CMD_GLOBAL)")) } else { Ok(()) }
}
