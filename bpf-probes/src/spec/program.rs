//! Blueprint of a program.

use super::{AttachSpec, ProgramKind};
use crate::asm::Code;

/// A program before it exists. All are loaded under the GPL licence string, which tracing helpers ask for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ProgramSpec {
    /// Unique in its collection. The kernel knows it by the name of its first function.
    pub name: String,
    /// Its type.
    pub kind: ProgramKind,
    /// Where it runs. For a program reached by tail calls only, the place of the program that calls it: kinds bound to one kernel function
    /// (fentry, `fmod_ret`, LSM) need it at load time.
    pub target: AttachSpec,
    /// Whether the loader attaches it to `target`, or something tail-calls it.
    pub reach: Reach,
    /// Its instructions.
    pub code: Code,
}

/// How control gets to a program.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Reach {
    /// The loader attaches it.
    Attached,
    /// Another program tail-calls it.
    TailCalled,
}
