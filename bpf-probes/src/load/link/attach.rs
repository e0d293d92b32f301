//! From program and target to a link.

use std::ffi::CString;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::sync::Arc;

use super::{
    kprobe, kprobe_multi, lsm, raw_tracepoint, tracepoint, trampoline, uprobe, uprobe_multi, user_file,
};
use crate::load::pin::{Pin, PinError, PinFolder};
use crate::load::program::Program;
use crate::load::sys::SysError;
use crate::spec::AttachSpec;

/// Why a program could not be attached. *Not there*, *not permitted* and *failed* are told apart.
#[derive(Debug, thiserror::Error)]
pub enum AttachError {
    /// Its target is nowhere.
    #[error("program {program} is not made to be attached")]
    Nowhere {
        /// The program.
        program: String,
    },
    /// The target does not exist on this kernel, or cannot be probed.
    #[error("program {program}: this kernel has no {target}: {error}")]
    NoSuchTarget {
        /// The program.
        program: String,
        /// Where it was to run.
        target: AttachSpec,
        /// What came back.
        error: SysError,
    },
    /// The kernel lacks the mechanism.
    #[error("program {program}: this kernel cannot attach to a {target}: {reason}")]
    NotSupported {
        /// The program.
        program: String,
        /// Where it was to run.
        target: AttachSpec,
        /// What is missing.
        reason: String,
    },
    /// The kernel does not let us.
    #[error("program {program}: the kernel does not permit to attach to {target}: {error}")]
    NotPermitted {
        /// The program.
        program: String,
        /// Where it was to run.
        target: AttachSpec,
        /// What came back.
        error: SysError,
    },
    /// The function has as many programs as its trampoline holds (36 to 40).
    #[error("program {program}: {target} has as many programs as it can hold; detach one of another product")]
    Full {
        /// The program.
        program: String,
        /// Where it was to run.
        target: AttachSpec,
    },
    /// `bpf` is not among the active security modules, so that an LSM program would be attached and never run.
    #[error(
        "program {program}: {target} would never run, since bpf is not among the active security modules ({active}); \
         boot with lsm={active},bpf"
    )]
    LsmInactive {
        /// The program.
        program: String,
        /// Where it was to run.
        target: AttachSpec,
        /// The active modules.
        active: String,
    },
    /// Something else.
    #[error("program {program} could not be attached to {target}: {error}")]
    Failed {
        /// The program.
        program: String,
        /// Where it was to run.
        target: AttachSpec,
        /// What came back.
        error: SysError,
    },
}

/// A program in its place; dropping it detaches the program.
#[derive(Debug)]
#[must_use = "the program is detached when this is dropped"]
pub struct Link {
    // Dropped first: what has a name stays in its place.
    pin: Option<Pin>,
    hold: Hold,
    program: String,
    target: AttachSpec,
}

impl Link {
    /// Name of the program.
    pub fn program(&self) -> &str {
        &self.program
    }

    /// Where it runs.
    pub const fn target(&self) -> &AttachSpec {
        &self.target
    }

    /// Gives it a name in `folder`, a path without dots, by which the program stays in its place after the process.
    ///
    /// # Errors
    /// [`PinError::NoLink`] where the program hangs on a perf event without a link (before 5.15), [`PinError::Refused`].
    pub fn pin(&mut self, folder: &Arc<PinFolder>, name: &str) -> Result<(), PinError> {
        let object = self.object().ok_or_else(|| PinError::NoLink { program: self.program.clone() })?;
        self.pin = Some(folder.pin(object, name)?);
        Ok(())
    }

    /// The link itself; none where the program hangs on a perf event without one.
    pub(super) fn object(&self) -> Option<BorrowedFd<'_>> {
        self.hold.link.as_ref().map(OwnedFd::as_fd)
    }
}

/// Descriptors that hold a program in its place: closed in this order.
#[derive(Debug)]
pub(super) struct Hold {
    link: Option<OwnedFd>,
    _event: Option<OwnedFd>,
}

impl Hold {
    /// A link that needs nothing else.
    pub(super) const fn link(link: OwnedFd) -> Self {
        Self { link: Some(link), _event: None }
    }

