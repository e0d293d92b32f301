//! Hooks.

use std::fmt;

use super::action::Action;
use super::argument::{Argument, ArgumentId};
use super::policy::Annotation;
use super::selector::Selector;
use super::uprobe::Uprobe;
use super::usdt::Usdt;
use crate::schema;
use crate::source::{Span, Spanned};

/// A hook of any kind: where it is, what its events carry, whom it concerns and what is done then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hook {
    /// What is hooked, and the kind of hook.
    pub kind: Spanned<HookKind>,
    /// What to do on a kernel that has no such place.
    pub absence: Absence,
    /// By what means it is to be hooked.
    pub means: Means,
    /// The arguments that events carry and filters test, in the order of the text.
    pub arguments: Vec<Argument>,
    /// What events carry as the return value, if the return is asked for.
    pub returned: Option<Argument>,
    /// What is done with the socket that a call returns which matched at its entry (`returnArgAction`), whatever filters say of it.
    pub on_return: Option<Action>,
    /// The selectors, of which the first that matches acts; none means that every call is reported.
    pub selectors: Vec<Selector>,
    /// Text for each event of this hook.
    pub message: Option<Annotation>,
    /// Tags for each event of this hook.
    pub tags: Vec<Annotation>,
    /// The hook as it was written, when types of arguments are left to the kernel (`auto`, `resolve`): filters on those are not among `selectors` yet, and `resolve` checks
    /// all of it again.
    pub untyped: Option<Box<Untyped>>,
    /// Which entry of its [`section`](Self::section) it is of, from 0.
    pub entry: u32,
    /// The whole hook in the text.
    pub span: Span,
}

/// A hook as it was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Untyped {
    /// Of `kprobes`.
    Kprobe(Box<schema::Kprobe>),
    /// Of `lsmhooks`.
    Lsm(schema::LsmHook),
    /// Of `tracepoints`.
    Tracepoint(schema::Tracepoint),
    /// Of `uprobes`.
    Uprobe(Box<schema::Uprobe>),
    /// Of `usdts`.
    Usdt(schema::Usdt),
}

impl Hook {
    /// The part of the policy that it stands in.
    pub fn section(&self) -> HookSection {
        let mut actions = self.selectors.iter().flat_map(|selector| &selector.actions);
        match (&self.kind.value, self.means) {
            (HookKind::Kprobe(_), _) if actions.any(|action| matches!(action.value, Action::Enforce(_))) => {
                HookSection::Enforcers
            }
            (HookKind::Kprobe(_), Means::Any) => HookSection::Kprobes,
            (HookKind::Kprobe(_), Means::Trampoline) => HookSection::Fentries,
            (HookKind::Lsm(_), _) => HookSection::LsmHooks,
            (HookKind::Tracepoint(_), _) => HookSection::Tracepoints,
            (HookKind::Loader, _) => HookSection::Loader,
            (HookKind::Uprobe(_), _) => HookSection::Uprobes,
            (HookKind::Usdt(_), _) => HookSection::Usdts,
        }
    }

    /// Whether its calls are seen to return.
    pub fn returns(&self) -> bool {
        returns(self.returned.as_ref(), &self.arguments)
    }

    /// The argument a filter names.
    pub fn argument(&self, id: ArgumentId) -> Option<&Argument> {
        self.arguments.get(id.index())
    }
}

/// Whether calls are seen to return, for what they return or for an argument that they fill.
pub(super) fn returns(returned: Option<&Argument>, arguments: &[Argument]) -> bool {
    returned.is_some() || arguments.iter().any(|argument| argument.at_return.is_some())
}

/// The part of a policy that a hook stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum HookSection {
    /// `kprobes`
    Kprobes,
    /// `fentries`
    Fentries,
    /// `tracepoints`
    Tracepoints,
    /// `uprobes`
    Uprobes,
    /// `usdts`
    Usdts,
    /// `lsmhooks`
    LsmHooks,
    /// `loader`
    Loader,
    /// `enforcers`
    Enforcers,
}

impl HookSection {
    /// The field of `spec`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Kprobes => "kprobes",
            Self::Fentries => "fentries",
            Self::Tracepoints => "tracepoints",
            Self::Uprobes => "uprobes",
            Self::Usdts => "usdts",
            Self::LsmHooks => "lsmhooks",
            Self::Loader => "loader",
            Self::Enforcers => "enforcers",
        }
    }
}

/// By what means a function is to be hooked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Means {
    /// Whatever the attach planner takes.
    #[default]
    Any,
    /// By trampoline where that misses no call (`fentries`).
    Trampoline,
}

/// What is hooked; the kind decides which event a match becomes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum HookKind {
    /// The entry of a kernel function or system call: `process_kprobe`.
    Kprobe(Function),
    /// An LSM hook by its name without prefix, such as `file_open`: `process_lsm`.
    Lsm(String),
    /// A tracepoint: `process_tracepoint`.
    Tracepoint(Tracepoint),
    /// Mappings of executable code: `process_loader`.
    Loader,
    /// A place in a program or library: `process_uprobe`.
    Uprobe(Uprobe),
    /// A static probe: `process_usdt`.
    Usdt(Usdt),
}

/// A tracepoint.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Tracepoint {
    /// E.g. `sched`.
    pub subsystem: String,
    /// E.g. `sched_process_exec`.
    pub event: String,
    /// Whether arguments are those passed to it, instead of fields of its record.
    pub raw: bool,
}

impl fmt::Display for Tracepoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.subsystem, self.event)
    }
}

/// What to do about a hook on a kernel that has no such place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Absence {
    /// Refuse the policy.
    Refused,
    /// Go on without the hook, and say so (`ignore.callNotFound`).
    Warned,
    /// Go on without the hook: it comes from a list of whatever there is.
    Expected,
}

/// What a kprobe hooks.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Function {
    /// A function by the name of its symbol.
    Kernel(String),
    /// A system call by its name without prefix (`openat`); the arguments are those of the call.
    Syscall {
        /// Name without `sys_`.
        name: String,
        /// Through which door it is entered.
        abi: SyscallAbi,
    },
    /// All functions whose name has a match of this regular expression (`generated_ftrace`).
    Matching(String),
}

impl fmt::Display for Function {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel(symbol) => write!(f, "function {symbol}"),
            Self::Syscall { name, .. } => write!(f, "system call {name}"),
            Self::Matching(pattern) => write!(f, "function that matches {pattern}"),
        }
    }
}

/// Through which door a system call is entered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SyscallAbi {
    /// The machine's own: `sys_x` in the text.
    Native,
    /// `__x64_sys_x`.
    X64,
    /// `i386/sys_x`: the call that 32-bit programs know by that name.
    I386,
    /// `__ia32_sys_x`: 32-bit calls on x86-64.
    Ia32,
    /// `__ia32_compat_sys_x`: 32-bit calls on x86-64 with a layout of their own.
    Ia32Compat,
    /// `__arm64_sys_x`.
    Arm64,
}
