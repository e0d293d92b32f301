//! Which registers hold something where: what the verifier would refuse however the program runs.
//!
//! A register counts as set at an instruction if it is on *some* way there; so everything refused here is wrong on every way, and
//! nothing that the verifier takes is refused.

use super::{Instruction, Prototype, Reference, StructureError};
use crate::insn::atomic::AtomicOp;
use crate::insn::opcode::{self, SOURCE_REGISTER, mode};
use crate::insn::{AluOp, Class, Helper, Insn, Register, call};

/// One bit a register.
type Set = u16;

const ARGUMENTS: Set = 0b11_1110;
const R0: Set = 1;
const FRAME: Set = 1 << 10;

fn bit(register: Register) -> Set {
    1 << register.number()
}

fn source(insn: Insn) -> Set {
    insn.src_register().map_or(0, bit)
}

/// `R1` to `Rn`.
fn arguments(count: u8) -> Set {
    ((1 << (count + 1)) - 1) & ARGUMENTS
}

/// What an instruction reads, loses and sets, in this order.
struct Effect {
    reads: Set,
    loses: Set,
    sets: Set,
}

fn effect(instruction: &Instruction) -> Effect {
    let insn = instruction.insn;
    let (dst, src) = (bit(insn.dst), source(insn));
    let operand = if insn.opcode & SOURCE_REGISTER != 0 { src } else { 0 };
    match insn.class() {
        Class::Alu32 | Class::Alu64 => {
            let reads = match AluOp::of(insn.opcode) {
                Some(AluOp::Mov) => operand,
                Some(AluOp::End | AluOp::Neg) => dst,
                _ => dst | operand,
            };
            Effect { reads, loses: 0, sets: dst }
        }
        Class::Ld => Effect { reads: 0, loses: 0, sets: dst },
        Class::Ldx => Effect { reads: src, loses: 0, sets: dst },
        Class::St => Effect { reads: dst, loses: 0, sets: 0 },
        Class::Stx if insn.opcode & 0xe0 == mode::ATOMIC => match AtomicOp::of(insn.imm) {
            Some(AtomicOp::CompareExchange) => Effect { reads: dst | src | R0, loses: 0, sets: R0 },
            _ => Effect { reads: dst | src, loses: 0, sets: 0 },
        },
        Class::Stx => Effect { reads: dst | src, loses: 0, sets: 0 },
        Class::Jmp | Class::Jmp32 => match insn.opcode {
            opcode::JUMP_ALWAYS => Effect { reads: 0, loses: 0, sets: 0 },
            opcode::EXIT => Effect { reads: R0, loses: 0, sets: 0 },
            opcode::CALL => call_effect(instruction),
            _ => Effect { reads: dst | operand, loses: 0, sets: 0 },
        },
    }
}

fn call_effect(instruction: &Instruction) -> Effect {
    let loses = ARGUMENTS | R0;
    let named = matches!(instruction.reference, Some(Reference::Kfunc(_) | Reference::Subprogram(_)));
    let helper = match instruction.insn.src {
        call::pseudo::HELPER if !named => Helper::from_number(instruction.insn.imm),
        _ => None,
    };
    match helper {
        None => Effect { reads: 0, loses, sets: R0 },
        Some(helper) => {
            let sets = if returns_nothing(helper) { 0 } else { R0 };
            Effect { reads: arguments(argument_count(helper)), loses, sets }
        }
    }
}

fn returns_nothing(helper: Helper) -> bool {
    matches!(helper, Helper::TailCall | Helper::RingbufSubmit | Helper::RingbufDiscard)
}

