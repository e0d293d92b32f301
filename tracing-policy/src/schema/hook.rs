//! Hooks of every kind.

use super::argument::Argument;
use super::selector::Selector;
use crate::source::{Span, Spanned};

/// An entry of `kprobes` or `fentries`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kprobe {
    /// `call`: a symbol, or `list:NAME`.
    pub call: Spanned<String>,
    /// `syscall`; the CRD's default is true, at an empty span.
    pub syscall: Spanned<bool>,
    /// `return`, if it is there.
    pub returns: Option<Spanned<bool>>,
    /// `returnArg`.
    pub return_arg: Option<Argument>,
    /// `returnArgAction`.
    pub return_arg_action: Option<Spanned<String>>,
    /// `args`.
    pub args: Vec<Argument>,
    /// `data`.
    pub data: Vec<Argument>,
    /// `selectors`.
    pub selectors: Vec<Selector>,
    /// `message`.
    pub message: Option<Spanned<String>>,
    /// `tags`.
    pub tags: Vec<Spanned<String>>,
    /// `ignore`.
    pub ignore: Option<KprobeIgnore>,
    /// The whole of it.
    pub span: Span,
}

/// `ignore` of a kprobe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KprobeIgnore {
    /// `callNotFound`: go on without the hook when the kernel lacks its symbol.
    pub call_not_found: Option<Spanned<bool>>,
    /// The whole of it.
    pub span: Span,
}

/// An entry of `tracepoints`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tracepoint {
    /// `subsystem`.
    pub subsystem: Spanned<String>,
    /// `event`.
    pub event: Spanned<String>,
    /// `raw`.
    pub raw: Option<Spanned<bool>>,
    /// `args`.
    pub args: Vec<Argument>,
    /// `selectors`.
    pub selectors: Vec<Selector>,
    /// `message`.
    pub message: Option<Spanned<String>>,
    /// `tags`.
    pub tags: Vec<Spanned<String>>,
    /// The whole of it.
    pub span: Span,
}

/// An entry of `uprobes`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uprobe {
    /// `path` of the program or library.
    pub path: Spanned<String>,
    /// `btfPath`.
    pub btf_path: Option<Spanned<String>>,
    /// `symbols`.
    pub symbols: Vec<Spanned<String>>,
    /// `offsets` in the file.
    pub offsets: Vec<Spanned<u64>>,
    /// `addrs`, virtual addresses.
    pub addrs: Vec<Spanned<u64>>,
    /// `refCtrOffsets`.
    pub ref_ctr_offsets: Vec<Spanned<u64>>,
    /// `return`.
    pub returns: Option<Spanned<bool>>,
    /// `returnArg`.
    pub return_arg: Option<Argument>,
    /// `args`.
    pub args: Vec<Argument>,
    /// `data`.
    pub data: Vec<Argument>,
    /// `selectors`.
    pub selectors: Vec<Selector>,
    /// `message`.
    pub message: Option<Spanned<String>>,
    /// `tags`.
    pub tags: Vec<Spanned<String>>,
    /// `binaryDigests`.
    pub binary_digests: Vec<Spanned<String>>,
    /// `ignore`.
    pub ignore: Option<UprobeIgnore>,
    /// The whole of it.
    pub span: Span,
}

/// `ignore` of a uprobe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UprobeIgnore {
    /// `digestVerificationFailure`: go on without the hook when the digest differs.
    pub digest_verification_failure: Option<Spanned<bool>>,
    /// The whole of it.
    pub span: Span,
}

/// An entry of `usdts`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usdt {
    /// `path` of the program or library.
    pub path: Spanned<String>,
    /// `provider`.
    pub provider: Spanned<String>,
    /// `name`.
    pub name: Spanned<String>,
    /// `btfPath`.
    pub btf_path: Option<Spanned<String>>,
    /// `args`.
    pub args: Vec<Argument>,
    /// `selectors`.
    pub selectors: Vec<Selector>,
    /// `message`.
    pub message: Option<Spanned<String>>,
    /// `tags`.
    pub tags: Vec<Spanned<String>>,
    /// The whole of it.
    pub span: Span,
}

/// An entry of `lsmhooks`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LsmHook {
    /// `hook`, without prefix.
    pub hook: Spanned<String>,
    /// `args`.
    pub args: Vec<Argument>,
    /// `selectors`.
    pub selectors: Vec<Selector>,
    /// `message`.
    pub message: Option<Spanned<String>>,
    /// `tags`.
    pub tags: Vec<Spanned<String>>,
    /// The whole of it.
    pub span: Span,
}
