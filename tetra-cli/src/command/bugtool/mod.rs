//! `tetra bugtool`: an archive of what support needs to know of a node.
//!
//! In: a list of items, each a name in the archive and a way to its bytes. Out: one file, made exclusively with mode 0600. Every item is bounded in
//! time and size; one that fails leaves `NAME.err` with the reason, and the others go on. Secrets are taken out by [`redact`] before anything is
//! written; only the kernel's types (BTF) are as they were.

mod archive;
mod bounded;
mod daemon;
mod files;
mod item;
mod kernel;
mod kernel_log;
mod redact;
mod run;
mod threads;

pub(crate) use run::run;
