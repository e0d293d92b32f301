//! Attaching programs: one kind a file, each with the first kernel that has it.
//!
//! In: a loaded program and where it is to run. Out: a [`Link`], which detaches when dropped. Which kind is used for a hook is decided elsewhere
//! (`attach`); nothing here falls back to another kind.

mod attach;
mod kprobe;
mod kprobe_multi;
mod lsm;
mod misses;
mod raw_tracepoint;
mod tracepoint;
mod trampoline;
mod uprobe;
mod uprobe_multi;
mod user_file;

pub use attach::{AttachError, Link, attach};
pub(in crate::load) use lsm::active_modules;
pub use misses::LinkMisses;