/// How many arguments the verifier wants set (`struct bpf_func_proto` of each).
fn argument_count(helper: Helper) -> u8 {
    match helper {
        Helper::KtimeGetNs
        | Helper::GetPrandomU32
        | Helper::GetSmpProcessorId
        | Helper::GetCurrentPidTgid
        | Helper::GetCurrentUidGid
        | Helper::GetCurrentTask
        | Helper::GetCurrentCgroupId
        | Helper::KtimeGetBootNs
        | Helper::GetCurrentTaskBtf => 0,
        Helper::SendSignal
        | Helper::SendSignalThread
        | Helper::GetCurrentAncestorCgroupId
        | Helper::GetFuncIp
        | Helper::GetAttachCookie => 1,
        Helper::MapLookupElem
        | Helper::MapDeleteElem
        | Helper::GetCurrentComm
        | Helper::OverrideReturn
        | Helper::RingbufSubmit
        | Helper::RingbufDiscard
        | Helper::RingbufQuery
        | Helper::TaskStorageDelete => 2,
        Helper::TailCall
        | Helper::GetStackid
        | Helper::ProbeReadUser
        | Helper::ProbeWriteUser
        | Helper::ProbeReadKernel
        | Helper::ProbeReadUserStr
        | Helper::ProbeReadKernelStr
        | Helper::RingbufReserve
        | Helper::DPath
        | Helper::CopyFromUser
        | Helper::Strncmp
        | Helper::ImaFileHash
        | Helper::ImaInodeHash
        | Helper::MapLookupPercpuElem => 3,
        Helper::MapUpdateElem
        | Helper::GetNsCurrentPidTgid
        | Helper::RingbufOutput
        | Helper::GetStack
        | Helper::TaskStorageGet
        | Helper::Loop => 4,
        Helper::PerfEventOutput => 5,
    }
}

fn set_at_entry(prototype: Prototype) -> Set {
    FRAME
        | match prototype {
            Prototype::Main => arguments(1),
            Prototype::LoopCallback => arguments(2),
            Prototype::Static { arguments: count } | Prototype::Global { arguments: count } => {
                arguments(count.min(5))
            }
        }
}

/// Where control may go from the instruction with this index: indices, of which the first is the fall-through.
fn successors(instructions: &[Instruction], starts: &[usize], index: usize) -> [Option<usize>; 2] {
    let (insn, start) = (instructions[index].insn, starts[index]);
    let jumps = matches!(insn.class(), Class::Jmp | Class::Jmp32)
        && !matches!(insn.opcode, opcode::CALL | opcode::EXIT);
    let falls = !matches!(insn.opcode, opcode::EXIT | opcode::JUMP_ALWAYS);
    let target = || {
        let slot = (start + 1).checked_add_signed(isize::from(insn.offset))?;
        starts.binary_search(&slot).ok()
    };
    [falls.then_some(index + 1), if jumps { target() } else { None }]
}

/// Checks the registers of a subprogram whose jumps are known to land on instructions; `starts` holds the slot of each.
///
/// # Errors
/// [`StructureError::UnsetRegister`] for a read that finds nothing on any way; [`StructureError::Unreachable`] for code that no way leads to.
pub(super) fn registers(
    instructions: &[Instruction],
    starts: &[usize],
    prototype: Prototype,
) -> Result<(), StructureError> {
    let mut known: Vec<Option<Set>> = vec![None; instructions.len()];
    let mut open = vec![(0, set_at_entry(prototype))];
    while let Some((index, set)) = open.pop() {
        let Some(place) = known.get_mut(index) else {
            continue;
        };
        let merged = place.unwrap_or(0) | set;
        if *place == Some(merged) {
            continue;
        }
        *place = Some(merged);
        let effect = effect(&instructions[index]);
        let after = merged & !effect.loses | effect.sets;
        open.extend(successors(instructions, starts, index).into_iter().flatten().map(|next| (next, after)));
    }
    for ((instruction, set), &slot) in instructions.iter().zip(&known).zip(starts) {
        let Some(set) = set else {
            return Err(StructureError::Unreachable { slot });
        };
        let missing = effect(instruction).reads & !set;
        if let Some(&register) = Register::ALL.iter().find(|register| missing & bit(**register) != 0) {
            return Err(StructureError::UnsetRegister { slot, register });
        }
    }
    Ok(())
}
