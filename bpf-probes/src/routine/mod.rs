//! Subprograms that any program may call, and the working memory they share.
//!
//! A routine is added to a [`crate::builder::Program`] once and called by name. Each says its arguments, its result and what it leaves in an area.

mod chunks;
pub mod layout;
mod output;
mod path;
mod process;
mod string;

pub use chunks::{ChunkSource, Chunks, read_by_address};
pub use output::count_loss;
pub use output::{submit_record, zero_fill};
pub use path::{LENGTH_MASK, PATH_WALK, add_path_walk, walk_in_cpu_entry};
pub use process::{
    NamespaceSource, namespace_source, ns_tgid, pid_number, read_credentials, read_namespaces,
};
pub use string::copy_string;
