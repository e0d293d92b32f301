//! Subprograms, and their union into the code of one program.

use std::collections::BTreeMap;

use super::{Instruction, Origin, Reference};
use crate::insn::{self, Insn};

/// How many slots one program may have (`BPF_COMPLEXITY_LIMIT_INSNS`, `include/linux/bpf.h`, 5.2).
pub const MAX_SLOTS: usize = 1_000_000;

/// What a subprogram is to the kernel's verifier; each kind has its own `func_info` prototype.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum Prototype {
    /// The program itself: `int f(void *ctx)`.
    Main,
    /// A static subprogram with this many scalar or pointer arguments, verified inline at each call.
    Static {
        /// 0 to 5.
        arguments: u8,
    },
    /// A callback of `bpf_loop`: `long f(u32 index, void *ctx)`.
    LoopCallback,
    /// A global subprogram of this many scalar arguments, verified apart from its callers.
    Global {
        /// 0 to 5, scalars only.
        arguments: u8,
    },
}

/// One function of a program: jumps are final, references to maps, kernel functions and other subprograms are still names.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Subprogram {
    /// Unique within the program; a C identifier.
    pub name: String,
    /// What the verifier is told about it.
    pub prototype: Prototype,
    /// Its instructions.
    pub instructions: Vec<Instruction>,
}

/// A reference in linked code that only a loader can fill in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Relocation {
    /// The slot of the instruction.
    pub slot: usize,
    /// What it refers to.
    pub reference: Reference,
}

/// A function in linked code.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Function {
    /// First slot.
    pub slot: usize,
    /// Its name.
    pub name: String,
    /// Its prototype.
    pub prototype: Prototype,
}

/// The code of one program: its subprograms one after the other, the main one first.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Code {
    /// All slots.
    pub insns: Vec<Insn>,
    /// One origin a slot.
    pub origins: Vec<Origin>,
    /// What a loader must fill in: maps and kernel functions, in order of slot.
    pub relocations: Vec<Relocation>,
    /// The functions in order of slot.
    pub functions: Vec<Function>,
    /// Comments by the slot that they precede.
    pub comments: Vec<(usize, String)>,
}

/// Why subprograms could not be linked.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum LinkError {
    /// A call names no subprogram of the program.
    #[error("call of unknown subprogram {name}")]
    UnknownSubprogram {
        /// The name.
        name: String,
        /// Of the call.
        origin: Origin,
    },
    /// Two subprograms share a name.
    #[error("two subprograms are called {name}")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// More slots than the kernel takes.
    #[error("the program has {slots} instructions, the kernel takes {MAX_SLOTS}")]
    TooLong {
        /// How many it has.
        slots: usize,
    },
}

/// Lays `subprograms` out one after the other, the first being the program's entry, and resolves their calls of each other.
///
/// # Errors
/// See [`LinkError`].
pub fn link(subprograms: Vec<Subprogram>) -> Result<Code, LinkError> {
    let mut code = Code::default();
    let mut starts = BTreeMap::new();
    let mut slot = 0;
    for subprogram in &subprograms {
        if starts.insert(subprogram.name.clone(), slot).is_some() {
            return Err(LinkError::Duplicate { name: subprogram.name.clone() });
        }
        slot += subprogram.instructions.iter().map(Instruction::slots).sum::<usize>();
    }
    if slot > MAX_SLOTS {
        return Err(LinkError::TooLong { slots: slot });
    }
    for subprogram in subprograms {
        code.functions.push(Function {
            slot: code.insns.len(),
            name: subprogram.name,
            prototype: subprogram.prototype,
        });
        for instruction in subprogram.instructions {
            place(&mut code, &starts, instruction)?;
        }
    }
    Ok(code)
}

fn place(
    code: &mut Code,
    starts: &BTreeMap<String, usize>,
    instruction: Instruction,
) -> Result<(), LinkError> {
    let slot = code.insns.len();
    let Instruction { mut insn, high, reference, origin, comment } = instruction;
    if let Some(comment) = comment {
        code.comments.push((slot, comment));
    }
    match reference {
        Some(Reference::Subprogram(name)) => {
            let Some(&start) = starts.get(&name) else {
                return Err(LinkError::UnknownSubprogram { name, origin });
            };
            let distance = i64::try_from(start).unwrap_or(i64::MAX) - i64::try_from(slot).unwrap_or(0) - 1;
            insn.imm = i32::try_from(distance).map_err(|_too_far| LinkError::TooLong { slots: start })?;
        }
        Some(reference) => code.relocations.push(Relocation { slot, reference }),
        None => {}
    }
    code.insns.push(insn);
    code.origins.push(origin);
    if let Some(high) = high {
        code.insns.push(Insn { opcode: 0, dst: insn::Register::R0, src: 0, offset: 0, imm: high });
        code.origins.push(origin);
    }
    Ok(())
}

impl Code {
    /// The function that contains `slot`.
    pub fn function_at(&self, slot: usize) -> Option<&Function> {
        self.functions.iter().rev().find(|function| function.slot <= slot)
    }
}
