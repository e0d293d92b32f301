//! Tracepoints with their formatted record (4.7), through perf. By a link from 5.15, before that by ioctl.

use std::fs;
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use super::attach::{Fault, Hold};
use crate::load::kernel_fs::KernelFs;
use crate::load::program::Program;
use crate::load::sys::{self, PerfSource, SysError};

pub(super) fn attach(program: &Program, category: &str, name: &str) -> Result<Hold, Fault> {
    let root = KernelFs::Trace
        .root()
        .map_err(|error| Fault::NotSupported(format!("tracefs can neither be found nor mounted: {error}")))?;
    let id = id(root.path(), category, name)?;
    let event = sys::perf_event_open(&PerfSource::Tracepoint { id })?;
    hang(program.as_fd(), event)
}

fn id(root: &Path, category: &str, name: &str) -> Result<u64, Fault> {
    const CALL: &str = "read of the tracepoint's id in tracefs";
    let absent = || Fault::NoSuchTarget(SysError::new(CALL, libc::ENOENT));
    if [category, name].iter().any(|part| part.contains(['/', '\0']) || part.starts_with('.')) {
        return Err(absent());
    }
    let path = root.join("events").join(category).join(name).join("id");
    match fs::read_to_string(path) {
        Ok(text) => text.trim().parse().map_err(|_no_number| absent()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(absent()),
        Err(error) => Err(Fault::Call(SysError::from_io(CALL, &error))),
    }
}

/// Hangs `program` on `event` and lets it fire.
pub(super) fn hang(program: BorrowedFd<'_>, event: OwnedFd) -> Result<Hold, Fault> {
    match sys::perf_link(program, event.as_fd()) {
        Ok(link) => {
            sys::perf_event_enable(event.as_fd())?;
            Ok(Hold::event(event, Some(link)))
        }
        // Before 5.15 the attach type is unknown: EINVAL.
        Err(error) if error.errno == libc::EINVAL || error.is_not_supported() => {
            sys::perf_event_set_program(event.as_fd(), program)?;
            sys::perf_event_enable(event.as_fd())?;
            Ok(Hold::event(event, None))
        }
        Err(error) => Err(error.into()),
    }
}
