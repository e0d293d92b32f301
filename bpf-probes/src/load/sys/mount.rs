//! A file system of the kernel for us alone, where nobody has mounted it.

#![expect(unsafe_code, reason = "fsopen(2), fsconfig(2), fsmount(2)")]

use std::ffi::CStr;
use std::os::fd::{AsRawFd, OwnedFd};

use super::SysError;
use super::object::own;

const FSOPEN_CLOEXEC: libc::c_uint = 1;
const FSCONFIG_CMD_CREATE: libc::c_uint = 6;
const FSMOUNT_CLOEXEC: libc::c_uint = 1;
const MOUNT_ATTR_RDONLY: libc::c_uint = 1;

/// A read-only mount of a file system (`tracefs`, `securityfs`, `debugfs`) that stands in no directory and goes with the descriptor (5.2).
/// Nothing changes for others; paths below it are reached through `/proc/self/fd`.
pub(in crate::load) fn detached_mount(kind: &CStr) -> Result<OwnedFd, SysError> {
    // SAFETY: the name is NUL-terminated.
    let context = unsafe { libc::syscall(libc::SYS_fsopen, kind.as_ptr(), FSOPEN_CLOEXEC) };
    let context = descriptor("fsopen", context)?;
    // SAFETY: this command takes neither key nor value.
    let result = unsafe {
        libc::syscall(
            libc::SYS_fsconfig,
            context.as_raw_fd(),
            FSCONFIG_CMD_CREATE,
            std::ptr::null::<libc::c_char>(),
            std::ptr::null::<libc::c_char>(),
            0,
        )
    };
    if result < 0 {
        return Err(SysError::last("fsconfig"));
    }
    // SAFETY: numbers only.
    let mount =
        unsafe { libc::syscall(libc::SYS_fsmount, context.as_raw_fd(), FSMOUNT_CLOEXEC, MOUNT_ATTR_RDONLY) };
    descriptor("fsmount", mount)
}

fn descriptor(call: &'static str, result: libc::c_long) -> Result<OwnedFd, SysError> {
    if result < 0 {
        return Err(SysError::last(call));
    }
    own(call, i32::try_from(result).unwrap_or(-libc::EBADF))
}
