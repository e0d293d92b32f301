//! Programs in the words of C: reads by field name, conditions, maps; registers and stack by scope.
//!
//! A [`Function`] builds one subprogram, a [`Program`] gathers them. The same calls emit what the kernel at hand verifies and runs best: [`Facts`] says which form.
//! Invariants: `R0`–`R5` are dead after every call that the builder makes; a callee-saved register or stack slot has one owner at a time; a read never faults.

mod error;
mod facts;
mod flow;
mod function;
mod load;
mod map;
mod program;

pub use error::BuildError;
pub use facts::{Facts, LoopForm, ReadForm};
pub use function::{Function, Slot};
pub use program::Program;
