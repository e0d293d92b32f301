//! Whatever depends only on the binary, decided once at exec: which classes the new image is in.
//!
//! Two tries hold all values of all policies. One look-up each yields the union of the classes of every value that is a prefix (or equal, or a postfix) of
//! the path, because the daemon stores with each entry the classes of its own prefixes too (`abi::BinaryKey`).

use std::mem::offset_of;

use crate::abi::{BINARY_BYTES, BINARY_END_BYTES, CLASS_WORDS, Control, ProcessState, map_name};
use crate::asm::Prototype;
use crate::builder::{BuildError, Facts, Function, Program, Slot};
use crate::insn::{AluOp, Condition, Helper, Register, Size, alu};
use crate::routine::layout::PATH_END;
use Register::{R0, R1, R2, R3, R6, R9, R10};

const LOOK_UP_END: &str = "look_up_end";

/// `R0` points to the state of the image before: `state.classes = its classes & control.followed`.
///
/// # Errors
/// None of its own.
pub(super) fn inherit_followed(f: &mut Function<'_>, before: Register, state: Slot) {
    let followed = u32::try_from(offset_of!(Control, followed)).expect("the cells are small");
    f.assembler().load_map_value(R3, map_name::CONTROL, followed);
    for word in 0..CLASS_WORDS {
        let at = i16::try_from(offset_of!(ProcessState, classes) + 8 * word).expect("the state is small");
        f.load(Size::Double, R1, before, at);
        f.load(Size::Double, R2, R3, i16::try_from(8 * word).expect("eight words"));
        f.alu_reg(AluOp::And, R1, R2);
        f.store(Size::Double, R10, state.offset() + at, R1);
    }
}

/// `state.classes |= *R0`, a class set.
pub(super) fn join(f: &mut Function<'_>, state: Slot) {
    for word in 0..CLASS_WORDS {
        let at = i16::try_from(offset_of!(ProcessState, classes) + 8 * word).expect("the state is small");
        f.load(Size::Double, R1, R0, i16::try_from(8 * word).expect("eight words"));
        f.load(Size::Double, R2, R10, state.offset() + at);
        f.alu_reg(AluOp::Or, R1, R2);
        f.store(Size::Double, R10, state.offset() + at, R1);
    }
}

/// Adds to `state.classes` those of the path in `area`, `length` bytes (both callee-saved).
pub(super) fn classify(f: &mut Function<'_>, area: Register, length: Register, state: Slot) {
    let (ends, out) = (f.label(), f.label());
    let tables = u32::try_from(offset_of!(Control, tables)).expect("the cells are small");
    let longest = i32::try_from(BINARY_BYTES).expect("256");
    f.jump_if(Condition::Eq, length, 0, out);
    f.jump_if(Condition::Gt, length, 4096, out);
    f.cell(Size::Word, R1, map_name::CONTROL, tables);
    f.alu(AluOp::And, R1, 1);
    f.jump_if(Condition::Eq, R1, 0, ends);
    let fits = f.label();
    f.copy(R1, length);
    f.alu(AluOp::Add, R1, 1);
    f.jump_if(Condition::Le, R1, longest, fits);
    f.constant(R1, u64::from(longest.cast_unsigned()));
    f.bind(fits);
    f.alu(AluOp::Lsh, R1, 3);
    // the verifier takes a variable offset into a map's value only if it cannot be negative
    f.constant(R2, u64::from(PATH_END - 4));
    f.alu_reg(AluOp::Sub, R2, length);
    f.alu_reg(AluOp::Add, R2, area);
    f.store(Size::Word, R2, 0, R1);
    f.assembler().load_map(R1, map_name::BINARIES);
    f.call(Helper::MapLookupElem);
    f.jump_if(Condition::Eq, R0, 0, ends);
    join(f, state);
    f.bind(ends);
    f.cell(Size::Word, R1, map_name::CONTROL, tables);
    f.alu(AluOp::And, R1, 2);
    f.jump_if(Condition::Eq, R1, 0, out);
    f.copy(R1, area);
    f.copy(R2, length);
    f.call_subprogram(LOOK_UP_END);
    f.jump_if(Condition::Eq, R0, 0, out);
    join(f, state);
    f.bind(out);
}

/// Adds `look_up_end(area, length) -> class set or null`.
///
/// # Errors
/// When the frame is full.
pub(super) fn add(program: &mut Program, facts: &Facts<'_>) -> Result<(), BuildError> {
    let mut f = Function::new(LOOK_UP_END, Prototype::Static { arguments: 2 }, facts).with_frame(160);
    let longest = u32::try_from(BINARY_END_BYTES).expect("128");
    let key = f.slot(longest + 8)?;
    f.copy(R6, R1);
    f.copy(R9, R2);
    let (fits, at) = (f.label(), key.offset());
    f.jump_if(Condition::Le, R9, longest.cast_signed(), fits);
    f.constant(R9, u64::from(longest));
    f.bind(fits);
    f.alu(AluOp::Lsh, R9, 3);
    f.store(Size::Word, R10, at + 4, R9);
    for word in 0..longest / 8 {
        let end = f.offset(PATH_END - 8 * (word + 1))?;
        f.load(Size::Double, R1, R6, end);
        f.emit(alu::to_big_endian(R1, 64));
        f.store(Size::Double, R10, at + 8 + f.offset(8 * word)?, R1);
    }
    f.copy(R2, R10);
    f.alu(AluOp::Add, R2, i32::from(at + 4));
    f.assembler().load_map(R1, map_name::BINARY_ENDS);
    f.call(Helper::MapLookupElem);
    f.return_result();
    program.add(f.finish()?);
    Ok(())
}