    /// A perf event, and the link that hangs a program on it where the kernel has such links.
    pub(super) const fn event(event: OwnedFd, link: Option<OwnedFd>) -> Self {
        Self { link, _event: Some(event) }
    }
}

/// What a kind of attachment fails with, before program and target are added.
#[derive(Debug)]
pub(super) enum Fault {
    /// A call failed; its errno decides what it means.
    Call(SysError),
    /// The kernel has no such target.
    NoSuchTarget(SysError),
    /// The kernel lacks the mechanism.
    NotSupported(String),
    /// LSM programs do not run.
    LsmInactive(String),
    /// One of several places is the one that fails.
    At(AttachSpec, Box<Fault>),
}

impl From<SysError> for Fault {
    fn from(error: SysError) -> Self {
        Self::Call(error)
    }
}

/// A name for the kernel; one with a NUL inside exists nowhere.
pub(super) fn name(text: &str) -> Result<CString, Fault> {
    CString::new(text).map_err(|_nul| Fault::NoSuchTarget(SysError::new("name", libc::ENOENT)))
}

/// Attaches `program` to `target`, which must fit its kind. `file` is the open file of a place in user space; without it the file is looked up
/// by its path, and must be the same still.
///
/// # Errors
/// See [`AttachError`].
pub fn attach(
    program: &Program,
    target: &AttachSpec,
    file: Option<BorrowedFd<'_>>,
) -> Result<Link, AttachError> {
    let hold = match target {
        AttachSpec::None => {
            return Err(AttachError::Nowhere { program: program.name().to_owned() });
        }
        AttachSpec::Kprobe { symbol } => kprobe::attach(program, symbol, kprobe::Point::Entry),
        AttachSpec::Kretprobe { symbol } => kprobe::attach(program, symbol, kprobe::Point::Return),
        AttachSpec::KprobeMulti { symbols } => kprobe_multi::attach(program, symbols),
        AttachSpec::Tracepoint { category, name } => tracepoint::attach(program, category, name),
        AttachSpec::RawTracepoint { name } => raw_tracepoint::attach(program, name),
        AttachSpec::BtfTracepoint { .. }
        | AttachSpec::Fentry { .. }
        | AttachSpec::Fexit { .. }
        | AttachSpec::FmodRet { .. } => trampoline::attach(program),
        AttachSpec::Lsm { .. } => lsm::attach(program),
        AttachSpec::Uprobe { place, end } => {
            user_file::with(place, file, |door| uprobe::attach(program, place, *end, door))
        }
        AttachSpec::UprobeMulti { place, further, end } => {
            user_file::with(place, file, |door| uprobe_multi::attach(program, place, further, *end, door))
        }
    };
    match hold {
        Ok(hold) => Ok(Link { pin: None, hold, program: program.name().to_owned(), target: target.clone() }),
        Err(fault) => Err(describe(fault, program.name(), target)),
    }
}

fn describe(fault: Fault, program: &str, target: &AttachSpec) -> AttachError {
    let (program, target) = (program.to_owned(), target.clone());
    match fault {
        Fault::At(one, fault) => describe(*fault, &program, &one),
        Fault::NoSuchTarget(error) => AttachError::NoSuchTarget { program, target, error },
        Fault::NotSupported(reason) => AttachError::NotSupported { program, target, reason },
        Fault::LsmInactive(active) => AttachError::LsmInactive { program, target, active },
        Fault::Call(error) if error.is_not_permitted() => {
            AttachError::NotPermitted { program, target, error }
        }
        Fault::Call(error) if error.is_not_supported() => {
            AttachError::NotSupported { program, target, reason: error.to_string() }
        }
        // kernel/bpf/trampoline.c: BPF_MAX_TRAMP_LINKS.
        Fault::Call(error) if error.errno == libc::E2BIG && is_trampoline(&target) => {
            AttachError::Full { program, target }
        }
        Fault::Call(error) => AttachError::Failed { program, target, error },
    }
}

const fn is_trampoline(target: &AttachSpec) -> bool {
    matches!(
        target,
        AttachSpec::Fentry { .. }
            | AttachSpec::Fexit { .. }
            | AttachSpec::FmodRet { .. }
            | AttachSpec::Lsm { .. }
    )
}
