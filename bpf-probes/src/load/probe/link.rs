//! Kinds of links: what the kernel answers to one that leads nowhere shows whether it knows the kind.

use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::path::Path;

use super::attempt::{no, of_error};
use super::feature::plain;
use super::forms;
use crate::kernel::{Answer, Feature};
use crate::load::sys::{self, ProgramType, SysError};
use crate::spec::ProgramKind;

/// Perf events of the PMU `name`, and programs for them.
pub(super) fn pmu(name: &str, program: impl FnOnce() -> Answer, feature: Feature) -> Answer {
    let devices = Path::new("/sys/bus/event_source/devices");
    match devices.join(name).join("type").metadata() {
        Ok(_) => program(),
        Err(error) if error.kind() == io::ErrorKind::NotFound && devices.exists() => no(feature),
        Err(error) => Answer::Unknown { error: format!("{}: {error}", devices.display()) },
    }
}

/// Loads an empty program of `kind` and shows what `link` answers for it; `there` is the errno of a kernel that knows the kind.
fn answer(
    kind: ProgramType,
    link: impl FnOnce(BorrowedFd<'_>) -> Result<OwnedFd, SysError>,
    there: &[i32],
    feature: Feature,
) -> Answer {
    let program = match plain(kind, &forms::empty()).load() {
        Ok(program) => program,
        Err(failure) => return of_error(failure.error, feature),
    };
    match link(program.as_fd()) {
        Ok(_link) => Answer::Yes,
        Err(error) if there.contains(&error.errno) => Answer::Yes,
        Err(error) => of_error(error, feature),
    }
}

pub(super) fn perf_event_link(feature: Feature) -> Answer {
    let kind = ProgramType::of(ProgramKind::Tracepoint);
    answer(kind, sys::perf_link_on_nothing, &[libc::EBADF], feature)
}

pub(super) fn uprobe_multi(feature: Feature) -> Answer {
    answer(ProgramType::UPROBE_MULTI, sys::uprobe_link_on_nothing, &[libc::EBADF], feature)
}

/// Without `CONFIG_FPROBE` the answer is `EOPNOTSUPP`, before 5.18 `EINVAL`; with it, addresses are read first. (A symbol that does not exist
/// would be looked for in the whole list of symbols, a third of a second on a slow machine.)
pub(super) fn kprobe_multi(feature: Feature) -> Answer {
    let kind = ProgramType::of(ProgramKind::KprobeMulti);
    answer(kind, sys::kprobe_multi_link_on_nothing, &[libc::EFAULT], feature)
}
