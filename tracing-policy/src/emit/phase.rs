//! Tests in phases: first what needs no argument's memory, then argument by argument.

use Register::{R1, R6};
use bpf_probes::asm::Label;
use bpf_probes::builder::{BuildError, Function, Program};
use bpf_probes::insn::{AluOp, Condition, Register, Size};

use super::memory::{load, store, store_imm};
use super::program::Emitter;
use crate::ir::{Check, NumberTest, ReadId, Rider, Selector, Subject, Test};

/// A function that has grown beyond this takes no further policy.
pub(super) const FULL_SLOTS: usize = 8_000;

/// When a test runs.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) enum Phase {
    /// Before anything is read from memory.
    First,
    /// When the thread's namespaces and capabilities are known.
    Task,
    /// When the type of a file is known.
    Kind(ReadId),
    /// When the last component of a path is known.
    Leaf(ReadId),
    /// When a path or string is there.
    Read(ReadId),
}

impl Phase {
    fn of(check: &Check) -> Self {
        match check {
            Check::Number(NumberTest { subject: Subject::Field(read, _), .. }) => Self::Read(*read),
            Check::Address(test) => Self::Read(test.read),
            Check::Number(test) if test.subject.is_of_task() => Self::Task,
            Check::Enforcing
            | Check::Entered { .. }
            | Check::Class { .. }
            | Check::Number(_)
            | Check::Gained { .. } => Self::First,
            Check::FileType { read, .. } => Self::Kind(*read),
            Check::Readable(read) => Self::Read(*read),
            Check::Contains(test) => Self::Read(test.read),
            Check::Leaf { read, .. } => Self::Leaf(*read),
            Check::Bytes(test) => Self::Read(test.read),
            Check::Expression(test) => test.last.map_or(Self::First, Self::Read),
        }
    }

    /// Place in the order of phases.
    fn rank(self) -> (u32, u8) {
        match self {
            Self::First => (0, 0),
            Self::Task => (0, 1),
            Self::Kind(read) => (u32::from(read.0) + 1, 0),
            Self::Leaf(read) => (u32::from(read.0) + 1, 1),
            Self::Read(read) => (u32::from(read.0) + 1, 2),
        }
    }

    fn name(self) -> String {
        match self {
            Self::First => "tests".to_owned(),
            Self::Task => "task_tests".to_owned(),
            Self::Kind(read) => format!("kind_tests_{}", read.0),
            Self::Leaf(read) => format!("leaf_tests_{}", read.0),
            Self::Read(read) => format!("tests_{}", read.0),
        }
    }
}

/// A selector, its rider, and its index among all selectors of the hook.
pub(super) struct Numbered<'h> {
    pub(super) rider: &'h Rider,
    pub(super) selector: &'h Selector,
    pub(super) index: u32,
}

impl<'a> Emitter<'a> {
    /// All selectors of the hook in order.
    pub(super) fn numbered(&self) -> impl Iterator<Item = Numbered<'a>> + use<'a> {
        let all = self.hook.riders.iter().flat_map(|rider| rider.selectors.iter().map(move |it| (rider, it)));
        all.zip(0..).map(|((rider, selector), index)| Numbered { rider, selector, index })
    }

    /// Paths and strings that a selector tests or reports.
    fn needs(&self, it: &Numbered<'_>) -> Vec<ReadId> {
        let tested = it.selector.tests.iter().filter_map(|test| match &test.check {
            Check::Bytes(test) => Some(test.read),
            Check::Leaf { read, .. } => Some(*read),
            Check::Number(NumberTest { subject: Subject::Field(read, _), .. }) => Some(*read),
            Check::Address(test) => Some(test.read),
            Check::FileType { read, .. } | Check::Readable(read) => Some(*read),
            Check::Contains(test) => Some(test.read),
            Check::Enforcing
            | Check::Entered { .. }
            | Check::Class { .. }
            | Check::Number(_)
            | Check::Gained { .. } => None,
            Check::Expression(_) => None,
        });
        let of_expressions = it.selector.tests.iter().flat_map(|test| {
            if let Check::Expression(test) = &test.check { test.reads.as_slice() } else { &[] }
        });
        let reports = !self.body.purpose.only_filters() && it.selector.posts();
        let reported = it.rider.values.iter().copied().filter(|_| reports);
        let acted_on = it.selector.acts_on().filter(|_| !self.body.purpose.only_filters());
        let mut needs: Vec<_> = tested
            .chain(of_expressions.copied())
            .chain(reported)
            .chain(acted_on)
            .filter(|id| self.state().users(*id).is_some())
            .collect();
        needs.sort_unstable();
        needs.dedup();
        needs
    }

