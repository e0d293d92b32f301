//! All that becomes kernel code, and the only door to bpf(2).
//!
//! Modules form a list, each using only those before it: `insn`, `btf`, `asm`, `kernel`, `attach`, `spec`, `abi`, `builder`, `routine`,
//! `sensor`; then `load` (feature `load`: descriptors, the running kernel) and `emulate` (feature `emulate`: the same bytecode in user space), which do not know each other.
//! Without `load` the crate makes no system call.

pub mod insn;

pub mod btf;

pub mod asm;

pub mod kernel;

pub mod attach;

pub mod spec;

pub mod abi;

pub mod builder;

pub mod routine;

pub mod sensor;

#[cfg(feature = "load")]
pub mod load;

#[cfg(feature = "emulate")]
pub mod emulate;
