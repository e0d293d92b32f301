//! How a match is reported.

/// What `Post` is asked for; the same for all `Post` of a selector.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub struct PostOptions {
    /// Reports that are alike are left out for a time.
    pub limit: Option<RateLimit>,
    /// The record carries the kernel's stack.
    pub kernel_stack: bool,
    /// The record carries the program's stack.
    pub user_stack: bool,
    /// The record carries the hash of the hook's file.
    pub file_hash: bool,
}

/// How often what is alike is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct RateLimit {
    /// Milliseconds that must have passed since the last report; not zero.
    pub milliseconds: u32,
    /// Whose reports count together.
    pub scope: LimitScope,
}

/// Whose reports a limit counts together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash)]
pub enum LimitScope {
    /// Those of a thread.
    #[default]
    Thread,
    /// Those of a process.
    Process,
    /// All.
    Global,
}
