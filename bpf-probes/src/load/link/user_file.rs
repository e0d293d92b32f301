//! The file of a place in user space.
//!
//! The kernel takes a path, so it gets the one of an open descriptor: what is attached to is the file that was looked at before, whatever its name leads to by now.

use std::ffi::CStr;
use std::fs::OpenOptions;
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};

use super::attach::{Fault, Hold, name};
use crate::attach::UserPlace;
use crate::load::sys::SysError;

/// Calls `attach` with a path that leads to `file`, or to the place's file where none is given.
pub(super) fn with(
    place: &UserPlace,
    file: Option<BorrowedFd<'_>>,
    attach: impl FnOnce(&CStr) -> Result<Hold, Fault>,
) -> Result<Hold, Fault> {
    const CALL: &str = "open";
    if let Some(file) = file {
        return attach(&door(file)?);
    }
    let mut options = OpenOptions::new();
    let opened = options.read(true).custom_flags(libc::O_PATH).open(&place.path);
    let file = opened.map_err(|error| Fault::NoSuchTarget(SysError::from_io(CALL, &error)))?;
    let metadata = file.metadata().map_err(|error| Fault::Call(SysError::from_io("fstat", &error)))?;
    if (metadata.dev(), metadata.ino()) != (place.file.device, place.file.inode) {
        // another file has its name
        return Err(Fault::NoSuchTarget(SysError::new(CALL, libc::ESTALE)));
    }
    attach(&door(file.as_fd())?)
}

fn door(file: BorrowedFd<'_>) -> Result<std::ffi::CString, Fault> {
    name(&format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// What the kernel's answer to an attachment means.
pub(super) fn fault(error: SysError) -> Fault {
    match error.errno {
        // kernel/events/uprobes.c: EINVAL for an offset beyond the file or another counter than an earlier uprobe's at the place, ENOTSUPP and EIO for an
        // instruction that cannot be probed or code that cannot be mapped; ENOENT and EBADF where the path leads to no regular file.
        libc::EINVAL | libc::ENOENT | libc::EIO | libc::EBADF => Fault::NoSuchTarget(error),
        _ => Fault::Call(error),
    }
}
