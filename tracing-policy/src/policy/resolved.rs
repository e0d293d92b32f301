//! The checked policy with one kernel's facts filled in: symbols exist, prototypes fit, mechanisms are chosen.

use std::fmt;

use bpf_probes::spec::AttachSpec;

use super::{Action, Argument, HookSection, Mode, Policy, RecordLayout, Selector};
use crate::diagnostic::Diagnostic;
use crate::files::Hold;
use crate::source::Span;

/// A policy that this kernel can carry out.
#[derive(Clone, Debug)]
pub struct Resolved {
    /// What was checked.
    pub policy: Policy,
    /// Its mode at the start.
    pub mode: Mode,
    /// One for each hook that the policy names and this kernel has, in the order of the text.
    pub hooks: Vec<ResolvedHook>,
    /// The hooks that the policy goes without.
    pub absent: Vec<AbsentHook>,
    /// What there is to say about it on this kernel, such as hooks that it goes without.
    pub warnings: Vec<Diagnostic>,
}

/// A hook that a policy goes without.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AbsentHook {
    /// What this kernel does not have, or the file that is another.
    pub function: String,
    /// Why it goes without it.
    pub why: Absent,
    /// Where in the policy the hook stands.
    pub section: HookSection,
    /// Which entry of the section it is of, from 0.
    pub entry: u32,
}

/// Why a policy goes without a hook.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Absent {
    /// The kernel has no such function (`ignore.callNotFound`).
    NoFunction,
    /// The file has none of the digests (`ignore.digestVerificationFailure`).
    OtherFile,
}

/// What hooks of different policies must have in common to be compiled into one program.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct HookKey {
    /// The kernel's symbol, e.g. `security_file_open` or `__x64_sys_openat`, or the LSM hook, e.g. `file_open`, or the place in a file.
    pub function: String,
    /// How its arguments are passed.
    pub convention: Convention,
}

impl fmt::Display for HookKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.function)
    }
}

/// How a hooked function's arguments are passed.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Convention {
    /// In registers.
    Function,
    /// A system call's wrapper: its only argument is the `struct pt_regs *` of user space, whose fields `di, si, dx, r10, r8, r9` hold them.
    Syscall {
        /// Its number, for tracepoints that see all calls.
        number: u32,
    },
    /// The same of a 32-bit program's: the fields `bx, cx, dx, si, di, bp` hold them, in their lower halves.
    Syscall32 {
        /// Its number among the calls of 32-bit programs.
        number: u32,
    },
    /// In the context of an LSM program.
    Lsm,
    /// In the record of a tracepoint.
    Tracepoint,
    /// In the context of a raw tracepoint.
    RawTracepoint,
    /// In the registers of a thread in user space.
    User,
}

impl Convention {
    /// Whether it is a system call's.
    pub const fn is_syscall(self) -> bool {
        matches!(self, Self::Syscall { .. } | Self::Syscall32 { .. })
    }
}

/// One hook of a policy.
#[derive(Clone, Debug)]
pub struct ResolvedHook {
    /// Where.
    pub key: HookKey,
    /// What is attached there for this policy, each with its reason.
    pub attachments: Vec<Attachment>,
    /// The arguments, in the order of the policy's list.
    pub arguments: Vec<Argument>,
    /// What is reported as the return value, if the return is asked for.
    pub returned: Option<Argument>,
    /// What is done with the socket that a call returns which matched at its entry.
    pub on_return: Option<Action>,
    /// The selectors, in order; at least one (a hook without selectors has one that always matches and posts).
    pub selectors: Vec<Selector>,
    /// Tests of the process, decided at exec and fork; numbers are given by whoever loads.
    pub classes: Vec<ClassTest>,
    /// For each selector, its class tests: each must hold (or not hold).
    pub class_uses: Vec<Vec<ClassUse>>,
    /// How its records are to be read.
    pub layout: RecordLayout,
    /// Where it is a hook on many places with one program for all: these, in the order of their numbers; else empty.
    pub members: Vec<Member>,
    /// Where in the policy it stands.
    pub section: HookSection,
    /// Which entry of the section it is of, from 0.
    pub entry: u32,
    /// The hook in the policy's text.
    pub span: Span,
    /// What keeps the hooked file open.
    pub hold: Option<Hold>,
}

/// One of many places that share a program.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Member {
    /// The function, as events show it.
    pub function: String,
    /// The number of a system call.
    pub number: Option<u32>,
}

impl ResolvedHook {
    /// Whether its calls are seen to return.
    pub fn returns(&self) -> bool {
        super::hook::returns(self.returned.as_ref(), &self.arguments)
    }

    /// How many layouts its records have: those of members are numbered one after the other, in their order.
    pub fn layout_count(&self) -> usize {
        self.members.len().max(1)
    }

    /// How its records are to be read, of one member after the other.
    pub fn layouts(&self) -> impl Iterator<Item = RecordLayout> {
        let alone = self.members.is_empty().then(|| self.layout.clone());
        let of_member =
            |member: &Member| RecordLayout { function_name: member.function.clone(), ..self.layout.clone() };
        alone.into_iter().chain(self.members.iter().map(of_member))
    }
}

/// One attachment of a hook.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Attachment {
    /// Where and how.
    pub target: AttachSpec,
    /// What its program does there.
    pub role: Role,
    /// Why this mechanism.
    pub reason: String,
    /// Whether it sees every call; if not, why not.
    pub exactness: Exactness,
}

