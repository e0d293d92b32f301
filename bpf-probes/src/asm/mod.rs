//! Many instructions: labels, references, subprograms, linking.
//!
//! An [`Assembler`] collects one [`Subprogram`]; [`link`] lays subprograms out as the [`Code`] of one program. What only a loader can
//! know (map descriptors, BTF ids) stays a [`Reference`] by name. Invariants: jumps are resolved within a subprogram and never
//! cross one; every slot keeps its [`Origin`]; [`StructureError`]s are found here, not by the kernel.

mod assembler;
pub mod check;
mod flow;
mod label;
mod listing;
mod origin;
mod subprogram;

pub use assembler::{AssembleError, Assembler, Instruction, Reference};
pub use check::StructureError;
pub use label::Label;
pub use origin::Origin;
pub use subprogram::{Code, Function, LinkError, MAX_SLOTS, Prototype, Relocation, Subprogram, link};

#[cfg(test)]
mod tests;
