//! Emitting one subprogram.
//!
//! Jumps may name labels that are bound later: each jump to a label is kept as a fix-up, and [`Assembler::finish`] fills in all
//! offsets at once, with a range error that carries the jump's origin. Invariants: a label is bound at most once; `items[i]`
//! begins at the slot that is the sum of the slots before it; nothing is reordered, so an origin or comment stays with
//! its instruction.

use super::{Label, Origin, Prototype, Subprogram};
use crate::insn::jump::Width;
use crate::insn::{Condition, Helper, Insn, Register, alu, call, jump, memory};

/// A name in an instruction that is filled in at linking or loading.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Reference {
    /// The map with this name.
    Map(String),
    /// An address `offset` bytes into the only value of the array map with this name (`BPF_F_MMAPABLE` or not).
    MapValue {
        /// The map.
        map: String,
        /// Bytes into its value.
        offset: u32,
    },
    /// The subprogram with this name, called or passed as a callback.
    Subprogram(String),
    /// The kernel function with this name.
    Kfunc(String),
}

/// One instruction (one or two slots) with what is not yet known of it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Instruction {
    /// The first slot.
    pub insn: Insn,
    /// The immediate of the second slot, for the 16-byte load.
    pub high: Option<i32>,
    /// What must be filled in.
    pub reference: Option<Reference>,
    /// Where it came from.
    pub origin: Origin,
    /// Shown by the disassembler before the instruction.
    pub comment: Option<String>,
}

impl Instruction {
    /// Slots that it takes: 1 or 2.
    pub fn slots(&self) -> usize {
        1 + usize::from(self.high.is_some())
    }
}

/// Why a subprogram could not be finished.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum AssembleError {
    /// A jump to a label that was never bound.
    #[error("{subprogram}: a jump names a label that is bound nowhere")]
    Unbound {
        /// The subprogram.
        subprogram: String,
        /// Of the jump.
        origin: Origin,
    },
    /// A jump over more slots than 16 bits count.
    #[error("{subprogram}: a jump over {distance} instructions does not fit 16 bits")]
    TooFar {
        /// The subprogram.
        subprogram: String,
        /// Slots to jump over.
        distance: i64,
        /// Of the jump.
        origin: Origin,
    },
    /// A label was bound twice.
    #[error("{subprogram}: a label is bound twice")]
    BoundTwice {
        /// The subprogram.
        subprogram: String,
    },
    /// A structural rule of [`super::check`] is broken.
    #[error("{subprogram}: {fault}")]
    Structure {
        /// The subprogram.
        subprogram: String,
        /// What is wrong.
        fault: super::StructureError,
    },
}

/// Collects the instructions of one subprogram.
#[derive(Debug)]
pub struct Assembler {
    name: String,
    prototype: Prototype,
    items: Vec<(Instruction, Option<Label>)>,
    labels: Vec<Option<usize>>,
    bound_twice: bool,
    slot: usize,
    origin: Origin,
    comment: Option<String>,
}

impl Assembler {
    /// Begins a subprogram.
    pub fn new(name: impl Into<String>, prototype: Prototype) -> Self {
        Self {
            name: name.into(),
            prototype,
            items: Vec::new(),
            labels: Vec::new(),
            bound_twice: false,
            slot: 0,
            origin: Origin::NONE,
            comment: None,
        }
    }

    /// Sets the origin of the instructions that follow, and returns the one before.
    pub fn set_origin(&mut self, origin: Origin) -> Origin {
        std::mem::replace(&mut self.origin, origin)
    }

    /// Notes a comment before the next instruction; the last one wins.
    pub fn comment(&mut self, text: impl Into<String>) {
        self.comment = Some(text.into());
    }

    /// Slots emitted so far.
    pub fn slots(&self) -> usize {
        self.slot
    }

    /// A new label, not yet bound.
    pub fn label(&mut self) -> Label {
        let label = Label(u32::try_from(self.labels.len()).unwrap_or(u32::MAX));
        self.labels.push(None);
        label
    }

    /// Binds `label` to the next instruction.
    pub fn bind(&mut self, label: Label) {
        let slot = self.slot;
        match self.labels.get_mut(label.0 as usize) {
            Some(place @ None) => *place = Some(slot),
            _ => self.bound_twice = true,
        }
    }

    /// Whether the instruction before never falls through to the next.
    pub fn ends(&self) -> bool {
        self.items.last().is_some_and(|(instruction, _)| {
            matches!(instruction.insn.opcode, crate::insn::opcode::EXIT | crate::insn::opcode::JUMP_ALWAYS)
        })
    }

