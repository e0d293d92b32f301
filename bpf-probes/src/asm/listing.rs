//! Linked code to text, with labels for jumps and names for maps and functions. Independent of load addresses and ids, so that
//! goldens of it are the same on every machine.

use std::collections::BTreeMap;
use std::fmt::Write;

use super::{Code, Reference};
use crate::insn::{self, Class, opcode};

impl Code {
    /// The code as text: one line an instruction, a line for each function and comment, `L1:` at each target of a jump, by
    /// function.
    pub fn disassemble(&self) -> String {
        let labels = self.labels();
        let mut out = String::new();
        let mut slot = 0;
        while let Some(&insn) = self.insns.get(slot) {
            self.headings(slot, &labels, &mut out);
            let high = if insn.is_wide() { self.insns.get(slot + 1).map(|next| next.imm) } else { None };
            let text = self.operand(slot, insn, high, &labels);
            writeln!(out, "    {text}").expect("writing to a string");
            slot += if insn.is_wide() { 2 } else { 1 };
        }
        out
    }

    fn headings(&self, slot: usize, labels: &BTreeMap<usize, usize>, out: &mut String) {
        if let Some(function) = self.functions.iter().find(|function| function.slot == slot) {
            writeln!(out, "{}:", function.name).expect("writing to a string");
        }
        if let Some(number) = labels.get(&slot) {
            writeln!(out, "  L{number}:").expect("writing to a string");
        }
        for (_, comment) in self.comments.iter().filter(|(place, _)| *place == slot) {
            writeln!(out, "    ; {comment}").expect("writing to a string");
        }
    }

    fn operand(
        &self,
        slot: usize,
        insn: insn::Insn,
        high: Option<i32>,
        labels: &BTreeMap<usize, usize>,
    ) -> String {
        if let Some(target) = jump_target(slot, insn) {
            let number = labels.get(&target).copied().unwrap_or(0);
            let text = insn::text(insn, None);
            let head = text.rsplit_once(' ').map_or("goto", |(head, _)| head);
            return format!("{head} L{number}");
        }
        if let Some(name) = self.called(slot, insn) {
            let verb = if insn.opcode == opcode::CALL {
                "call".to_owned()
            } else {
                format!("{} = subprogram", insn.dst)
            };
            return format!("{verb} {name}");
        }
        let reference = self
            .relocations
            .binary_search_by_key(&slot, |relocation| relocation.slot)
            .ok()
            .and_then(|index| self.relocations.get(index));
        match reference.map(|relocation| &relocation.reference) {
            Some(Reference::Map(map)) => format!("{} = map {map}", insn.dst),
            Some(Reference::MapValue { map, offset }) => {
                format!("{} = value of map {map} +{offset}", insn.dst)
            }
            Some(Reference::Kfunc(name)) => format!("call kernel {name}"),
            Some(Reference::Subprogram(name)) => format!("call {name}"),
            None => insn::text(insn, high),
        }
    }

    fn called(&self, slot: usize, insn: insn::Insn) -> Option<&str> {
        let calls = insn.opcode == opcode::CALL && insn.src == insn::call::pseudo::SUBPROGRAM;
        let takes = insn.is_wide() && insn.src == insn::memory::pseudo::FUNC;
        if !calls && !takes {
            return None;
        }
        let target = i64::try_from(slot).ok()? + 1 + i64::from(insn.imm);
        let function =
            self.functions.iter().find(|function| i64::try_from(function.slot).ok() == Some(target))?;
        Some(&function.name)
    }

    fn labels(&self) -> BTreeMap<usize, usize> {
        let mut targets = BTreeMap::new();
        let mut slot = 0;
        while let Some(&insn) = self.insns.get(slot) {
            if let Some(target) = jump_target(slot, insn) {
                targets.insert(target, 0);
            }
            slot += if insn.is_wide() { 2 } else { 1 };
        }
        // counted anew in each function, so that a change to one leaves the text of the others as it was
        let (mut function, mut number) = (None, 0);
        for (slot, label) in &mut targets {
            let around =
                self.functions.iter().map(|function| function.slot).filter(|start| start <= slot).max();
            number = if around == function { number + 1 } else { 1 };
            function = around;
            *label = number;
        }
        targets
    }
}

fn jump_target(slot: usize, insn: insn::Insn) -> Option<usize> {
    let jumps = matches!(insn.class(), Class::Jmp | Class::Jmp32)
        && !matches!(insn.opcode, opcode::CALL | opcode::EXIT);
    if !jumps {
        return None;
    }
    let target = i64::try_from(slot).ok()? + 1 + i64::from(insn.offset);
    usize::try_from(target).ok()
}
