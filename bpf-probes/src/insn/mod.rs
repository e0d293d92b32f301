//! One instruction: constructors by family, bytes in and out, text.
//!
//! An [`Insn`] is eight bytes as the kernel's `struct bpf_insn`; the 16-byte immediate load is two of them. Nothing here knows
//! labels, maps or functions: those are names in [`crate::asm`] until a loader fills them in.

pub mod alu;
pub mod atomic;
pub mod call;
mod decode;
mod disassemble;
mod encode;
pub mod helper;
pub mod jump;
pub mod memory;
pub mod opcode;
mod register;

pub use decode::{DecodeError, decode};
pub use disassemble::text;
pub use encode::encode;
pub use helper::Helper;
pub use opcode::{AluOp, Class, Condition, Size};
pub use register::Register;

/// One slot of a program, as `struct bpf_insn`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Insn {
    /// Class, operation and operand kind.
    pub opcode: u8,
    /// Destination register.
    pub dst: Register,
    /// Source register, or the pseudo value of calls and immediate loads (4 bits).
    pub src: u8,
    /// Signed offset of memory and jumps.
    pub offset: i16,
    /// Immediate operand.
    pub imm: i32,
}

impl Insn {
    /// The class bits of the opcode.
    pub const fn class(self) -> Class {
        Class::of(self.opcode)
    }

    /// The source field as a register; `None` where it is a pseudo value above 10.
    pub fn src_register(self) -> Option<Register> {
        Register::from_number(self.src)
    }

    /// Whether this is the first slot of a 16-byte immediate load.
    pub const fn is_wide(self) -> bool {
        self.opcode == opcode::LOAD_IMM64
    }
}

#[cfg(test)]
mod tests;
