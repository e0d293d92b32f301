//! Blueprints become objects of the running kernel: maps, programs, links, rings.
//!
//! In: [`crate::spec::CollectionSpec`] and what [`probe`] found out about the kernel. Out: owners of descriptors, which release
//! what they own when dropped. Every system call stands in `sys`. Nothing here knows what a policy is.

mod collection;
mod cpus;
mod holding;
mod kernel_fs;
pub mod link;
mod map;
mod map_error;
mod mapped_array;
mod own_btf;
mod pin;
pub mod probe;
mod program;
mod ring;
mod running;
mod sys;
#[cfg(test)]
#[expect(clippy::unwrap_used, clippy::panic, reason = "tests")]
mod tests;
mod trampolines;
mod verifier_log;

pub use collection::{Collection, LoadContext, LoadError, MapSet};
pub use cpus::{CpusError, PossibleCpus};
pub use holding::{HeldObject, objects_of_process, pinned_objects};
pub use link::{AttachError, Link, LinkMisses};
pub use map::Map;
pub use map_error::MapError;
pub use mapped_array::MappedArray;
pub use own_btf::OwnBtfError;
pub use pin::{BPF_FS_MAGIC, Pin, PinError, PinFolder};
pub use program::{FindMap, Program, ProgramError, ProgramInfo};
pub use ring::{Head, Ring, RingError};
pub use running::{
    RunStatistics, RunningMap, RunningProgram, maps_of_program, programs_in_map, running_maps,
    running_programs,
};
pub use sys::{ObjectKind, SysError, Undisturbed, object_ids, wait_for_programs};
pub use trampolines::replaced_trampolines;
pub use verifier_log::Refusal;