    fn push(&mut self, insn: Insn, high: Option<i32>, reference: Option<Reference>, target: Option<Label>) {
        let comment = self.comment.take();
        let instruction = Instruction { insn, high, reference, origin: self.origin, comment };
        self.slot += instruction.slots();
        self.items.push((instruction, target));
    }

    /// Emits one instruction as it is.
    pub fn emit(&mut self, insn: Insn) {
        self.push(insn, None, None, None);
    }

    /// Emits `dst = value` in the shorter form that holds it.
    pub fn load_constant(&mut self, dst: Register, value: u64) {
        if let Ok(small) = i32::try_from(value.cast_signed()) {
            self.emit(alu::mov_imm(dst, small));
        } else {
            let [low, high] = memory::load_imm64(dst, memory::pseudo::NONE, value);
            self.push(low, Some(high.imm), None, None);
        }
    }

    /// Emits `dst = address of map`.
    pub fn load_map(&mut self, dst: Register, map: &str) {
        let [low, high] = memory::load_imm64(dst, memory::pseudo::MAP_FD, 0);
        self.push(low, Some(high.imm), Some(Reference::Map(map.to_owned())), None);
    }

    /// Emits `dst` = address of byte `offset` of the value of the single-element array `map`.
    pub fn load_map_value(&mut self, dst: Register, map: &str, offset: u32) {
        let [low, _] = memory::load_imm64(dst, memory::pseudo::MAP_VALUE, 0);
        let reference = Reference::MapValue { map: map.to_owned(), offset };
        self.push(low, Some(offset.cast_signed()), Some(reference), None);
    }

    /// Emits `dst = address of subprogram`, for callbacks.
    pub fn load_subprogram(&mut self, dst: Register, subprogram: &str) {
        let [low, high] = memory::load_imm64(dst, memory::pseudo::FUNC, 0);
        self.push(low, Some(high.imm), Some(Reference::Subprogram(subprogram.to_owned())), None);
    }

    /// Emits a helper call.
    pub fn call(&mut self, helper: Helper) {
        self.emit(call::helper(helper));
    }

    /// Emits a call of a subprogram of the same program.
    pub fn call_subprogram(&mut self, name: &str) {
        self.push(call::subprogram(0), None, Some(Reference::Subprogram(name.to_owned())), None);
    }

    /// Emits a call of a kernel function.
    pub fn call_kfunc(&mut self, name: &str) {
        self.push(call::kfunc(0), None, Some(Reference::Kfunc(name.to_owned())), None);
    }

    /// Emits a jump.
    pub fn jump(&mut self, target: Label) {
        self.push(jump::always(0), None, None, Some(target));
    }

    /// Emits a jump taken when `dst condition imm` holds.
    pub fn jump_if(&mut self, width: Width, condition: Condition, dst: Register, imm: i32, target: Label) {
        self.push(jump::if_imm(width, condition, dst, imm, 0), None, None, Some(target));
    }

    /// Emits a jump taken when `dst condition src` holds.
    pub fn jump_if_reg(
        &mut self,
        width: Width,
        condition: Condition,
        dst: Register,
        src: Register,
        target: Label,
    ) {
        self.push(jump::if_reg(width, condition, dst, src, 0), None, None, Some(target));
    }

    /// Fills in all jumps and checks the structure.
    ///
    /// # Errors
    /// See [`AssembleError`].
    pub fn finish(self) -> Result<Subprogram, AssembleError> {
        let Self { name, prototype, items, labels, bound_twice, .. } = self;
        if bound_twice {
            return Err(AssembleError::BoundTwice { subprogram: name });
        }
        let mut slot = 0_usize;
        let mut instructions = Vec::with_capacity(items.len());
        for (mut instruction, target) in items {
            let next = slot + instruction.slots();
            if let Some(label) = target {
                let origin = instruction.origin;
                let Some(place) = labels.get(label.0 as usize).copied().flatten() else {
                    return Err(AssembleError::Unbound { subprogram: name, origin });
                };
                let distance =
                    i64::try_from(place).unwrap_or(i64::MAX) - i64::try_from(next).unwrap_or(i64::MAX);
                instruction.insn.offset = i16::try_from(distance).map_err(|_too_far| {
                    AssembleError::TooFar { subprogram: name.clone(), distance, origin }
                })?;
            }
            instructions.push(instruction);
            slot = next;
        }
        match super::check::structure(&instructions, prototype) {
            Ok(()) => Ok(Subprogram { name, prototype, instructions }),
            Err(fault) => Err(AssembleError::Structure { subprogram: name, fault }),
        }
    }
}
