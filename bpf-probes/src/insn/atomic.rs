//! Atomic read-modify-write. Adding without a result works everywhere; everything else needs 5.12.
//!
//! The operation stands in the immediate (`BPF_ATOMIC`, `include/uapi/linux/bpf.h`).

use super::opcode::mode;
use super::{Class, Insn, Register, Size};

/// The immediate of an atomic instruction.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(i32)]
#[expect(missing_docs, reason = "the names are the kernel's")]
pub enum AtomicOp {
    Add = 0x00,
    Or = 0x40,
    And = 0x50,
    Xor = 0xa0,
    FetchAdd = 0x01,
    FetchOr = 0x41,
    FetchAnd = 0x51,
    FetchXor = 0xa1,
    Exchange = 0xe1,
    /// Compares with `R0`, which receives the old value.
    CompareExchange = 0xf1,
}

impl AtomicOp {
    /// The operation of an immediate, `None` if it is not one.
    pub const fn of(imm: i32) -> Option<Self> {
        Some(match imm {
            0x00 => Self::Add,
            0x40 => Self::Or,
            0x50 => Self::And,
            0xa0 => Self::Xor,
            0x01 => Self::FetchAdd,
            0x41 => Self::FetchOr,
            0x51 => Self::FetchAnd,
            0xa1 => Self::FetchXor,
            0xe1 => Self::Exchange,
            0xf1 => Self::CompareExchange,
            _ => return None,
        })
    }
}

/// `atomic *(size *)(base + offset) op= src`; sizes `Word` and `Double` only.
pub const fn atomic(op: AtomicOp, size: Size, base: Register, offset: i16, src: Register) -> Insn {
    Insn {
        opcode: Class::Stx as u8 | mode::ATOMIC | size.bits(),
        dst: base,
        src: src.number(),
        offset,
        imm: op as i32,
    }
}
