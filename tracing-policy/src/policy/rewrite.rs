//! What an override does at a place in a program: registers of the thread that get other values.

use super::uprobe::UserAddress;
use crate::binary::CpuRegister;
use crate::source::{Span, Spanned};

/// The registers that are written, one after the other as instructions would do it: a source names the value that the assignments before it left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rewrite {
    /// What is written.
    pub assignments: Vec<Assignment>,
    /// Another place in the same file where the thread goes on; nothing once `resolve` has made it an assignment.
    pub target: Option<Spanned<UserAddress>>,
    /// Whether the function returns at once (`argError`): that takes its return address, which is where it is at the function's beginning only.
    pub returns: bool,
    /// The action in the text.
    pub span: Span,
}

impl Rewrite {
    /// Whether the thread goes on with another end of its stack.
    pub fn moves_stack(&self) -> bool {
        self.assignments.iter().any(|assignment| assignment.register == CpuRegister::Rsp)
    }
}

/// A register, or the lowest bytes of it, and what it gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Assignment {
    /// The register.
    pub register: CpuRegister,
    /// The lowest bit that is written: 8 for `ah` and its like.
    pub shift: u8,
    /// Bytes that are written: 1, 2, 4 or 8. With 4 the upper half becomes zero, as the processor does it.
    pub width: u8,
    /// What it gets.
    pub source: Assigned,
}

/// What a register gets.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Assigned {
    /// A number.
    Constant(u64),
    /// What is in a register, or its lowest bytes, and so much more.
    Register {
        /// The register.
        register: CpuRegister,
        /// The lowest bit that is taken.
        shift: u8,
        /// Bytes that are taken.
        width: u8,
        /// What is added.
        plus: i64,
    },
    /// What is in memory of user space, as many bytes as are written.
    Memory {
        /// The register that its address is in.
        base: CpuRegister,
        /// What is added to it.
        displacement: i64,
    },
}
