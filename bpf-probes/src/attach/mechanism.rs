//! Ways to run a program at a place in the kernel.

use std::fmt;

use super::user::{CallEnd, UserPlace};
use crate::btf::TypeId;

/// How one program is attached.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Mechanism {
    /// At the entry of a function; arguments in `pt_regs`.
    Kprobe {
        /// The function.
        function: String,
    },
    /// At the return of a function; the result in `pt_regs`.
    Kretprobe {
        /// The function.
        function: String,
    },
    /// A kprobe whose program may call `bpf_override_return`.
    KprobeOverride {
        /// The function.
        function: String,
    },
    /// At the entry of a function, by trampoline; arguments typed.
    Fentry {
        /// The function.
        function: String,
        /// Its number in BTF.
        btf_id: TypeId,
    },
    /// At the return of a function, by trampoline; arguments and result typed.
    Fexit {
        /// The function.
        function: String,
        /// Its number in BTF.
        btf_id: TypeId,
    },
    /// Before a function; a result other than zero is returned in its stead.
    FmodRet {
        /// The function.
        function: String,
        /// Its number in BTF.
        btf_id: TypeId,
    },
    /// As a security module on one hook.
    Lsm {
        /// The hook, without prefix.
        hook: String,
        /// Number of `bpf_lsm_HOOK` in BTF.
        btf_id: TypeId,
        /// What to return in order to have no say: zero but on few hooks.
        neutral: i32,
    },
    /// At a tracepoint that a policy names.
    Tracepoint {
        /// Its subsystem.
        subsystem: String,
        /// The tracepoint.
        event: String,
        /// Whether it gets the arguments raw, instead of the formatted record.
        raw: bool,
    },
    /// At a tracepoint; its arguments raw.
    RawTracepoint {
        /// The tracepoint.
        name: &'static str,
    },
    /// At a place in a file, through a perf event.
    Uprobe {
        /// The place.
        place: UserPlace,
        /// Which end of the call.
        end: CallEnd,
    },
    /// At a place in a file, by a link of its own (6.6).
    UprobeMulti {
        /// The place.
        place: UserPlace,
        /// Which end of the call.
        end: CallEnd,
    },
}

impl Mechanism {
    /// Word in messages and golden tests.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Kprobe { .. } => "kprobe",
            Self::Kretprobe { .. } => "kretprobe",
            Self::KprobeOverride { .. } => "kprobe+override_return",
            Self::Fentry { .. } => "fentry",
            Self::Fexit { .. } => "fexit",
            Self::FmodRet { .. } => "fmod_ret",
            Self::Lsm { .. } => "lsm",
            Self::RawTracepoint { .. } | Self::Tracepoint { raw: true, .. } => "raw_tp",
            Self::Tracepoint { raw: false, .. } => "tracepoint",
            Self::Uprobe { end: CallEnd::Entry, .. } => "uprobe",
            Self::Uprobe { end: CallEnd::Return, .. } => "uretprobe",
            Self::UprobeMulti { end: CallEnd::Entry, .. } => "uprobe.multi",
            Self::UprobeMulti { end: CallEnd::Return, .. } => "uretprobe.multi",
        }
    }

    /// The function, hook, tracepoint or file.
    pub fn target(&self) -> &str {
        match self {
            Self::Kprobe { function }
            | Self::Kretprobe { function }
            | Self::KprobeOverride { function }
            | Self::Fentry { function, .. }
            | Self::Fexit { function, .. }
            | Self::FmodRet { function, .. } => function,
            Self::Lsm { hook, .. } => hook,
            Self::RawTracepoint { name } => name,
            Self::Tracepoint { event, .. } => event,
            Self::Uprobe { place, .. } | Self::UprobeMulti { place, .. } => &place.path,
        }
    }

    /// Instructions that attaching an empty program adds to each call, where it was measured (6.12, `kernel-facts.md`).
    pub const fn added_instructions(&self) -> Option<u32> {
        match self {
            Self::Kprobe { .. } | Self::KprobeOverride { .. } => Some(362),
            Self::Fentry { .. } => Some(169),
            Self::FmodRet { .. } => Some(200),
            Self::Lsm { .. } => Some(192),
            Self::Kretprobe { .. }
            | Self::Fexit { .. }
            | Self::RawTracepoint { .. }
            | Self::Tracepoint { .. }
            | Self::Uprobe { .. }
            | Self::UprobeMulti { .. } => None,
        }
    }

    /// Whether it runs through a trampoline, which skips calls on a preemptible kernel.
    pub const fn is_trampoline(&self) -> bool {
        // LSM programs have one too, but no recursion protection (include/linux/bpf_verifier.h: bpf_prog_check_recur).
        matches!(self, Self::Fentry { .. } | Self::Fexit { .. } | Self::FmodRet { .. })
    }
}

impl fmt::Display for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name(), self.target())
    }
}

/// What the program at one attachment is there for. Together the roles of a plan cover all that is due.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Role {
    /// Evaluates filters; reports and signals.
    Decide,
    /// Evaluates filters; reports, signals, and returns the errno itself.
    DecideAndDeny,
    /// Evaluates filters once more, only to return the errno.
    Deny,
    /// Evaluates filters; reports, signals, and leaves the errno in the task's state for a [`Role::ReturnNoted`]. A call that is
    /// not to be denied clears what an earlier one may have left.
    NoteDenial,
    /// Returns the errno that the task's state holds, every time it is reached (one call may pass it for many
    /// objects), and lets everything else pass.
    ReturnNoted,
    /// Clears the errno in the task's state when the call is over.
    ClearNoted,
    /// The same, and kills the caller when the call succeeded although an errno was noted for it.
    KillEscaped,
    /// Reports what the call returned.
    ReportReturn,
    /// Has what arguments point to brought into memory. Attached last, so that it runs before the others at the place.
    FaultIn,
}

impl Role {
    /// What it does, in words.
    pub const fn description(self) -> &'static str {
        match self {
            Self::Decide => "evaluates the filters, reports and signals",
            Self::DecideAndDeny => "evaluates the filters, reports, signals and returns the error",
            Self::Deny => "evaluates the filters and returns the error",
            Self::NoteDenial => "evaluates the filters, reports, signals and notes the error for the task",
            Self::ReturnNoted => "returns the error noted for the task",
            Self::ClearNoted => "clears the note when the call ends",
            Self::KillEscaped => "clears the note when the call ends, and kills a caller that got through",
            Self::ReportReturn => "reports what the call returned",
            Self::FaultIn => "brings what arguments point to into memory",
        }
    }
}
