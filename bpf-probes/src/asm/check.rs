//! A structural check before the kernel looks.
//!
//! What holds afterwards: every jump lands on the first slot of an instruction of the same subprogram; control cannot run past the
//! end, and comes to every instruction; the frame pointer is never written; constant stack accesses stay within the 512 bytes of a
//! frame and are aligned to their size; no register is read that holds nothing on every way there (`flow`).

use super::{Instruction, Prototype, Reference, flow};
use crate::insn::{Class, Register, Size, opcode};

/// Bytes of stack that one function has (`MAX_BPF_STACK`).
pub const STACK_BYTES: i16 = 512;

/// A broken rule.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it; `slot` counts from the start of the subprogram")]
pub enum StructureError {
    #[error("the subprogram has no instruction")]
    Empty,
    #[error("the jump at {slot} lands at {target}, which is no instruction")]
    BadTarget { slot: usize, target: i64 },
    #[error("control runs past the end")]
    FallsOffEnd,
    #[error("the instruction at {slot} writes the frame pointer")]
    WritesFramePointer { slot: usize },
    #[error("the instruction at {slot} reaches byte {offset} of the stack, outside its {STACK_BYTES} bytes")]
    StackBounds { slot: usize, offset: i16 },
    #[error("the instruction at {slot} reaches byte {offset} of the stack, which is misaligned for its size")]
    StackAlignment { slot: usize, offset: i16 },
    #[error("the instruction at {slot} reads {register}, which is set on no way there")]
    UnsetRegister { slot: usize, register: Register },
    #[error("no way leads to the instruction at {slot}")]
    Unreachable { slot: usize },
}

pub(super) fn structure(instructions: &[Instruction], prototype: Prototype) -> Result<(), StructureError> {
    let Some(last) = instructions.last() else {
        return Err(StructureError::Empty);
    };
    if !matches!(last.insn.opcode, opcode::EXIT | opcode::JUMP_ALWAYS) {
        return Err(StructureError::FallsOffEnd);
    }
    let mut starts = Vec::new();
    let mut slot = 0;
    for instruction in instructions {
        starts.push(slot);
        slot += instruction.slots();
    }
    for (instruction, &slot) in instructions.iter().zip(&starts) {
        jump_target(instruction, slot, &starts)?;
        frame(instruction, slot)?;
    }
    flow::registers(instructions, &starts, prototype)
}

fn jump_target(instruction: &Instruction, slot: usize, starts: &[usize]) -> Result<(), StructureError> {
    let insn = instruction.insn;
    let jumps = matches!(insn.class(), Class::Jmp | Class::Jmp32)
        && !matches!(insn.opcode, opcode::CALL | opcode::EXIT);
    if !jumps {
        return Ok(());
    }
    let target = i64::try_from(slot).unwrap_or(i64::MAX) + 1 + i64::from(insn.offset);
    let lands = usize::try_from(target).is_ok_and(|target| starts.binary_search(&target).is_ok());
    if lands { Ok(()) } else { Err(StructureError::BadTarget { slot, target }) }
}

fn frame(instruction: &Instruction, slot: usize) -> Result<(), StructureError> {
    let insn = instruction.insn;
    let writes = matches!(insn.class(), Class::Alu32 | Class::Alu64 | Class::Ldx | Class::Ld);
    if writes && insn.dst == Register::R10 {
        return Err(StructureError::WritesFramePointer { slot });
    }
    let base = match insn.class() {
        Class::Ldx => insn.src_register(),
        Class::St | Class::Stx => Some(insn.dst),
        Class::Ld | Class::Alu32 | Class::Alu64 | Class::Jmp | Class::Jmp32 => None,
    };
    if base == Some(Register::R10) {
        let size = i32::try_from(Size::of(insn.opcode).bytes()).unwrap_or(8);
        let offset = i32::from(insn.offset);
        if insn.offset < -STACK_BYTES || offset + size > 0 {
            return Err(StructureError::StackBounds { slot, offset: insn.offset });
        }
        if offset % size != 0 {
            return Err(StructureError::StackAlignment { slot, offset: insn.offset });
        }
    }
    Ok(())
}

/// Whether the instruction calls something (and so loses `R1` to `R5`).
pub fn is_call(instruction: &Instruction) -> bool {
    instruction.insn.opcode == opcode::CALL || matches!(instruction.reference, Some(Reference::Kfunc(_)))
}