/// What the program of an attachment does.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Role {
    /// Filters, reports and signals.
    Report,
    /// Filters and returns the errno of `Override` (LSM, `fmod_ret`): no report, no signal.
    Deny,
    /// Filters, reports and signals, and returns the errno of `Override` itself (LSM).
    ReportAndDeny,
    /// As `Report`, and notes the value of `Override` for the [`Role::Override`] behind it at the same entry.
    ReportAndOverride,
    /// As `Report`, and kills who passes a denial: beside a `Deny` that can miss calls.
    ReportAndKillDenied,
    /// As `Report`, and notes the errno of `Override` for this thread (deferred override).
    ReportAndNote,
    /// Returns the errno noted for this thread.
    DenyNoted,
    /// Forgets what was noted for this thread.
    Forget,
    /// The same, and kills the caller when the call succeeded although it was to be denied.
    ForgetAndKill,
    /// Overrides the return value with what was noted for this thread (`bpf_override_return`). Attached itself, without a stub: the kernel lets no such program be
    /// tail-called (`kernel/bpf/core.c: bpf_prog_map_compatible`).
    Override,
    /// Has the text of these arguments (bits by index) brought into memory. Attached itself, without a stub: programs that sleep are not tail-called.
    FaultIn {
        /// Bits by index.
        arguments: u8,
    },
    /// Filters, and notes for this thread that a report will carry the hash of the hook's file.
    AskForHash,
    /// Takes the hash that was asked for. Attached itself, without a stub: it sleeps.
    TakeHash,
    /// At the return: for policies that matched at the entry, filters what was returned, reports and signals.
    Return,
}

impl Role {
    /// Whether its program is attached itself, instead of a stub that runs it.
    pub const fn is_attached(self) -> bool {
        matches!(self, Self::Override | Self::FaultIn { .. } | Self::TakeHash)
    }
}

/// What the programs of one target have a place each for; at most one program of a hook has it there. In the order in which they go live, so
/// that what returns an error is there before anything is noted for it, and in which they are attached: where the latest runs first, it is the last of these.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Seat {
    /// Returns errors.
    Deny,
    /// Clears up when the call is over.
    Exit,
    /// Looks at what the entry left and at what was returned.
    Return,
    /// Filters, reports and what else is due at the entry.
    Entry,
    /// The same, attached later than the program that overrides there: of kprobes on one function the latest runs first, and one that overrides is the last
    /// (`kernel/kprobes.c: add_new_kprobe`, `aggr_pre_handler`).
    Ahead,
    /// Brings the text of these arguments into memory; of uprobes at one place, too, the latest runs first (`kernel/events/uprobes.c: consumer_add`).
    FaultIn {
        /// Bits by index.
        arguments: u8,
    },
    /// Takes the hash of a file; of LSM programs on one hook the latest runs first (`kernel/bpf/trampoline.c: __bpf_trampoline_link_prog`).
    Take,
    /// Filters, and asks for the hash.
    Ask,
}

impl Role {
    /// The place that a program with this role takes. Of policies that ask for different roles at one place, the program has the strongest (the last in order), which
    /// does the others' work too.
    pub const fn seat(self) -> Seat {
        match self {
            Self::Deny | Self::DenyNoted | Self::Override => Seat::Deny,
            Self::Forget | Self::ForgetAndKill => Seat::Exit,
            Self::Report | Self::ReportAndDeny | Self::ReportAndKillDenied | Self::ReportAndNote => {
                Seat::Entry
            }
            Self::ReportAndOverride => Seat::Ahead,
            Self::FaultIn { arguments } => Seat::FaultIn { arguments },
            Self::Return => Seat::Return,
            Self::TakeHash => Seat::Take,
            Self::AskForHash => Seat::Ask,
        }
    }
}

/// Whether an attachment sees every call.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Exactness {
    /// Every call.
    Exact,
    /// Calls can be missed under contention, for this reason.
    CanMiss(String),
}

/// A test that depends on the process alone.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum ClassTest {
    /// The binary's path equals (`In`), begins with or ends in one of the values.
    Binary {
        /// How values are compared.
        form: super::StringForm,
        /// The values.
        values: Vec<Vec<u8>>,
        /// Whether descendants of such a process are in the class too.
        children: super::Children,
    },
    /// The process is one of these or descends from one.
    Descendants {
        /// Whose numbers they are. With [`super::PidNamespace::Own`] a process of the host's namespace is none of them.
        namespace: super::PidNamespace,
        /// The numbers.
        pids: Vec<u32>,
    },
    /// The process is in a pid namespace other than the host's.
    InPidNamespace,
    /// The process belongs to one of these workloads; decided by its cgroup when it calls.
    Workload(super::WorkloadScope),
}

/// The use of a class test in a selector.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct ClassUse {
    /// Index into [`ResolvedHook::classes`].
    pub class: usize,
    /// Whose class it is.
    pub of: Kin,
    /// Whether the process must be in the class, or must not.
    pub sense: super::Sense,
}

/// Whose class is looked at.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Kin {
    /// The process's own.
    Process,
    /// Its parent's. A process whose parent is not known any more passes every test.
    Parent,
    /// That of the workload which the process belongs to.
    Workload,
}
