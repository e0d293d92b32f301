//! Jumps. Offsets count slots from the instruction after the jump.

use super::opcode::{self, SOURCE_REGISTER};
use super::{Class, Condition, Insn, Register};

/// How many bits of the register a comparison looks at.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Width {
    /// The lower half (class `Jmp32`, 5.1 on).
    Bits32,
    /// The whole register.
    Bits64,
}

impl Width {
    const fn class(self) -> Class {
        match self {
            Self::Bits32 => Class::Jmp32,
            Self::Bits64 => Class::Jmp,
        }
    }
}

/// Jump when `dst condition imm` holds; the immediate is sign-extended.
pub const fn if_imm(width: Width, condition: Condition, dst: Register, imm: i32, offset: i16) -> Insn {
    Insn { opcode: condition as u8 | width.class() as u8, dst, src: 0, offset, imm }
}

/// Jump when `dst condition src` holds.
pub const fn if_reg(width: Width, condition: Condition, dst: Register, src: Register, offset: i16) -> Insn {
    Insn {
        opcode: condition as u8 | SOURCE_REGISTER | width.class() as u8,
        dst,
        src: src.number(),
        offset,
        imm: 0,
    }
}

/// Jump always.
pub const fn always(offset: i16) -> Insn {
    Insn { opcode: opcode::JUMP_ALWAYS, dst: Register::R0, src: 0, offset, imm: 0 }
}

/// Return from the program or subprogram with `R0`.
pub const fn exit() -> Insn {
    Insn { opcode: opcode::EXIT, dst: Register::R0, src: 0, offset: 0, imm: 0 }
}
