//! The sections of hooks, and what one kind of hook can and another cannot.

use crate::policy::HookKind;

/// A section of hooks.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Section {
    /// `kprobes`
    Kprobes,
    /// `fentries`
    Fentries,
    /// `lsmhooks`
    LsmHooks,
    /// `tracepoints`, whose arguments are fields of a record
    Tracepoints,
    /// `tracepoints` with `raw: true`
    RawTracepoints,
    /// `uprobes`
    Uprobes,
    /// `usdts`
    Usdts,
}

impl Section {
    /// Whether its hooks are tracepoints.
    pub(super) fn is_tracepoint(self) -> bool {
        matches!(self, Self::Tracepoints | Self::RawTracepoints)
    }

    /// Whether its hooks are in programs and libraries, whose arguments are theirs.
    pub(super) fn is_of_user_space(self) -> bool {
        matches!(self, Self::Uprobes | Self::Usdts)
    }

    /// One of its hooks, in words.
    pub(super) fn one(self) -> &'static str {
        match self {
            Self::Kprobes => "a kprobe",
            Self::Fentries => "a fentry",
            Self::LsmHooks => "an LSM hook",
            Self::Tracepoints => "a tracepoint",
            Self::RawTracepoints => "a raw tracepoint",
            Self::Uprobes => "a uprobe",
            Self::Usdts => "a USDT probe",
        }
    }
}

/// What a selector is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct Target<'a> {
    /// The section its hook is in.
    pub(super) section: Section,
    /// What is hooked, unless that has an error.
    pub(super) kind: Option<&'a HookKind>,
}
