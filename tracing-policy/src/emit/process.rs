//! Tests of the process.

use std::mem::offset_of;

use Register::{R0, R1, R7, R8};
use bpf_probes::abi::ProcessState;
use bpf_probes::asm::Label;
use bpf_probes::builder::{BuildError, Function};
use bpf_probes::insn::{AluOp, Condition, Helper, Register, Size};
use bpf_probes::routine::ns_tgid;

use super::memory::{load, store, store_imm};
use super::program::Emitter;
use crate::ir::{Check, Subject, TableSubject};
use crate::policy::Sense;

fn field(offset: usize) -> i16 {
    i16::try_from(offset).expect("a process's state is small")
}

impl Emitter<'_> {
    /// Notes who the process is, and what the tests need to know of it.
    pub(super) fn note_process(&self, f: &mut Function<'_>) -> Result<(), BuildError> {
        if self.needs_pid_first() {
            self.note_pid(f)?;
        }
        if self.classes_are_noted() {
            f.comment("which classes the process is in");
            self.note_classes(f)?;
        }
        self.note_workload(f)?;
        if self.tests_number_of(Subject::OwnPid) {
            self.note_own_pid(f)?;
        }
        Ok(())
    }

    fn note_pid(&self, f: &mut Function<'_>) -> Result<(), BuildError> {
        f.call(Helper::GetCurrentPidTgid);
        store(f, Size::Double, self.state().pid_tgid, R0)
    }

    /// Notes who the process is, unless the tests needed it already.
    pub(super) fn note_process_for_records(&self, f: &mut Function<'_>) -> Result<(), BuildError> {
        if !self.needs_pid_first() {
            self.note_pid(f)?;
        }
        if self.classes_are_noted() {
            return Ok(());
        }
        let (state, unknown) = (self.state(), f.label());
        store_imm(f, Size::Double, state.ktime, 0)?;
        store_imm(f, Size::Word, state.known, 0)?;
        self.process(f, unknown)?;
        f.load(Size::Double, R1, R0, field(offset_of!(ProcessState, ktime)));
        store(f, Size::Double, state.ktime, R1)?;
        store_imm(f, Size::Word, state.known, 1)?;
        f.bind(unknown);
        Ok(())
    }

    /// Whether a test looks at the process's number, or at what is kept under it.
    fn needs_pid_first(&self) -> bool {
        self.classes_are_noted() || self.looks_at_changes() || self.tests_number_of(Subject::HostPid)
    }

    /// Whether the process's state is looked up before the tests.
    fn classes_are_noted(&self) -> bool {
        !self.state().classes.is_empty() || !self.state().parent_classes.is_empty()
    }

    fn note_classes(&self, f: &mut Function<'_>) -> Result<(), BuildError> {
        let (unknown, out) = (f.label(), f.label());
        let state = self.state();
        self.process(f, unknown)?;
        f.load(Size::Double, R1, R0, field(offset_of!(ProcessState, ktime)));
        store(f, Size::Double, state.ktime, R1)?;
        store_imm(f, Size::Word, state.known, 1)?;
        for (&word, &place) in &state.classes {
            let at = offset_of!(ProcessState, classes) + 8 * word as usize;
            f.load(Size::Double, R1, R0, field(at));
            store(f, Size::Double, place, R1)?;
        }
        self.note_parent(f)?;
        f.jump(out);
        f.bind(unknown);
        if !state.parent_classes.is_empty() {
            store_imm(f, Size::Word, state.parent_known, 0)?;
        }
        store_imm(f, Size::Double, state.ktime, 0)?;
        store_imm(f, Size::Word, state.known, 0)?;
        for &place in state.classes.values() {
            store_imm(f, Size::Double, place, 0)?;
        }
        f.bind(out);
        Ok(())
    }

    fn tests_number_of(&self, wanted: Subject) -> bool {
        let mut tests = self.hook.selectors().flat_map(|selector| &selector.tests);
        let inline = tests.any(|test| matches!(&test.check, Check::Number(test) if test.subject == wanted));
        let mut tables = self.hook.tables.iter();
        inline
            || tables.any(
                |table| matches!(table.subject, TableSubject::Number { subject, .. } if subject == wanted),
            )
    }

    /// The number of the thread group in its innermost pid namespace, 0 in the host's.
    fn note_own_pid(&self, f: &mut Function<'_>) -> Result<(), BuildError> {
        let host = f.label();
        f.comment("process number in its own namespace");
        f.current_task();
        f.copy(R7, R0);
        f.read(R7, R7, "task_struct", "group_leader")?;
        f.read(R8, R7, "task_struct", "thread_pid")?;
        f.read(R1, R8, "pid", "level")?;
        f.jump_if(Condition::Eq, R1, 0, host);
        ns_tgid(f, R7, R8)?;
        f.bind(host);
        store(f, Size::Word, self.state().own_pid, R1)
    }

    /// The process is in the class, or is not.
    pub(super) fn class(
        &self,
        f: &mut Function<'_>,
        number: u32,
        sense: Sense,
        unknown_passes: bool,
        fail: Label,
    ) -> Result<(), BuildError> {
        let state = self.state();
        let Some(word) = state.classes.get(&(number / 64)) else { return Ok(()) };
        if sense == Sense::Negated && !unknown_passes {
            load(f, Size::Word, R1, state.known)?;
            f.jump_if(Condition::Eq, R1, 0, fail);
        }
        Self::bit(f, *word, number % 64, sense, fail)
    }

    /// Falls through when bit `bit` of the words at `offset` is set (or, negated, is not).
    pub(super) fn bit(
        f: &mut Function<'_>,
        offset: u32,
        bit: u32,
        sense: Sense,
        fail: Label,
    ) -> Result<(), BuildError> {
        load(f, Size::Byte, R1, offset + bit / 8)?;
        let mask = 1_i32 << (bit % 8);
        match sense {
            Sense::Negated => f.jump_if(Condition::Set, R1, mask, fail),
            Sense::Plain => {
                f.alu(AluOp::And, R1, mask);
                f.jump_if(Condition::Eq, R1, 0, fail);
            }
        }
        Ok(())
    }
}
