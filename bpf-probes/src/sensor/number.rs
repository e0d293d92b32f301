//! Whatever depends only on the process's number, decided once at fork: a number is given then and stays until the process is gone.

use std::mem::offset_of;

use super::classify;
use crate::abi::{Control, NumberKey, map_name};
use crate::builder::{BuildError, Function, Slot};
use crate::insn::{AluOp, Condition, Register, Size};
use Register::{R1, R8, R10};

/// Bit of [`Control::tables`] that says whether numbers are asked for.
const ASKED: i32 = 4;

/// Adds to `state.classes` those of the numbers of `task`: `tgid` in the host's pid namespace, and what is on the stack at `own` in its own, if that is another.
/// `task` and `tgid` are callee-saved; `R8` is overwritten.
///
/// # Errors
/// When the kernel's types lack a field.
pub(super) fn classify(
    f: &mut Function<'_>,
    task: Register,
    tgid: Register,
    own: i16,
    state: Slot,
    key: Slot,
) -> Result<(), BuildError> {
    let out = f.label();
    let tables = u32::try_from(offset_of!(Control, tables)).expect("the cells are small");
    f.cell(Size::Word, R1, map_name::CONTROL, tables);
    f.alu(AluOp::And, R1, ASKED);
    f.jump_if(Condition::Eq, R1, 0, out);
    join(f, tgid, NumberKey::HOST, state, key);
    f.read(R8, task, "task_struct", "thread_pid")?;
    f.read(R8, R8, "pid", "level")?;
    f.jump_if(Condition::Eq, R8, 0, out);
    f.constant(R8, 0);
    join(f, R8, NumberKey::OWN, state, key);
    f.load(Size::Word, R8, R10, own);
    join(f, R8, NumberKey::OWN, state, key);
    f.bind(out);
    Ok(())
}

/// Adds the classes of one number.
fn join(f: &mut Function<'_>, number: Register, namespace: u32, state: Slot, key: Slot) {
    let absent = f.label();
    let at = |offset: usize| key.at(u32::try_from(offset).expect("a small key"));
    f.store(Size::Word, R10, at(offset_of!(NumberKey, number)), number);
    f.store_imm(Size::Word, R10, at(offset_of!(NumberKey, namespace)), namespace.cast_signed());
    f.lookup(map_name::NUMBERS, key, absent);
    classify::join(f, state);
    f.bind(absent);
}
