//! The program that reports, counts and signals.

use Register::{R1, R6, R8};
use bpf_probes::asm::{Label, Subprogram};
use bpf_probes::builder::{BuildError, Function, Program, Slot};
use bpf_probes::insn::{Condition, Register, Size};
use bpf_probes::routine::add_path_walk;

use super::act::Then;
use super::memory::load;
use super::phase::{FULL_SLOTS, Numbered};
use super::program::Emitter;
use crate::ir::Rider;

impl Emitter<'_> {
    /// Emits the program's entry and adds its other functions.
    pub(super) fn report(&self, program: &mut Program) -> Result<Subprogram, BuildError> {
        self.add_routines(program)?;
        let mut f = self.entry();
        let (other, out, none) = (f.label(), f.label(), f.label());
        self.only_this_syscall(&mut f, other)?;
        let context = self.keep_context(&mut f)?;
        self.working_memory(&mut f, none)?;
        self.begin_note(&mut f)?;
        self.begin_rewrite(&mut f)?;
        self.note_member(&mut f)?;
        self.begin_calls(&mut f)?;
        self.note_registers(&mut f)?;
        self.note_written(&mut f)?;
        self.note_process(&mut f)?;
        self.begin_phases(&mut f)?;
        self.phases(&mut f, program, out)?;
        self.begin_tracking(&mut f)?;
        self.begin_records(&mut f)?;
        self.take_stacks(&mut f, context)?;
        self.act_all(&mut f, program)?;
        self.forget_hash(&mut f)?;
        let denied = self.denies_itself().then(|| f.label());
        if let Some(denied) = denied {
            self.decide(&mut f, denied)?;
        }
        self.leave_note(&mut f)?;
        self.leave_rewrite(&mut f)?;
        f.bind(out);
        f.constant(R8, 0);
        if let Some(denied) = denied {
            f.bind(denied);
        }
        self.finish(&mut f);
        if self.sees_all_syscalls() {
            f.bind(other);
            f.return_constant(0);
        }
        f.bind(none);
        self.without_memory(&mut f);
        f.finish()
    }

    /// The functions that reads call.
    pub(super) fn add_routines(&self, program: &mut Program) -> Result<(), BuildError> {
        if self.hook.reads.iter().any(|read| read.ty.is_path()) {
            add_path_walk(program, self.facts, &self.memory.map)?;
        }
        self.add_pieces(program)?;
        self.add_look_ups(program)?;
        self.add_find_workload(program)?;
        self.add_searches(program)
    }

    /// Every policy whose selector matched acts.
    fn act_all(&self, f: &mut Function<'_>, program: &mut Program) -> Result<(), BuildError> {
        let all: Vec<_> = self.numbered().collect();
        if self.single {
            return all.iter().try_for_each(|it| self.act_one(f, it));
        }
        let mut riders: Vec<&[Numbered<'_>]> =
            all.chunk_by(|left, right| std::ptr::eq(left.rider, right.rider)).collect();
        riders.reverse();
        let mut number = 0;
        while !riders.is_empty() {
            let name = format!("act_{number}");
            let mut part = self.part(&name);
            while let Some(rider) = riders.pop() {
                let end = part.label();
                self.act_first(&mut part, rider, end, |f, rider, last| self.report_once(f, rider, last))?;
                part.bind(end);
                if part.assembler().slots() > FULL_SLOTS {
                    break;
                }
            }
            part.return_constant(0);
            program.add(part.finish()?);
            f.copy(R1, R6);
            f.call_subprogram(&name);
            number += 1;
        }
        Ok(())
    }

    /// The only selector acts.
    fn act_one(&self, f: &mut Function<'_>, it: &Numbered<'_>) -> Result<(), BuildError> {
        let (report, end) = (f.label(), f.label());
        f.scope(|f| {
            let last = Self::limit_slot(f, [it.selector])?;
            self.act(f, it.rider, it.selector, Then { report, end, last })?;
            if it.selector.posts() {
                f.bind(report);
                self.report_once(f, it.rider, last)?;
            }
            Ok(())
        })?;
        f.bind(end);
        Ok(())
    }

    /// The first of a policy's selectors that may still match acts. Where it is to be reported, `report` does that, given the slot of [`Self::limit_slot`]; else goes
    /// to `end`.
    pub(super) fn act_first(
        &self,
        f: &mut Function<'_>,
        selectors: &[Numbered<'_>],
        end: Label,
        report: impl FnOnce(&mut Function<'_>, &Rider, Option<Slot>) -> Result<(), BuildError>,
    ) -> Result<(), BuildError> {
        let posted = f.label();
        let labels: Vec<_> = selectors.iter().map(|_| f.label()).collect();
        f.scope(|f| {
            let last = Self::limit_slot(f, selectors.iter().map(|it| it.selector))?;
            for (it, label) in selectors.iter().zip(&labels) {
                load(f, Size::Byte, R1, self.state().alive + it.index)?;
                f.jump_if(Condition::Ne, R1, 0, *label);
            }
            f.jump(end);
            for (it, label) in selectors.iter().zip(&labels) {
                f.bind(*label);
                self.act(f, it.rider, it.selector, Then { report: posted, end, last })?;
                f.jump(if it.selector.posts() { posted } else { end });
            }
            if let Some(it) = selectors.iter().find(|it| it.selector.posts()) {
                f.bind(posted);
                report(f, it.rider, last)?;
            }
            Ok(())
        })
    }

    /// Sends the record of a match, and keeps what limits and returns need of it.
    fn report_once(&self, f: &mut Function<'_>, rider: &Rider, last: Option<Slot>) -> Result<(), BuildError> {
        self.record(f, rider)?;
        Self::note_report(f, last);
        self.leave_reported(f, rider)
    }
}
