//! Why a plan is what it is: one sentence a fact, for `tetra policy explain`.

use std::fmt;

use crate::kernel::{Answer, Feature, Preemption};

/// A fact that a plan rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// A kprobe sees every call.
    KprobeIsExact,
    /// Trampolines see every call on this kernel.
    TrampolineIsExact {
        /// Its preemption model.
        preemption: Preemption,
    },
    /// Trampolines skip calls on this kernel.
    TrampolineMisses {
        /// Its preemption model.
        preemption: Preemption,
    },
    /// Tracepoints see every call on this kernel.
    TracepointIsExact,
    /// Tracepoints skip calls on this kernel.
    TracepointMisses {
        /// Its preemption model.
        preemption: Preemption,
    },
    /// An LSM program denies every call that reaches it.
    LsmIsExact,
    /// The LSM program itself reports, so that attempts which earlier modules refuse are not seen.
    LsmSeesAllowed,
    /// LSM programs do not run: `bpf` is not among the active modules.
    LsmNotActive,
    /// Whether LSM programs run is not known, so they are not relied on.
    LsmUnknown,
    /// The kernel has no attach point for BPF on that LSM hook.
    NoBpfHook {
        /// The hook.
        hook: String,
    },
    /// The LSM hook has other parameters than the function, so that the error is decided at the function and returned at the hook.
    ParametersDiffer {
        /// The function.
        function: String,
        /// The hook.
        hook: String,
    },
    /// A feature that would have been preferred is not there.
    Without {
        /// The feature.
        feature: Feature,
        /// What is known of it.
        answer: Answer,
    },
    /// The return value of this function can be overridden.
    ErrorInjectable {
        /// The function.
        function: String,
    },
    /// The policy asks for another way than error injection.
    ErrorInjectionAvoided,
    /// The system call cannot be overridden, but passes hooks that can return the error.
    Deferred {
        /// Functions of the hooks, one a way.
        hooks: Vec<String>,
    },
    /// Something gets past the hooks of a deferred override; the caller is killed at the end of the call then.
    Gap {
        /// What.
        what: &'static str,
    },
    /// Who gets through a denial that can be missed is killed when the call returns.
    KillsEscaped,
    /// A kretprobe follows a bounded number of calls at once.
    KretprobeIsBounded,
    /// The base sensor sits on this function.
    SensorPoint {
        /// The function.
        function: &'static str,
    },
    /// A uprobe stops every thread that gets there.
    UprobeIsExact,
    /// The return of a function in user space is followed for a bounded number of calls within each other.
    UretprobeIsBounded,
    /// The policy wants perf uprobes.
    SingleUprobe,
    /// A program that may sleep runs first.
    FaultsIn,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::KprobeIsExact => f.write_str("a kprobe sees every call, also attempts that are refused later"),
            Self::TrampolineIsExact { preemption } => {
                write!(f, "this kernel's preemption model is {preemption}: trampolines see every call")
            }
            Self::TrampolineMisses { preemption } => write!(
                f,
                "this kernel's preemption model is {preemption}: fentry, fexit and fmod_ret skip calls under contention"
            ),
            Self::TracepointIsExact => f.write_str("tracepoints see every call on this kernel"),
            Self::TracepointMisses { preemption } => write!(
                f,
                "this kernel runs tracepoints preemptibly (model {preemption}): they skip calls under contention"
            ),
            Self::LsmIsExact => f.write_str("an LSM program denies every call that reaches it"),
            Self::LsmSeesAllowed => f.write_str(
                "what an LSM hook is asked is what the security modules before `bpf` allowed: an attempt that one of them refuses is no call of the hook",
            ),
            Self::LsmNotActive => {
                f.write_str("`bpf` is not among the active security modules (boot parameter lsm=), so LSM programs would never run")
            }
            Self::LsmUnknown => f.write_str(
                "the list of active security modules cannot be read, so LSM programs are not relied on",
            ),
            Self::NoBpfHook { hook } => write!(f, "this kernel has no BPF attach point for LSM hook {hook}"),
            Self::ParametersDiffer { function, hook } => write!(
                f,
                "LSM hook {hook} has other parameters than {function}: decided at the function, returned at the hook"
            ),
            Self::Without { feature, answer } => write!(f, "{feature}: {answer}"),
            Self::ErrorInjectable { function } => {
                write!(f, "the kernel lets BPF override the return value of {function}")
            }
            Self::ErrorInjectionAvoided => {
                f.write_str("the policy asks for another way than replacing what the call returns")
            }
            Self::Deferred { hooks } => write!(
                f,
                "the call's return cannot be overridden here; the error is returned by {} on its way, before it takes effect",
                hooks.join(" and ")
            ),
            Self::Gap { what } => write!(f, "{what}: a caller that gets through so is killed when the call ends"),
            Self::KillsEscaped => f.write_str("a caller that gets through is killed when the call returns"),
            Self::KretprobeIsBounded => f.write_str(
                "a kretprobe follows a bounded number of calls under way at once (ten, or two for each CPU): of more than these the return is not seen, and counted",
            ),
            Self::SensorPoint { function } => {
                write!(f, "{function} is passed once for each event, at the same point as the tracepoint")
            }
            Self::UprobeIsExact => f.write_str("a uprobe stops every thread that comes to the place"),
            Self::UretprobeIsBounded => f.write_str(
                "the kernel follows 64 calls of a thread within each other: of those further in the return is not seen, and counted",
            ),
            Self::SingleUprobe => f.write_str("the policy disables uprobe.multi"),
            Self::FaultsIn => f.write_str(
                "a program that may sleep brings what arguments point to into memory before they are read",
            ),
        }
    }
}
