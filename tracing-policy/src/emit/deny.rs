//! The program that denies: it filters and returns an errno, and does nothing else.
//!
//! LSM and `fmod_ret` programs can lose the CPU in their midst on a preemptible kernel, and others then run on it. So each claims an entry of working memory, and keeps the CPU
//! while it has it where the kernel lets it (6.10). Where no entry is free, the call fails with `EAGAIN`: what cannot be judged is not let through.

use Register::{R0, R1, R6, R7, R8, R9, R10};
use bpf_probes::asm::{Label, Subprogram};
use bpf_probes::builder::{BuildError, Function, Program};
use bpf_probes::insn::{AluOp, Condition, Helper, Register, Size, atomic};
use bpf_probes::kernel::KernelView;
use bpf_probes::routine::layout::CLAIMS;
use bpf_probes::spec::AttachSpec;

use super::memory::load;
use super::pending::deny_told;
use super::phase::Numbered;
use super::program::Emitter;
use crate::lower::Purpose;

/// Entries that are tried before the call is given up.
const ATTEMPTS: i32 = 64;

/// `R8 = what was returned so far` (the last argument of an LSM program), going to `decided` when that is a denial: what is denied stays so. The context
/// is in `R9`.
pub(super) fn earlier_denial(
    f: &mut Function<'_>,
    target: &AttachSpec,
    kernel: &KernelView,
    decided: Label,
) -> Result<(), BuildError> {
    f.constant(R8, 0);
    let AttachSpec::Lsm { hook } = target else {
        // the verifier wants every label reached
        f.jump_if(Condition::Ne, R8, 0, decided);
        return Ok(());
    };
    let function = kernel.lsm_hook(hook).and_then(|id| kernel.btf().prototype(id).ok());
    let arguments = function.map_or(0, |prototype| prototype.parameters().len());
    let at = f.offset(8 * u32::try_from(arguments).unwrap_or(u32::MAX))?;
    f.load(Size::Double, R8, R9, at);
    f.jump_if(Condition::Ne, R8, 0, decided);
    Ok(())
}

impl Emitter<'_> {
    /// Emits the program's entry and adds its other functions.
    pub(super) fn deny(&self, program: &mut Program, kernel: &KernelView) -> Result<Subprogram, BuildError> {
        self.add_routines(program)?;
        let mut f = self.entry();
        let (out, release, none, decided) = (f.label(), f.label(), f.label(), f.label());
        earlier_denial(&mut f, self.body.target, kernel, decided)?;
        self.working_memory(&mut f, none)?;
        self.note_registers(&mut f)?;
        self.note_process(&mut f)?;
        self.begin_phases(&mut f)?;
        self.phases(&mut f, program, out)?;
        self.decide(&mut f, release)?;
        f.bind(out);
        f.constant(R8, 0);
        f.bind(release);
        self.finish(&mut f);
        f.bind(none);
        self.without_memory(&mut f);
        f.bind(decided);
        f.copy(R0, R8);
        f.return_result();
        f.finish()
    }

    /// `R8 = what the first denying policy returns`, going to `release`; falls through when none denies.
    pub(super) fn decide(&self, f: &mut Function<'_>, release: Label) -> Result<(), BuildError> {
        let all: Vec<_> = self.numbered().collect();
        for selectors in all.chunk_by(|left, right| std::ptr::eq(left.rider, right.rider)) {
            self.decide_one(f, selectors, release)?;
        }
        Ok(())
    }

    fn decide_one(
        &self,
        f: &mut Function<'_>,
        selectors: &[Numbered<'_>],
        release: Label,
    ) -> Result<(), BuildError> {
        let end = f.label();
        if let Some(it) = selectors.first().filter(|_| self.body.purpose == Purpose::Report) {
            // a program that only denies has it as its first test
            Self::mode(f, it.rider.policy_number);
            f.jump_if(Condition::Ne, R1, 0, end);
        }
        for it in selectors {
            let next = f.label();
            f.set_origin(it.selector.origin);
            if !self.single {
                load(f, Size::Byte, R1, self.state().alive + it.index)?;
                f.jump_if(Condition::Eq, R1, 0, next);
            }
            if it.selector.does_what_was_told() {
                deny_told(f, it.rider, release, end)?;
                f.bind(next);
                continue;
            }
            let denial = it.selector.denial().filter(|errno| *errno != 0);
            f.constant(R8, 0);
            if let Some(errno) = denial {
                f.emit(bpf_probes::insn::alu::mov_imm(R8, errno));
                f.jump_if(Condition::Ne, R8, 0, release);
            } else {
                f.jump_if(Condition::Eq, R8, 0, end);
            }
            f.bind(next);
        }
        f.bind(end);
        Ok(())
    }

    /// `R6 = an entry of working memory that nobody else has`, going to `none` when none is found. The CPU's own entries come first, then those of the CPUs behind it.
    pub(super) fn claim(&self, f: &mut Function<'_>, none: Label) -> Result<(), BuildError> {
        let map = self.memory.map.name.clone();
        f.comment("a claim of working memory");
        f.call(Helper::GetSmpProcessorId);
        f.alu(AluOp::Mul, R0, CLAIMS.cast_signed());
        if !f.facts().fetching_atomics {
            // such kernels do not preempt, so that one entry will do
            return f.entry(R6, &map, R0, none);
        }
        f.scope(|f| {
            let key = f.slot(8)?;
            f.store(Size::Word, R10, key.offset(), R0);
            let claimed = f.label();
            f.repeat(R7, ATTEMPTS, |f| {
                let (past_last, next) = (f.label(), f.label());
                f.lookup(&map, key, past_last);
                f.copy(R6, R0);
                f.constant(R0, 0);
                // the mark that an entry is taken is its number and one: see `entry_number`
                f.load(Size::Word, R1, R10, key.offset());
                f.alu(AluOp::Add, R1, 1);
                let exchange = atomic::AtomicOp::CompareExchange;
                f.emit(atomic::atomic(exchange, Size::Double, R6, 0, R1));
                f.jump_if(Condition::Eq, R0, 0, claimed);
                f.store(Size::Word, R10, key.offset(), R1);
                f.jump(next);
                f.bind(past_last);
                // on with the first CPU's; a constant here would be followed by itself through all rounds (7.2)
                f.call(Helper::GetPrandomU32);
                f.alu(AluOp::And, R0, CLAIMS.cast_signed() - 1);
                f.store(Size::Word, R10, key.offset(), R0);
                f.bind(next);
                Ok(())
            })?;
            f.jump(none);
            f.bind(claimed);
            // what tells one way here from another, so that the verifier follows only one of them (7.2)
            f.constant(R7, 0);
            f.store_imm(Size::Double, R10, key.offset(), 0);
            Ok(())
        })
    }

    /// `dst = the number of the entry that R6 points to`. Uses `R0` to `R5`.
    pub(super) fn entry_number(&self, f: &mut Function<'_>, dst: Register) -> Result<(), BuildError> {
        if self.memory.is_claimed && f.facts().fetching_atomics {
            load(f, Size::Word, dst, 0)?;
            f.alu(AluOp::Sub, dst, 1);
            return Ok(());
        }
        f.call(Helper::GetSmpProcessorId);
        if self.memory.is_claimed {
            f.alu(AluOp::Mul, R0, CLAIMS.cast_signed());
        }
        f.copy(dst, R0);
        Ok(())
    }
}
