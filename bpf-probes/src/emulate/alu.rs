//! Arithmetic and comparisons as the BPF machine defines them (`Documentation/bpf/standardization/instruction-set.rst`).

use crate::insn::{AluOp, Condition};

/// Whether `Div` and `Mod` are signed (offset 1 of the instruction, 6.6).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Sign {
    Unsigned,
    Signed,
}

/// `dst op src` on 64 bits; division by zero gives 0, the remainder by zero the dividend, and shift counts wrap at 64.
pub(super) fn wide(op: AluOp, sign: Sign, dst: u64, src: u64) -> u64 {
    let count = u32::try_from(src & 63).unwrap_or(0);
    match (op, sign) {
        (AluOp::Add, _) => dst.wrapping_add(src),
        (AluOp::Sub, _) => dst.wrapping_sub(src),
        (AluOp::Mul, _) => dst.wrapping_mul(src),
        (AluOp::Div, Sign::Unsigned) => dst.checked_div(src).unwrap_or(0),
        (AluOp::Div, Sign::Signed) if src == 0 => 0,
        (AluOp::Div, Sign::Signed) => dst.cast_signed().wrapping_div(src.cast_signed()).cast_unsigned(),
        (AluOp::Mod, Sign::Unsigned) => dst.checked_rem(src).unwrap_or(dst),
        (AluOp::Mod, Sign::Signed) if src == 0 => dst,
        (AluOp::Mod, Sign::Signed) => dst.cast_signed().wrapping_rem(src.cast_signed()).cast_unsigned(),
        (AluOp::Or, _) => dst | src,
        (AluOp::And, _) => dst & src,
        (AluOp::Xor, _) => dst ^ src,
        (AluOp::Lsh, _) => dst << count,
        (AluOp::Rsh, _) => dst >> count,
        (AluOp::Arsh, _) => (dst.cast_signed() >> count).cast_unsigned(),
        (AluOp::Neg, _) => dst.wrapping_neg(),
        (AluOp::Mov | AluOp::End, _) => src,
    }
}

/// The same on 32 bits, shift counts wrapping at 32.
pub(super) fn narrow(op: AluOp, sign: Sign, dst: u32, src: u32) -> u32 {
    let count = src & 31;
    match (op, sign) {
        (AluOp::Add, _) => dst.wrapping_add(src),
        (AluOp::Sub, _) => dst.wrapping_sub(src),
        (AluOp::Mul, _) => dst.wrapping_mul(src),
        (AluOp::Div, Sign::Unsigned) => dst.checked_div(src).unwrap_or(0),
        (AluOp::Div, Sign::Signed) if src == 0 => 0,
        (AluOp::Div, Sign::Signed) => dst.cast_signed().wrapping_div(src.cast_signed()).cast_unsigned(),
        (AluOp::Mod, Sign::Unsigned) => dst.checked_rem(src).unwrap_or(dst),
        (AluOp::Mod, Sign::Signed) if src == 0 => dst,
        (AluOp::Mod, Sign::Signed) => dst.cast_signed().wrapping_rem(src.cast_signed()).cast_unsigned(),
        (AluOp::Or, _) => dst | src,
        (AluOp::And, _) => dst & src,
        (AluOp::Xor, _) => dst ^ src,
        (AluOp::Lsh, _) => dst << count,
        (AluOp::Rsh, _) => dst >> count,
        (AluOp::Arsh, _) => (dst.cast_signed() >> count).cast_unsigned(),
        (AluOp::Neg, _) => dst.wrapping_neg(),
        (AluOp::Mov | AluOp::End, _) => src,
    }
}

/// The byte order that a conversion makes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Order {
    /// From and to the little endian of our machines: cuts only.
    Little,
    /// Swaps.
    Big,
}

/// The lower `bits` (16, 32 or 64) of a value in another byte order; `None` for another width.
pub(super) fn convert(order: Order, bits: i32, value: u64) -> Option<u64> {
    Some(match (order, bits) {
        (Order::Little, 16) => u64::from(low16(value)),
        (Order::Little, 32) => u64::from(low32(value)),
        (Order::Little, 64) => value,
        (Order::Big, 16) => u64::from(low16(value).swap_bytes()),
        (Order::Big, 32) => u64::from(low32(value).swap_bytes()),
        (Order::Big, 64) => value.swap_bytes(),
        _ => return None,
    })
}

/// The lower `bits` (8, 16 or 32) with their sign carried up; `None` for another width.
pub(super) fn sign_extend(bits: u32, value: u64) -> Option<u64> {
    let shift = 64_u32.checked_sub(bits).filter(|_| matches!(bits, 8 | 16 | 32))?;
    Some(((value << shift).cast_signed() >> shift).cast_unsigned())
}

/// Whether `dst condition src` holds on 64 bits.
pub(super) fn holds(condition: Condition, dst: u64, src: u64) -> bool {
    let (signed_dst, signed_src) = (dst.cast_signed(), src.cast_signed());
    match condition {
        Condition::Eq => dst == src,
        Condition::Ne => dst != src,
        Condition::Gt => dst > src,
        Condition::Ge => dst >= src,
        Condition::Lt => dst < src,
        Condition::Le => dst <= src,
        Condition::SGt => signed_dst > signed_src,
        Condition::SGe => signed_dst >= signed_src,
        Condition::SLt => signed_dst < signed_src,
        Condition::SLe => signed_dst <= signed_src,
        Condition::Set => dst & src != 0,
    }
}

/// Whether `dst condition src` holds on the lower 32 bits.
pub(super) fn holds_narrow(condition: Condition, dst: u64, src: u64) -> bool {
    let extend = |value: u64| i64::from(low32(value).cast_signed()).cast_unsigned();
    match condition {
        // order is kept by sign extension of both sides, signed and unsigned alike
        Condition::Eq
        | Condition::Ne
        | Condition::Gt
        | Condition::Ge
        | Condition::Lt
        | Condition::Le
        | Condition::SGt
        | Condition::SGe
        | Condition::SLt
        | Condition::SLe => holds(condition, extend(dst), extend(src)),
        Condition::Set => holds(condition, u64::from(low32(dst)), u64::from(low32(src))),
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the lower part is what is asked for")]
pub(super) fn low32(value: u64) -> u32 {
    value as u32
}

#[expect(clippy::cast_possible_truncation, reason = "the lower part is what is asked for")]
fn low16(value: u64) -> u16 {
    value as u16
}
