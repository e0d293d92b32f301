//! Blueprint of an attachment: where a program is to run.

use std::fmt;

use crate::attach::{CallEnd, UserPlace};

/// Where a program is to be attached.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum AttachSpec {
    /// Nowhere: reached by tail calls or run by hand.
    None,
    /// Entry of a kernel function.
    Kprobe {
        /// The symbol.
        symbol: String,
    },
    /// Return of a kernel function.
    Kretprobe {
        /// The symbol.
        symbol: String,
    },
    /// Entry of many kernel functions at once (`kprobe.multi`, 5.18).
    KprobeMulti {
        /// The symbols; the index of each is its cookie.
        symbols: Vec<String>,
    },
    /// A tracepoint with its formatted record.
    Tracepoint {
        /// E.g. `sched`.
        category: String,
        /// E.g. `sched_process_exec`.
        name: String,
    },
    /// A tracepoint with its raw arguments.
    RawTracepoint {
        /// E.g. `sched_process_exec`.
        name: String,
    },
    /// A tracepoint with typed arguments (`tp_btf`).
    BtfTracepoint {
        /// E.g. `sched_process_exec`.
        name: String,
    },
    /// Entry of a kernel function by trampoline.
    Fentry {
        /// The function.
        function: String,
    },
    /// Return of a kernel function by trampoline.
    Fexit {
        /// The function.
        function: String,
    },
    /// Before a kernel function by trampoline; a non-zero result replaces the call.
    FmodRet {
        /// The function.
        function: String,
    },
    /// A security hook; a non-zero result denies.
    Lsm {
        /// The hook without prefix, e.g. `file_open`.
        hook: String,
    },
    /// A place in a program or library, through a perf event.
    Uprobe {
        /// The place.
        place: Box<UserPlace>,
        /// Which end of the call.
        end: CallEnd,
    },
    /// One or more places in a program or library, by a link of their own (`uprobe.multi`, 6.6).
    UprobeMulti {
        /// The place, or the first one; its cookie is 0.
        place: Box<UserPlace>,
        /// Offsets of further places in the same file, which have no reference counters; the cookies count on from 1.
        further: Vec<u64>,
        /// Which end of the call.
        end: CallEnd,
    },
}

/// The program type and expected attach type of `BPF_PROG_LOAD`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ProgramKind {
    /// `BPF_PROG_TYPE_KPROBE`, single attach.
    Kprobe,
    /// `BPF_PROG_TYPE_KPROBE` with expected attach type `BPF_TRACE_KPROBE_MULTI`.
    KprobeMulti,
    /// `BPF_PROG_TYPE_TRACEPOINT`.
    Tracepoint,
    /// `BPF_PROG_TYPE_RAW_TRACEPOINT`.
    RawTracepoint,
    /// `BPF_PROG_TYPE_TRACING` with `BPF_TRACE_RAW_TP`.
    BtfTracepoint,
    /// `BPF_PROG_TYPE_TRACING` with `BPF_TRACE_FENTRY`.
    Fentry,
    /// `BPF_PROG_TYPE_TRACING` with `BPF_TRACE_FEXIT`.
    Fexit,
    /// `BPF_PROG_TYPE_TRACING` with `BPF_MODIFY_RETURN`.
    FmodRet,
    /// `BPF_PROG_TYPE_LSM` with `BPF_LSM_MAC`.
    Lsm,
    /// [`ProgramKind::Lsm`] that may sleep (5.10). It cannot be tail-called.
    LsmSleepable,
    /// `BPF_PROG_TYPE_SOCKET_FILTER`, for probes and tests.
    SocketFilter,
    /// `BPF_PROG_TYPE_KPROBE` on a place in user space.
    Uprobe,
    /// The same with expected attach type `BPF_TRACE_UPROBE_MULTI`.
    UprobeMulti,
    /// [`ProgramKind::Uprobe`] that may sleep (6.0). It cannot be tail-called.
    UprobeSleepable,
    /// [`ProgramKind::UprobeMulti`] that may sleep. It cannot be tail-called.
    UprobeMultiSleepable,
}

impl AttachSpec {
    /// The kind of program that can be attached there; `None` for [`AttachSpec::None`].
    pub fn program_kind(&self) -> Option<ProgramKind> {
        Some(match self {
            Self::None => return None,
            Self::Kprobe { .. } | Self::Kretprobe { .. } => ProgramKind::Kprobe,
            Self::KprobeMulti { .. } => ProgramKind::KprobeMulti,
            Self::Tracepoint { .. } => ProgramKind::Tracepoint,
            Self::RawTracepoint { .. } => ProgramKind::RawTracepoint,
            Self::BtfTracepoint { .. } => ProgramKind::BtfTracepoint,
            Self::Fentry { .. } => ProgramKind::Fentry,
            Self::Fexit { .. } => ProgramKind::Fexit,
            Self::FmodRet { .. } => ProgramKind::FmodRet,
            Self::Lsm { .. } => ProgramKind::Lsm,
            Self::Uprobe { .. } => ProgramKind::Uprobe,
            Self::UprobeMulti { .. } => ProgramKind::UprobeMulti,
        })
    }

    /// The place in a file, for what is attached to one.
    pub const fn user_place(&self) -> Option<&UserPlace> {
        match self {
            Self::Uprobe { place, .. } | Self::UprobeMulti { place, .. } => Some(place),
            Self::None
            | Self::Kprobe { .. }
            | Self::Kretprobe { .. }
            | Self::KprobeMulti { .. }
            | Self::Tracepoint { .. }
            | Self::RawTracepoint { .. }
            | Self::BtfTracepoint { .. }
            | Self::Fentry { .. }
            | Self::Fexit { .. }
            | Self::FmodRet { .. }
            | Self::Lsm { .. } => None,
        }
    }
}

impl fmt::Display for AttachSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::None => write!(f, "nowhere"),
            Self::Kprobe { symbol } => write!(f, "kprobe {symbol}"),
            Self::Kretprobe { symbol } => write!(f, "kretprobe {symbol}"),
            Self::KprobeMulti { symbols } => write!(f, "kprobe.multi of {} functions", symbols.len()),
            Self::Tracepoint { category, name } => write!(f, "tracepoint {category}/{name}"),
            Self::RawTracepoint { name } => write!(f, "raw tracepoint {name}"),
            Self::BtfTracepoint { name } => write!(f, "typed tracepoint {name}"),
            Self::Fentry { function } => write!(f, "fentry {function}"),
            Self::Fexit { function } => write!(f, "fexit {function}"),
            Self::FmodRet { function } => write!(f, "fmod_ret {function}"),
            Self::Lsm { hook } => write!(f, "LSM hook {hook}"),
            Self::Uprobe { place, end: CallEnd::Entry } => write!(f, "uprobe {place}"),
            Self::Uprobe { place, end: CallEnd::Return } => write!(f, "uretprobe {place}"),
            Self::UprobeMulti { place, further, end } => {
                let kind = if *end == CallEnd::Entry { "uprobe.multi" } else { "uretprobe.multi" };
                match further.len() {
                    0 => write!(f, "{kind} {place}"),
                    further => write!(f, "{kind} {place} and {further} more"),
                }
            }
        }
    }
}
