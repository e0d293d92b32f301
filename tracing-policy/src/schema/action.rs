//! Actions.

use super::word::words;
use crate::source::{Span, Spanned};

/// An entry of `matchActions` or `matchReturnActions`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Action {
    /// `action`.
    pub action: Spanned<ActionKind>,
    /// `argError`.
    pub arg_error: Option<Spanned<i32>>,
    /// `argSig`.
    pub arg_sig: Option<Spanned<u32>>,
    /// `argFqdn`.
    pub arg_fqdn: Option<Spanned<String>>,
    /// `argUrl`.
    pub arg_url: Option<Spanned<String>>,
    /// `argSock`.
    pub arg_sock: Option<Spanned<u32>>,
    /// `argIndex`.
    pub arg_index: Option<Spanned<u32>>,
    /// `argValue`.
    pub arg_value: Option<Spanned<u32>>,
    /// `argRegs`.
    pub arg_regs: Vec<Spanned<String>>,
    /// `argNewSymbol`.
    pub arg_new_symbol: Option<Spanned<String>>,
    /// `argNewAddr`.
    pub arg_new_addr: Option<Spanned<u64>>,
    /// `argNewOffset`.
    pub arg_new_offset: Option<Spanned<u64>>,
    /// `rateLimit`.
    pub rate_limit: Option<Spanned<String>>,
    /// `rateLimitScope`.
    pub rate_limit_scope: Option<Spanned<RateLimitScope>>,
    /// `kernelStackTrace`.
    pub kernel_stack_trace: Option<Spanned<bool>>,
    /// `userStackTrace`.
    pub user_stack_trace: Option<Spanned<bool>>,
    /// `imaHash`.
    pub ima_hash: Option<Spanned<bool>>,
    /// The whole of it.
    pub span: Span,
}

words! {
    /// What is done.
    ActionKind, "action":
    /// Report.
    Post = "Post",
    /// Kill.
    Sigkill = "Sigkill",
    /// Return a value instead.
    Override = "Override",
    /// Fetch a URL.
    GetUrl = "GetUrl",
    /// Look up a name.
    DnsLookup = "DnsLookup",
    /// Do not report.
    NoPost = "NoPost",
    /// Send a signal.
    Signal = "Signal",
    /// Remember the owner of a socket.
    TrackSock = "TrackSock",
    /// Forget the owner of a socket.
    UntrackSock = "UntrackSock",
    /// Leave an action for the enforcer.
    NotifyEnforcer = "NotifyEnforcer",
    /// Drop what was left for the enforcer.
    CleanupEnforcerNotification = "CleanupEnforcerNotification",
    /// Write an argument.
    Set = "Set",
}

words! {
    /// Whose reports a rate limit counts together.
    RateLimitScope, "rate limit scope":
    /// Those of a thread.
    Thread = "thread",
    /// Those of a process.
    Process = "process",
    /// All.
    Global = "global",
}
