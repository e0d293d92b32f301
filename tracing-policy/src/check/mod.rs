//! Step 2: schema to policy, offline.
//!
//! In goes a [`schema::TracingPolicy`](crate::schema::TracingPolicy), out comes a
//! [`policy::Policy`](crate::policy::Policy) and the warnings, or every error at once. What is decided here holds on
//! any kernel; what needs the facts of one (does the symbol exist, does the prototype have this argument) is left to
//! the next stage. What the language has and this version does not compile is refused with
//! [`Code::NotSupportedYet`](crate::diagnostic::Code::NotSupportedYet), never skipped.
//!
//! One part of the language a file: `document` (name, kind, scope), `enforcer`, `loader`, `expression` (`CelExpr`), `options`, `hook`, `argument`, `selector`,
//! `elsewhere` (`resolve` and `data`), `untyped` (types that are left to the kernel), `filter` (one filter of arguments or binaries), `process` (namespaces, capabilities, parents), `capability` and `file_type` (words that stand for
//! numbers), `macros`, `list`, `list_value`, `section` (what each kind of hook can), `value` (numbers, ranges, byte strings), `action`, `text`
//! (messages and tags), `uprobe` and `digest` (places in files, and what the files must be), `workload` (whom it is for) and `unsupported`.

mod action;
mod argument;
mod capability;
mod digest;
mod document;
mod elsewhere;
mod enforcer;
mod expression;
mod file_type;
mod filter;
mod hook;
mod list;
mod list_value;
mod loader;
mod macros;
mod network;
mod options;
mod post;
mod process;
mod request;
mod returning;
mod rewrite;
mod section;
mod selector;
mod text;
mod tracepoint;
mod unsupported;
mod untyped;
mod uprobe;
mod usdt;
mod value;
mod workload;

pub use document::policy;
pub(crate) use elsewhere::is_resolved;
pub(crate) use hook::{settled as settled_kprobe, settled_lsm};
pub(crate) use list::PATTERN_BYTES;
pub(crate) use tracepoint::settled;
pub(crate) use untyped::is_untyped;
pub(crate) use uprobe::settled as settled_uprobe;
pub(crate) use usdt::settled as settled_usdt;
