//! What the kernel says about links.

#![expect(unsafe_code, reason = "bpf(2)")]

use std::os::fd::{BorrowedFd, OwnedFd};

use libbpf_sys as ffi;

use super::SysError;
use super::object::{info, own};

/// What is asked about a link.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(in crate::load) struct LinkFacts {
    pub(in crate::load) id: u32,
    /// Calls of kernel functions that were not handed to the program; 0 where the kernel does not count them (before 6.7).
    pub(in crate::load) missed: u64,
}

/// Asks about a link.
pub(in crate::load) fn link_facts(fd: BorrowedFd<'_>) -> Result<LinkFacts, SysError> {
    let mut answer = ffi::bpf_link_info::default();
    // SAFETY: this is what links are asked for; all pointers in it are null with counts of 0.
    unsafe { info(fd, &mut answer) }?;
    Ok(LinkFacts { id: answer.id, missed: missed(&answer) })
}

/// `kernel/trace/bpf_trace.c: bpf_kprobe_multi_link_fill_link_info`, `kernel/bpf/syscall.c: bpf_perf_link_fill_kprobe`, 6.7.
fn missed(info: &ffi::bpf_link_info) -> u64 {
    match info.type_ {
        ffi::BPF_LINK_TYPE_KPROBE_MULTI => {
            // SAFETY: every bit pattern is a number, and what the kernel did not write is 0.
            unsafe { info.__bindgen_anon_1.kprobe_multi.missed }
        }
        ffi::BPF_LINK_TYPE_PERF_EVENT => {
            // SAFETY: as above.
            let event = unsafe { info.__bindgen_anon_1.perf_event };
            match event.type_ {
                // SAFETY: as above.
                ffi::BPF_PERF_EVENT_KPROBE | ffi::BPF_PERF_EVENT_KRETPROBE => unsafe {
                    event.__bindgen_anon_1.kprobe.missed
                },
                _ => 0,
            }
        }
        _ => 0,
    }
}

/// A link by its number.
pub(in crate::load) fn link_by_id(id: u32) -> Result<OwnedFd, SysError> {
    // SAFETY: a plain number; the call makes a descriptor or fails.
    own("bpf(BPF_LINK_GET_FD_BY_ID)", unsafe { ffi::bpf_link_get_fd_by_id(id) })
}