    fn tests_in(it: &Numbered<'a>, phase: Phase) -> Vec<&'a Test> {
        it.selector.tests.iter().filter(|test| Phase::of(&test.check) == phase).collect()
    }

    /// Every selector may match, and every argument is needed by those that look at it.
    pub(super) fn begin_phases(&self, f: &mut Function<'_>) -> Result<(), BuildError> {
        if self.single {
            return Ok(());
        }
        let total = self.numbered().count();
        f.constant(R1, 0x0101_0101_0101_0101);
        for word in 0..u32::try_from(total.div_ceil(8)).unwrap_or(u32::MAX) {
            store(f, Size::Double, self.state().alive + 8 * word, R1)?;
        }
        let total = i32::try_from(total).unwrap_or(i32::MAX);
        store_imm(f, Size::Word, self.state().live, total)?;
        for (id, _) in self.hook.reads() {
            if let Some(counter) = self.state().users(id) {
                let users = self.numbered().filter(|it| self.needs(it).contains(&id)).count();
                store_imm(f, Size::Word, counter, i32::try_from(users).unwrap_or(i32::MAX))?;
            }
        }
        Ok(())
    }

    /// Runs all phases; goes to `out` when no selector can match any more.
    pub(super) fn phases(
        &self,
        f: &mut Function<'_>,
        program: &mut Program,
        out: Label,
    ) -> Result<(), BuildError> {
        self.look_up_numbers(f, false)?;
        if self.tests(f, program, Phase::First, out)? {
            self.leave_if_dead(f, out)?;
        }
        if self.looks_at_task() {
            self.note_task(f)?;
            self.look_up_numbers(f, true)?;
            if self.tests(f, program, Phase::Task, out)? {
                self.leave_if_dead(f, out)?;
            }
        }
        let mut dead_can_be = false;
        for (id, _) in self.hook.reads() {
            let Some(users) = self.state().users(id) else { continue };
            if !self.numbered().any(|it| self.needs(&it).contains(&id)) {
                continue;
            }
            let skip = f.label();
            self.skip_unneeded(f, users, skip)?;
            if let Some(mode) = self.state().bytes(id).and_then(|bytes| bytes.mode) {
                self.note_kind(f, id, mode)?;
                self.tests(f, program, Phase::Kind(id), out)?;
                self.skip_unneeded(f, users, skip)?;
            }
            if self.has_leaf_phase(id) {
                self.note_leaf(f, id)?;
                self.tests(f, program, Phase::Leaf(id), out)?;
                self.skip_unneeded(f, users, skip)?;
            }
            self.read_bytes(f, id)?;
            if self.single || self.hook.tables.iter().any(|table| table.reads(id)) {
                self.locate(f, id, skip)?;
            }
            self.look_up_bytes(f, id)?;
            self.search(f, id)?;
            self.look_up_described(f, id)?;
            self.tests(f, program, Phase::Read(id), out)?;
            f.bind(skip);
            dead_can_be = true;
        }
        if dead_can_be { self.leave_if_dead(f, out) } else { Ok(()) }
    }

    fn leave_if_dead(&self, f: &mut Function<'_>, out: Label) -> Result<(), BuildError> {
        self.skip_unneeded(f, self.state().live, out)
    }

    /// Goes to `skip` when the count at `users` is zero.
    fn skip_unneeded(&self, f: &mut Function<'_>, users: u32, skip: Label) -> Result<(), BuildError> {
        if self.single {
            return Ok(());
        }
        load(f, Size::Word, R1, users)?;
        f.jump_if(Condition::Eq, R1, 0, skip);
        Ok(())
    }

    /// Emits the tests of a phase; says whether there are any.
    fn tests(
        &self,
        f: &mut Function<'_>,
        program: &mut Program,
        phase: Phase,
        out: Label,
    ) -> Result<bool, BuildError> {
        let due: Vec<_> = self.numbered().filter(|it| !Self::tests_in(it, phase).is_empty()).collect();
        if self.single {
            for it in &due {
                for test in Self::tests_in(it, phase) {
                    self.test(f, test, it.rider.policy_number, out)?;
                }
            }
            return Ok(!due.is_empty());
        }
        let mut rest = due.as_slice();
        let mut number = 0;
        while !rest.is_empty() {
            let name = format!("{}_{number}", phase.name());
            let done = self.tests_part(program, &name, phase, rest)?;
            f.copy(R1, R6);
            f.call_subprogram(&name);
            rest = rest.get(done..).unwrap_or_default();
            number += 1;
        }
        Ok(!due.is_empty())
    }

    /// Adds a function with the tests of as many selectors as fit; returns how many.
    fn tests_part(
        &self,
        program: &mut Program,
        name: &str,
        phase: Phase,
        due: &[Numbered<'a>],
    ) -> Result<usize, BuildError> {
        let mut f = self.part(name);
        let out = f.label();
        if let Phase::Read(id) = phase {
            self.locate(&mut f, id, out)?;
        }
        let mut done = 0;
        for it in due {
            let (fail, next) = (f.label(), f.label());
            if it.selector.tests.first().is_some_and(|test| Phase::of(&test.check) != phase) {
                load(&mut f, Size::Byte, R1, self.state().alive + it.index)?;
                f.jump_if(Condition::Eq, R1, 0, next);
            }
            for test in Self::tests_in(it, phase) {
                self.test(&mut f, test, it.rider.policy_number, fail)?;
            }
            f.jump(next);
            f.bind(fail);
            self.rule_out(&mut f, it, phase)?;
            f.bind(next);
            done += 1;
            if f.assembler().slots() > FULL_SLOTS {
                break;
            }
        }
        f.bind(out);
        f.return_constant(0);
        program.add(f.finish()?);
        Ok(done)
    }

    /// The selector cannot match any more.
    fn rule_out(&self, f: &mut Function<'_>, it: &Numbered<'_>, phase: Phase) -> Result<(), BuildError> {
        store_imm(f, Size::Byte, self.state().alive + it.index, 0)?;
        count_down(f, self.state().live)?;
        for id in self.needs(it) {
            let still_to_come = Phase::Read(id).rank() > phase.rank();
            if let Some(users) = self.state().users(id).filter(|_| still_to_come) {
                count_down(f, users)?;
            }
        }
        Ok(())
    }
}

fn count_down(f: &mut Function<'_>, counter: u32) -> Result<(), BuildError> {
    load(f, Size::Word, R1, counter)?;
    f.alu(AluOp::Sub, R1, 1);
    store(f, Size::Word, counter, R1)
}
