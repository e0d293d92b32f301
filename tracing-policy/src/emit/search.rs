//! Texts looked for anywhere in a path or string: one pass over it for all of them, eight bytes a round.
//!
//! `bpf_strnstr` of newer kernels would look for each text anew, and does not exist before 6.17; this works everywhere.

use Register::{R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10};
use bpf_probes::asm::{Label, Prototype, Subprogram};
use bpf_probes::builder::{BuildError, Function, LoopForm, Program};
use bpf_probes::insn::{AluOp, Condition, Helper, Register, Size};
use bpf_probes::routine::layout::PATH_START;
use bpf_probes::spec::{Entries, Entry, MapSpec};

use super::automaton::{Automaton, CLASSES_BYTES};
use super::memory::{address, load, store, store_imm};
use super::program::Emitter;
use crate::ir::{ContainsTest, ReadId, Search};

/// Where a search keeps what it knows: in the head of the area, where a path's walk has ended.
mod at {
    /// `u64`: filters found.
    pub(super) const FOUND: i16 = 0;
    /// `u32`: the machine's state.
    pub(super) const STATE: i16 = 8;
    /// `u32`: the next byte, from the place where strings begin.
    pub(super) const POSITION: i16 = 12;
}

/// Bytes that a round looks at. Behind the last one lie zeros, with which no text goes on.
const ROUND: u32 = 8;
/// Rounds over the longest subject.
const MOST_ROUNDS: i32 = 512;
/// Keeps a position inside the area.
const POSITION_MASK: i32 = 0xfff;

fn name(index: usize) -> String {
    format!("search_{index}")
}

fn step_name(index: usize) -> String {
    format!("search_{index}_step")
}

