//! Strings of the kernel, copied.

use super::path::WORDS;
use crate::builder::{BuildError, Function, ReadForm};
use crate::insn::{AluOp, Condition, Helper, Register, Size};
use Register::{R0, R1, R2, R3, R4, R5};

/// Words that are looked at one by one.
const PLAIN_WORDS: u32 = 16;
/// The lowest bit of each byte of a word.
const ONES: u64 = u64::from_ne_bytes([1; 8]);
/// The highest bit of each byte of a word.
const HIGHS: u64 = u64::from_ne_bytes([0x80; 8]);

/// `R0 = bytes of the string at `source`, NUL included`, copied to `base + offset` (all callee-saved), at most `max` with the NUL; negative where it cannot be
/// read. What `bpf_probe_read_kernel_str` does, which spends some 12 instructions a byte (`mm/maccess.c: strncpy_from_kernel_nofault`): with plain
/// loads a string of up to 128 bytes costs eight a word. Up to seven bytes behind the NUL are overwritten with what lies behind the source's.
///
/// # Errors
/// When the kernel's types lack what is needed.
pub fn copy_string(
    f: &mut Function<'_>,
    base: Register,
    offset: Register,
    source: Register,
    max: u32,
) -> Result<(), BuildError> {
    let (helper, out) = (f.label(), f.label());
    if f.facts().reads == ReadForm::Cast {
        plain_words(f, [base, offset, source], PLAIN_WORDS.min(max / 8), helper)?;
        f.jump(out);
        f.bind(helper);
    }
    f.copy(R1, base);
    f.alu_reg(AluOp::Add, R1, offset);
    f.constant(R2, u64::from(max));
    f.copy(R3, source);
    f.call(Helper::ProbeReadKernelStr);
    f.bind(out);
    Ok(())
}

/// Copies words until one has a zero byte and leaves the length in `R0`; goes to `helper` when there is none, or none that is sure.
fn plain_words(
    f: &mut Function<'_>,
    [base, offset, source]: [Register; 3],
    words: u32,
    helper: crate::asm::Label,
) -> Result<(), BuildError> {
    let (found, certain) = (f.label(), f.label());
    f.cast(source, WORDS)?;
    f.copy(R1, base);
    f.alu_reg(AluOp::Add, R1, offset);
    f.constant(R4, ONES);
    f.constant(R5, HIGHS);
    let mut ends = Vec::new();
    for word in 0..words {
        let (at, end) = (f.offset(8 * word)?, f.label());
        f.load(Size::Double, R2, R0, at);
        f.store(Size::Double, R1, at, R2);
        // the lowest bit set marks the first zero byte: (x - ones) & ~x & highs
        f.copy(R3, R2);
        f.alu_reg(AluOp::Sub, R3, R4);
        f.alu(AluOp::Xor, R2, -1);
        f.alu_reg(AluOp::And, R3, R2);
        f.alu_reg(AluOp::And, R3, R5);
        f.jump_if(Condition::Ne, R3, 0, end);
        ends.push((end, at));
    }
    f.jump(helper);
    for (end, at) in ends {
        f.bind(end);
        f.load(Size::Byte, R2, R0, at);
        f.constant(R1, u64::from(at.unsigned_abs()));
        f.jump(found);
    }
    f.bind(found);
    // a word that cannot be read is zero: it may cross into a page that is not there, where the string's own bytes are
    f.jump_if_reg(Condition::Ne, R3, R5, certain);
    f.jump_if(Condition::Ne, R2, 0, helper);
    f.bind(certain);
    f.copy(R0, R1);
    for (bits, bytes) in [(32, 4), (16, 2), (8, 1)] {
        let lower = f.label();
        f.copy(R2, R3);
        f.alu(AluOp::Lsh, R2, 64 - bits);
        f.jump_if(Condition::Ne, R2, 0, lower);
        f.alu(AluOp::Rsh, R3, bits);
        f.alu(AluOp::Add, R0, bytes);
        f.bind(lower);
    }
    f.alu(AluOp::Add, R0, 1);
    Ok(())
}
