//! One attempt and what it means.

use std::os::fd::OwnedFd;

use crate::insn::{Insn, encode};
use crate::kernel::{Answer, Feature};
use crate::load::program::ProgramError;
use crate::load::sys::{self, LoadRequest, ProgramType, SysError};
use crate::load::{LoadError, MapError};

/// Bytes of log that an attempt reads: its programs have a handful of instructions.
const LOG_BYTES: usize = 1 << 14;

/// What the verifier says of a helper or kernel function that this type of program may not call (kernel/bpf/verifier.c, 5.10 to 7.2).
const NOT_FOR_THIS_TYPE: [&str; 6] = [
    "invalid func ",
    "unknown func ",
    "program of this type cannot use helper ",
    "helper call is not allowed in probe",
    "is not allowed",
    "is not supported",
];

/// How a verified program failed: the errno, and the verifier's words.
#[derive(Debug)]
pub(super) struct Failure {
    pub(super) error: SysError,
    pub(super) log: String,
}

/// What to load.
#[derive(Clone, Copy, Debug)]
pub(super) struct Attempt<'a> {
    pub(super) kind: ProgramType,
    pub(super) flags: u32,
    pub(super) attach_btf_id: u32,
    pub(super) insns: &'a [Insn],
}

impl Attempt<'_> {
    pub(super) fn load(&self) -> Result<OwnedFd, Failure> {
        let code: Vec<[u8; 8]> = self.insns.iter().map(|insn| encode(*insn)).collect();
        let request = LoadRequest {
            kind: self.kind,
            flags: self.flags,
            name: c"probe",
            code: &code,
            attach_btf_id: self.attach_btf_id,
            functions: None,
        };
        sys::program_load(&request, None).map_err(|error| {
            let mut log = vec![0_u8; LOG_BYTES];
            // The second run is only for its log; if it succeeds after all, the first error stands as "could not tell".
            let _second = sys::program_load(&request, Some(&mut log));
            let end = log.iter().position(|byte| *byte == 0).unwrap_or(log.len());
            log.truncate(end);
            Failure { error, log: String::from_utf8_lossy(&log).into_owned() }
        })
    }

    /// Whether the program is accepted as it is.
    pub(super) fn accepted(&self, feature: Feature) -> Answer {
        match self.load() {
            Ok(_fd) => Answer::Yes,
            Err(failure) => failure.refused_program(feature),
        }
    }

    /// Whether this type of program may make the call that it makes: the verifier may dislike the arguments.
    pub(super) fn callable(&self, feature: Feature) -> Answer {
        match self.load() {
            Ok(_fd) => Answer::Yes,
            Err(failure) => failure.refused_call(feature),
        }
    }
}

impl Failure {
    fn refused_program(&self, feature: Feature) -> Answer {
        if self.log.trim().is_empty() { of_error(self.error, feature) } else { no(feature) }
    }

    fn refused_call(&self, feature: Feature) -> Answer {
        if self.log.trim().is_empty() {
            of_error(self.error, feature)
        } else if NOT_FOR_THIS_TYPE.iter().any(|words| self.log.contains(words)) {
            no(feature)
        } else {
            Answer::Yes
        }
    }
}

pub(super) fn no(feature: Feature) -> Answer {
    Answer::No { since: feature.since() }
}

/// What an errno without a word of the verifier means.
pub(super) fn of_error(error: SysError, feature: Feature) -> Answer {
    match error.errno {
        libc::EPERM => Answer::Refused { error: error.to_string() },
        // Unknown command, type, flag or field.
        libc::EINVAL | libc::E2BIG | libc::ENOENT | libc::ESRCH => no(feature),
        _ if error.is_not_supported() => no(feature),
        _ => Answer::Unknown { error: error.to_string() },
    }
}

/// What a map that was made, or was not, means.
pub(super) fn of_map<T>(result: Result<T, MapError>, feature: Feature) -> Answer {
    match result {
        Ok(_made) => Answer::Yes,
        Err(MapError::Create { error, .. } | MapError::Element { error, .. }) => of_error(error, feature),
        Err(error) => Answer::Unknown { error: error.to_string() },
    }
}

/// What a collection that was loaded, or was not, means.
pub(super) fn of_load<T>(result: Result<T, LoadError>, feature: Feature) -> Answer {
    match result {
        Ok(_loaded) => Answer::Yes,
        Err(LoadError::Program(ProgramError::Refused { .. } | ProgramError::Type { .. })) => no(feature),
        Err(LoadError::Program(
            ProgramError::NotPermitted { error, .. } | ProgramError::Load { error, .. },
        )) => of_error(error, feature),
        Err(LoadError::Map(error)) => of_map::<()>(Err(error), feature),
        Err(error) => Answer::Unknown { error: error.to_string() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(errno: i32, log: &str) -> Failure {
        Failure { error: SysError::new("bpf(BPF_PROG_LOAD)", errno), log: log.to_owned() }
    }

    #[test]
    fn a_forbidden_program_a_missing_one_and_a_full_kernel_are_three_answers() {
        let feature = Feature::Fentry;
        assert!(matches!(failure(libc::EPERM, "").refused_program(feature), Answer::Refused { .. }));
        assert!(matches!(
            failure(libc::EINVAL, "").refused_program(feature),
            Answer::No { since: Some("5.5") }
        ));
        assert!(matches!(failure(libc::ENOMEM, "").refused_program(feature), Answer::Unknown { .. }));
    }

    #[test]
    fn a_call_disliked_for_its_arguments_is_there() {
        let log = "0: (85) call bpf_loop#181\nR1 !read_ok\n";
        assert_eq!(failure(libc::EACCES, log).refused_call(Feature::Loop), Answer::Yes);
        for log in ["invalid func unknown#181\n", "program of this type cannot use helper bpf_loop#181\n"] {
            assert!(matches!(failure(libc::EINVAL, log).refused_call(Feature::Loop), Answer::No { .. }));
        }
    }
}