impl Emitter<'_> {
    /// The maps of all searches.
    pub(super) fn search_maps(&self) -> Vec<MapSpec> {
        let map = |(index, search): (usize, &Search)| {
            let value = Automaton::new(&search.values, search.case).bytes();
            let size = u32::try_from(value.len()).unwrap_or(u32::MAX);
            let contents = vec![Entry { key: 0_u32.to_ne_bytes().to_vec(), value }];
            MapSpec { contents, ..MapSpec::array(name(index), size, Entries::Fixed(1)) }
        };
        self.hook.searches.iter().enumerate().map(map).collect()
    }

    /// Searches what was read of an argument. Keeps `R7`.
    pub(super) fn search(&self, f: &mut Function<'_>, id: ReadId) -> Result<(), BuildError> {
        let Some(bytes) = self.state().bytes(id) else { return Ok(()) };
        for (index, search) in self.hook.searches.iter().enumerate() {
            if search.read != id {
                continue;
            }
            let none = f.label();
            f.comment("many texts at once");
            store_imm(f, Size::Double, self.state().searches[index], 0)?;
            load(f, Size::Word, R1, bytes.testable)?;
            f.jump_if(Condition::Eq, R1, 0, none);
            if self.facts.loops == LoopForm::Bounded {
                self.entry_number(f, R4)?;
            }
            address(f, R1, self.memory.areas[bytes.area]);
            load(f, Size::Word, R2, bytes.start)?;
            load(f, Size::Word, R3, bytes.header)?;
            f.call_subprogram(&name(index));
            store(f, Size::Double, self.state().searches[index], R0)?;
            f.bind(none);
        }
        Ok(())
    }

    /// The test for a text.
    pub(super) fn contains(
        &self,
        f: &mut Function<'_>,
        test: &ContainsTest,
        fail: Label,
    ) -> Result<(), BuildError> {
        let Some(bit) = test.search else { return Ok(()) };
        let answer = self.state().searches[bit.search.index()];
        load(f, Size::Byte, R1, answer + bit.bit / 8)?;
        f.alu(AluOp::And, R1, 1 << (bit.bit % 8));
        f.jump_if(Condition::Eq, R1, 0, fail);
        Ok(())
    }

    /// The subprograms of all searches.
    pub(super) fn add_searches(&self, program: &mut Program) -> Result<(), BuildError> {
        for (index, search) in self.hook.searches.iter().enumerate() {
            let machine = Automaton::new(&search.values, search.case);
            program.add(self.whole(index, &machine)?);
            program.add(self.step(index, search.read, &machine)?);
        }
        Ok(())
    }

    /// `search(area, start, length) -> filters found`; with the number of the entry of working memory behind, where rounds are verified apart.
    fn whole(&self, index: usize, machine: &Automaton) -> Result<Subprogram, BuildError> {
        let arguments = match self.facts.loops {
            LoopForm::Callback => 3,
            LoopForm::Bounded => 4,
        };
        let prototype = Prototype::Static { arguments };
        let mut f = Function::new(&name(index), prototype, self.facts).with_frame(32);
        f.copy(R6, R1);
        f.alu(AluOp::Sub, R2, PATH_START.cast_signed());
        f.store(Size::Word, R6, at::POSITION, R2);
        f.store_imm(Size::Word, R6, at::STATE, 0);
        f.constant(R1, machine.always);
        f.store(Size::Double, R6, at::FOUND, R1);
        f.alu(AluOp::Add, R3, ROUND.cast_signed() - 1);
        f.alu(AluOp::Rsh, R3, ROUND.ilog2().cast_signed());
        match self.facts.loops {
            LoopForm::Callback => {
                let context = f.slot(8)?;
                f.store(Size::Double, R10, context.offset(), R6);
                f.copy(R1, R3);
                f.assembler().load_subprogram(R2, &step_name(index));
                f.slot_address(R3, context);
                f.constant(R4, 0);
                f.call(Helper::Loop);
            }
            LoopForm::Bounded => {
                let end = f.label();
                f.copy(R8, R3);
                f.copy(R9, R4);
                f.repeat(R7, MOST_ROUNDS, |f| {
                    f.jump_if_reg(Condition::Ge, R7, R8, end);
                    f.copy(R1, R9);
                    f.call_subprogram(&step_name(index));
                    Ok(())
                })?;
                f.bind(end);
            }
        }
        f.load(Size::Double, R0, R6, at::FOUND);
        f.return_result();
        f.finish()
    }

    /// `step(index, &area)`, a callback; or `step(number)`, which is verified once and not in each round: eight bytes, without a jump.
    fn step(&self, index: usize, read: ReadId, machine: &Automaton) -> Result<Subprogram, BuildError> {
        let prototype = match self.facts.loops {
            LoopForm::Callback => Prototype::LoopCallback,
            LoopForm::Bounded => Prototype::Global { arguments: 1 },
        };
        let mut f = Function::new(&step_name(index), prototype, self.facts).with_frame(32);
        let none = f.label();
        match self.facts.loops {
            LoopForm::Callback => f.load(Size::Double, R6, R2, 0),
            LoopForm::Bounded => self.area_of_entry(&mut f, read, none)?,
        }
        f.load(Size::Word, R1, R6, at::POSITION);
        f.copy(R2, R1);
        f.alu(AluOp::Add, R2, ROUND.cast_signed());
        f.store(Size::Word, R6, at::POSITION, R2);
        f.alu(AluOp::And, R1, POSITION_MASK);
        f.alu_reg(AluOp::Add, R1, R6);
        let first = f.offset(PATH_START)?;
        f.load(Size::Double, R5, R1, first);
        f.load(Size::Word, R7, R6, at::STATE);
        f.load(Size::Double, R8, R6, at::FOUND);
        let map = name(index);
        f.assembler().load_map_value(R0, &map, 0);
        f.assembler().load_map_value(R9, &map, CLASSES_BYTES);
        f.assembler().load_map_value(R4, &map, machine.next_at());
        let states = (1_i32 << machine.state_bits) - 1;
        let pairs = (1_i32 << (machine.state_bits + machine.class_bits)) - 1;
        for _ in 0..ROUND {
            f.copy(R2, R5);
            f.alu(AluOp::And, R2, 0xff);
            f.alu(AluOp::Rsh, R5, 8);
            f.copy(R3, R0);
            f.alu_reg(AluOp::Add, R3, R2);
            f.load(Size::Byte, R2, R3, 0);
            f.alu(AluOp::Lsh, R7, machine.class_bits.cast_signed());
            f.alu_reg(AluOp::Or, R7, R2);
            f.alu(AluOp::And, R7, pairs);
            f.alu(AluOp::Lsh, R7, 1);
            f.copy(R3, R4);
            f.alu_reg(AluOp::Add, R3, R7);
            f.load(Size::Half, R7, R3, 0);
            f.alu(AluOp::And, R7, states);
            f.copy(R2, R7);
            f.alu(AluOp::Lsh, R2, 3);
            f.copy(R3, R9);
            f.alu_reg(AluOp::Add, R3, R2);
            f.load(Size::Double, R2, R3, 0);
            f.alu_reg(AluOp::Or, R8, R2);
        }
        f.store(Size::Word, R6, at::STATE, R7);
        f.store(Size::Double, R6, at::FOUND, R8);
        f.bind(none);
        f.return_constant(0);
        f.finish()
    }

    /// `R6 = the area of what was read, in the entry of working memory whose number is in R1`: pointers cannot be handed to what is verified apart (before 5.12).
    fn area_of_entry(&self, f: &mut Function<'_>, read: ReadId, none: Label) -> Result<(), BuildError> {
        let area = self.state().bytes(read).map_or(0, |bytes| self.memory.areas[bytes.area]);
        f.entry(R6, &self.memory.map.name, R1, none)?;
        f.alu(AluOp::Add, R6, area.cast_signed());
        Ok(())
    }
}
