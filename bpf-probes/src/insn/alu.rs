//! Arithmetic and moves.

use super::opcode::SOURCE_REGISTER;
use super::{AluOp, Class, Insn, Register};

/// `dst = dst op imm` on 64 bits; the immediate is sign-extended.
pub const fn imm(op: AluOp, dst: Register, imm: i32) -> Insn {
    Insn { opcode: op as u8 | Class::Alu64 as u8, dst, src: 0, offset: 0, imm }
}

/// `dst = dst op src` on 64 bits.
pub const fn reg(op: AluOp, dst: Register, src: Register) -> Insn {
    Insn {
        opcode: op as u8 | SOURCE_REGISTER | Class::Alu64 as u8,
        dst,
        src: src.number(),
        offset: 0,
        imm: 0,
    }
}

/// `dst = dst op imm` on the lower 32 bits; the upper half becomes zero.
pub const fn imm32(op: AluOp, dst: Register, imm: i32) -> Insn {
    Insn { opcode: op as u8 | Class::Alu32 as u8, dst, src: 0, offset: 0, imm }
}

/// `dst = dst op src` on the lower 32 bits; the upper half becomes zero.
pub const fn reg32(op: AluOp, dst: Register, src: Register) -> Insn {
    Insn {
        opcode: op as u8 | SOURCE_REGISTER | Class::Alu32 as u8,
        dst,
        src: src.number(),
        offset: 0,
        imm: 0,
    }
}

/// `dst = imm`, sign-extended to 64 bits.
pub const fn mov_imm(dst: Register, value: i32) -> Insn {
    imm(AluOp::Mov, dst, value)
}

/// `dst = src`.
pub const fn mov_reg(dst: Register, src: Register) -> Insn {
    reg(AluOp::Mov, dst, src)
}

/// `dst += imm`.
pub const fn add_imm(dst: Register, value: i32) -> Insn {
    imm(AluOp::Add, dst, value)
}

/// `dst += src`.
pub const fn add_reg(dst: Register, src: Register) -> Insn {
    reg(AluOp::Add, dst, src)
}

/// `dst = htobe(dst)` for 16, 32 or 64 bits.
pub const fn to_big_endian(dst: Register, bits: i32) -> Insn {
    Insn {
        opcode: AluOp::End as u8 | SOURCE_REGISTER | Class::Alu32 as u8,
        dst,
        src: 0,
        offset: 0,
        imm: bits,
    }
}
