//! Perf events: the old door to kprobes and tracepoints.

#![expect(unsafe_code, reason = "perf_event_open(2) and its ioctls")]

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};

use super::SysError;
use super::object::own;

/// What a perf event watches.
#[derive(Clone, Copy, Debug)]
pub(in crate::load) enum PerfSource<'a> {
    /// The tracepoint with this id (`events/CATEGORY/NAME/id` in tracefs).
    Tracepoint { id: u64 },
    /// A kernel function, through the kprobe PMU (4.17).
    Function {
        /// Number of the PMU (`/sys/bus/event_source/devices/kprobe/type`).
        pmu: u32,
        /// The bit of `config` that asks for the return; 0 for the entry.
        config: u64,
        /// The symbol.
        symbol: &'a CStr,
    },
    /// A place in a file, through the uprobe PMU (4.17).
    User {
        /// Number of the PMU (`/sys/bus/event_source/devices/uprobe/type`).
        pmu: u32,
        /// Bits for the return and the reference counter.
        config: u64,
        /// The file.
        path: &'a CStr,
        /// Offset in it.
        offset: u64,
    },
}

// ioctl numbers of include/uapi/linux/perf_event.h: _IO('$', 0) and _IOW('$', 8, __u32).
const PERF_EVENT_IOC_ENABLE: libc::Ioctl = 0x2400;
const PERF_EVENT_IOC_SET_BPF: libc::Ioctl = 0x4004_2408;

/// Opens a perf event for all processes. Such events fire on every CPU although opened on one: programs hang on the event's source,
/// not on the CPU (`kernel/trace/trace_event_perf.c`).
pub(in crate::load) fn perf_event_open(source: &PerfSource<'_>) -> Result<OwnedFd, SysError> {
    const CALL: &str = "perf_event_open";
    let mut attr = libbpf_sys::perf_event_attr {
        size: u32::try_from(size_of::<libbpf_sys::perf_event_attr>()).unwrap_or(0),
        ..Default::default()
    };
    match source {
        PerfSource::Tracepoint { id } => {
            attr.type_ = libbpf_sys::PERF_TYPE_TRACEPOINT;
            attr.config = *id;
        }
        PerfSource::Function { pmu, config, symbol } => {
            attr.type_ = *pmu;
            attr.config = *config;
            attr.__bindgen_anon_3.kprobe_func = symbol.as_ptr() as u64;
        }
        PerfSource::User { pmu, config, path, offset } => {
            attr.type_ = *pmu;
            attr.config = *config;
            attr.__bindgen_anon_3.uprobe_path = path.as_ptr() as u64;
            attr.__bindgen_anon_4.probe_offset = *offset;
        }
    }
    // SAFETY: `attr` is live, of the size that it states, and points to a NUL-terminated name that lives longer.
    let result = unsafe {
        libc::syscall(
            libc::SYS_perf_event_open,
            &raw const attr,
            -1, // any process
            0,  // the first CPU, which x86 and arm64 servers do not take offline
            -1, // no group
            u64::from(libbpf_sys::PERF_FLAG_FD_CLOEXEC),
        )
    };
    if result < 0 {
        return Err(SysError::last(CALL));
    }
    own(CALL, i32::try_from(result).unwrap_or(-libc::EBADF))
}

/// Hangs a program on a perf event (4.1); for kernels before 5.15, which have no link for it.
pub(in crate::load) fn perf_event_set_program(
    event: BorrowedFd<'_>,
    program: BorrowedFd<'_>,
) -> Result<(), SysError> {
    // SAFETY: the ioctl takes a descriptor by value.
    let result = unsafe { libc::ioctl(event.as_raw_fd(), PERF_EVENT_IOC_SET_BPF, program.as_raw_fd()) };
    if result < 0 { Err(SysError::last("ioctl(PERF_EVENT_IOC_SET_BPF)")) } else { Ok(()) }
}

/// Lets a perf event fire.
pub(in crate::load) fn perf_event_enable(event: BorrowedFd<'_>) -> Result<(), SysError> {
    // SAFETY: the ioctl takes a number.
    let result = unsafe { libc::ioctl(event.as_raw_fd(), PERF_EVENT_IOC_ENABLE, 0) };
    if result < 0 { Err(SysError::last("ioctl(PERF_EVENT_IOC_ENABLE)")) } else { Ok(()) }
}
