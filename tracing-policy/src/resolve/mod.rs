//! Stage 3: a checked policy and the facts of one kernel to a [`crate::policy::Resolved`] policy.
//!
//! Symbols exist, parameters fit the arguments read from them, mechanisms are chosen by `bpf_probes::attach`, and what depends on the process
//! alone has become a [`crate::policy::ClassTest`]. All errors of all hooks are reported at once.

mod argument;
mod buffer;
mod class;
mod digest;
mod function;
mod layout;
mod lsm;
mod many;
mod mechanism;
mod pattern;
mod policy;
mod process;
mod program_types;
mod reach;
mod register;
mod rewrite;
mod settle;
mod tracepoint;
mod uprobe;
mod usdt;
mod user_code;

pub use policy::policy;
pub(crate) use rewrite::both_ends;
