//! The same bytecode in user space, on made-up kernel memory.
//!
//! A [`Machine`] takes a [`crate::spec::CollectionSpec`], makes its maps and runs its programs one at a time, deterministically, in safe
//! Rust. It is stricter than the kernel: what the verifier would refuse or what would leak memory is a [`Fault`] that names
//! the instruction. A [`World`] is what the programs see of the kernel: objects, user memory, the current task, the clock.
//!
//! What a register may be used for depends on where its value came from, as in the verifier. Addresses that the machine gave out (stack,
//! context, map values, records) are exact: one byte past them is a fault. Pointers with a kernel type (`bpf_rdonly_cast`,
//! `bpf_get_current_task_btf`, arguments of typed programs, and what was loaded through these) read 0 where nothing is mapped.
//! Everything else is a number, good for `bpf_probe_read_*` only.

mod address;
mod alu;
mod context;
mod errno;
mod fault;
mod filesystem;
mod frame;
mod helper;
mod machine;
mod map;
mod memory;
mod run;
mod space;
mod step;
mod value;
mod world;

pub use context::{Context, Registers};
pub use errno::Errno;
pub use fault::{Fault, FaultKind, Place};
pub use filesystem::{Filesystem, Place as FilePlace};
pub use machine::{Machine, MachineError, Outcome, Signal, SignalTarget};
pub use map::{Map, Record, Ring};
pub use space::{Space, Unmapped};
pub use world::{Clock, PidNamespace, ReadFaults, Task, World};

#[cfg(test)]
mod tests;
