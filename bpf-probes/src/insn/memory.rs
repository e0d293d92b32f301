//! Loads and stores.

use super::opcode::{LOAD_IMM64, mode};
use super::{Class, Insn, Register, Size};

/// Pseudo source values of the 16-byte immediate load (`BPF_PSEUDO_*`).
pub mod pseudo {
    /// A plain number.
    pub const NONE: u8 = 0;
    /// A map by descriptor.
    pub const MAP_FD: u8 = 1;
    /// An address inside the value of a map, by descriptor and offset.
    pub const MAP_VALUE: u8 = 2;
    /// A kernel variable by BTF id.
    pub const BTF_ID: u8 = 3;
    /// A subprogram, by relative offset (callbacks).
    pub const FUNC: u8 = 4;
}

/// `dst = *(size *)(base + offset)`, zero-extended.
pub const fn load(size: Size, dst: Register, base: Register, offset: i16) -> Insn {
    Insn { opcode: Class::Ldx as u8 | mode::MEM | size.bits(), dst, src: base.number(), offset, imm: 0 }
}

/// `*(size *)(base + offset) = src`.
pub const fn store(size: Size, base: Register, offset: i16, src: Register) -> Insn {
    Insn { opcode: Class::Stx as u8 | mode::MEM | size.bits(), dst: base, src: src.number(), offset, imm: 0 }
}

/// `*(size *)(base + offset) = imm`, sign-extended for eight bytes.
pub const fn store_imm(size: Size, base: Register, offset: i16, imm: i32) -> Insn {
    Insn { opcode: Class::St as u8 | mode::MEM | size.bits(), dst: base, src: 0, offset, imm }
}

/// `dst = value`, any 64 bits, in two slots. `src` is one of [`pseudo`].
#[expect(clippy::cast_possible_truncation, reason = "each half is taken on purpose")]
#[expect(clippy::cast_possible_wrap, reason = "the halves are bit patterns")]
pub const fn load_imm64(dst: Register, src: u8, value: u64) -> [Insn; 2] {
    [
        Insn { opcode: LOAD_IMM64, dst, src, offset: 0, imm: value as u32 as i32 },
        Insn { opcode: 0, dst: Register::R0, src: 0, offset: 0, imm: (value >> 32) as u32 as i32 },
    ]
}
