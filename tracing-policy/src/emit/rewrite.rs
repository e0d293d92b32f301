//! Overrides at places in programs: the entry's program works out which registers get which values, and the one that runs behind it at the same place writes them.
//!
//! They are two programs since only one that is attached itself may write the registers that it is given: the kernel looks at the attached program, not at what that
//! tail-calls (`kernel/trace/bpf_trace.c: kprobe_prog_is_valid_access` sets `kprobe_write_ctx`, `kernel/events/core.c: __perf_event_set_bpf_prog` reads it).

use std::collections::BTreeSet;
use std::mem::offset_of;

use Register::{R0, R1, R2, R3, R4, R7, R8, R9};
use bpf_probes::abi::{UserRegisters, map_name};
use bpf_probes::asm::{Label, Prototype};
use bpf_probes::builder::{BuildError, Facts, Function};
use bpf_probes::insn::{AluOp, Condition, Helper, Register, Size};
use bpf_probes::kernel::KernelView;
use bpf_probes::sensor::{STUB, shared};
use bpf_probes::spec::{CollectionSpec, Reach};

use super::memory::{address, load, store, store_imm};
use super::note::{KEY_BYTES, SIGKILL, kill_unless_kept, remove_from};
use super::operand::context_register;
use super::program::{Body, Emitter};
use super::returner::collection;
use crate::binary::CpuRegister;
use crate::ir::{Hook, Selector};
use crate::policy::{Assigned, Assignment, Rewrite};

fn at(offset: usize) -> u32 {
    u32::try_from(offset).expect("the registers of a thread are few")
}

/// Where a register's value is in [`UserRegisters`].
fn value_of(register: CpuRegister) -> u32 {
    at(offset_of!(UserRegisters, values)) + 8 * u32::from(register.number())
}

/// Offsets of what is kept for rewrites.
#[derive(Clone, Debug)]
pub(super) struct RewriteState {
    /// [`UserRegisters`] as they are to be; nothing is written while no bit is set.
    pub(super) next: u32,
    /// The same as the thread came: of those that a rewrite looks at.
    pub(super) before: u32,
    /// `u64`: what was read from memory.
    pub(super) read: u32,
}

impl RewriteState {
    /// Where a policy on the hook writes registers: in so many words as `room` gives.
    pub(super) fn of(hook: &Hook, room: impl FnOnce(u32) -> u32) -> Option<Self> {
        let is_written = hook.selectors().any(|selector| selector.rewrite.is_some());
        let one = at(size_of::<UserRegisters>());
        is_written.then(|| {
            let from = room(2 * one / 8 + 1);
            Self { next: from, before: from + one, read: from + 2 * one }
        })
    }

    /// The same at another place.
    pub(super) fn moved(&self, by: u32) -> Self {
        Self { next: self.next + by, before: self.before + by, read: self.read + by }
    }
}

/// The registers whose values before the override a rewrite looks at.
fn looked_at(rewrite: &Rewrite) -> impl Iterator<Item = CpuRegister> {
    rewrite.assignments.iter().flat_map(|assignment| {
        let source = match assignment.source {
            Assigned::Constant(_) => None,
            Assigned::Register { register, .. } | Assigned::Memory { base: register, .. } => Some(register),
        };
        // the rest of a register that is written in part stays as it is
        let rest = (assignment.width < 4).then_some(assignment.register);
        source.into_iter().chain(rest)
    })
}

impl Emitter<'_> {
    /// At the entry: nothing is left of an earlier call, and the registers are kept that overrides look at. The context is in `R9`.
    pub(super) fn begin_rewrite(&self, f: &mut Function<'_>) -> Result<(), BuildError> {
        let Some(state) = &self.state().rewrite else { return Ok(()) };
        f.comment("no registers of an earlier call");
        store_imm(f, Size::Double, state.next + at(offset_of!(UserRegisters, written)), 0)?;
        self.body.notes.forget_earlier(f, map_name::REGISTERS)?;
        let rewrites = self.hook.selectors().filter_map(|selector| selector.rewrite.as_ref());
        let registers: BTreeSet<CpuRegister> = rewrites.flat_map(looked_at).collect();
        for register in registers {
            context_register(f, R1, register)?;
            store(f, Size::Double, state.before + value_of(register), R1)?;
        }
        Ok(())
    }

    /// A selector overrides: works out what is written, unless a policy before it overrode. Where memory cannot be read, the caller is killed.
    pub(super) fn rewrite(&self, f: &mut Function<'_>, selector: &Selector) -> Result<(), BuildError> {
        let (Some(state), Some(rewrite)) = (&self.state().rewrite, &selector.rewrite) else { return Ok(()) };
        let (failed, done) = (f.label(), f.label());
        let written = state.next + at(offset_of!(UserRegisters, written));
        load(f, Size::Double, R1, written)?;
        f.jump_if(Condition::Ne, R1, 0, done);
        let mut assigned = BTreeSet::new();
        for assignment in &rewrite.assignments {
            assign(f, state, *assignment, &assigned, failed)?;
            assigned.insert(assignment.register);
        }
        let bits = assigned.iter().fold(0_i32, |bits, register| bits | 1 << register.number());
        store_imm(f, Size::Double, written, bits)?;
        let reads = |assignment: &Assignment| matches!(assignment.source, Assigned::Memory { .. });
        if rewrite.assignments.iter().any(reads) {
            f.jump(done);
            f.bind(failed);
            f.constant(R1, SIGKILL);
            f.call(Helper::SendSignal);
        }
        f.bind(done);
        Ok(())
    }

    /// All policies have acted: leaves the registers for the program that writes them.
    pub(super) fn leave_rewrite(&self, f: &mut Function<'_>) -> Result<(), BuildError> {
        let Some(state) = &self.state().rewrite else { return Ok(()) };
        let done = f.label();
        f.comment("registers for the program behind");
        load(f, Size::Double, R1, state.next + at(offset_of!(UserRegisters, written)))?;
        f.jump_if(Condition::Eq, R1, 0, done);
        f.scope(|f| {
            let key = f.slot(KEY_BYTES)?;
            self.body.notes.key(f, key);
            f.slot_address(R2, key);
            address(f, R3, state.next);
            f.constant(R4, 0);
            f.assembler().load_map(R1, map_name::REGISTERS);
            f.call(Helper::MapUpdateElem);
            Ok(())
        })?;
        kill_unless_kept(f);
        f.bind(done);
        Ok(())
    }
}

/// `dst = a register`, as the assignments before left it.
fn current(
    f: &mut Function<'_>,
    dst: Register,
    state: &RewriteState,
    register: CpuRegister,
    assigned: &BTreeSet<CpuRegister>,
) -> Result<(), BuildError> {
    let from = if assigned.contains(&register) { state.next } else { state.before };
    load(f, Size::Double, dst, from + value_of(register))
}

/// One assignment; goes to `failed` where memory cannot be read. Loses `R0` to `R5`.
fn assign(
    f: &mut Function<'_>,
    state: &RewriteState,
    assignment: Assignment,
    assigned: &BTreeSet<CpuRegister>,
    failed: Label,
) -> Result<(), BuildError> {
    let Assignment { register, shift, width, source } = assignment;
    match source {
        Assigned::Constant(value) => f.constant(R1, value),
        Assigned::Register { register, shift, width, plus } => {
            current(f, R1, state, register, assigned)?;
            if shift != 0 {
                f.alu(AluOp::Rsh, R1, shift.into());
            }
            f.extend(R1, 8 * u32::from(width), false);
            f.constant(R2, plus.cast_unsigned());
            f.alu_reg(AluOp::Add, R1, R2);
        }
        Assigned::Memory { base, displacement } => {
            current(f, R3, state, base, assigned)?;
            f.constant(R2, displacement.cast_unsigned());
            f.alu_reg(AluOp::Add, R3, R2);
            store_imm(f, Size::Double, state.read, 0)?;
            address(f, R1, state.read);
            f.constant(R2, width.into());
            f.call(Helper::ProbeReadUser);
            f.jump_if(Condition::Ne, R0, 0, failed);
            load(f, Size::Double, R1, state.read)?;
        }
    }
    f.extend(R1, 8 * u32::from(width), false);
    if width < 4 {
        let mask = (u64::MAX >> (64 - 8 * u32::from(width))) << shift;
        f.alu(AluOp::Lsh, R1, shift.into());
        current(f, R2, state, register, assigned)?;
        f.constant(R3, !mask);
        f.alu_reg(AluOp::And, R2, R3);
        f.alu_reg(AluOp::Or, R1, R2);
    }
    store(f, Size::Double, state.next + value_of(register), R1)
}

/// The program that writes the registers that the one before it at the same place has left. It takes the place of a stub.
///
/// # Errors
/// When the kernel's types lack the registers.
pub(crate) fn rewriter(body: Body<'_>, kernel: &KernelView) -> Result<CollectionSpec, BuildError> {
    let facts = Facts::of(kernel);
    let name = format!("{}_rewrite", body.target.program_name());
    let mut f = Function::new(&name, Prototype::Main, &facts).with_frame(64);
    let absent = f.label();
    f.copy(R9, R1);
    let key = f.slot(KEY_BYTES)?;
    body.notes.key(&mut f, key);
    f.lookup(map_name::REGISTERS, key, absent);
    f.copy(R7, R0);
    let field = |offset| i16::try_from(offset).expect("the registers of a thread are few");
    f.load(Size::Double, R8, R7, field(at(offset_of!(UserRegisters, written))));
    for register in CpuRegister::ALL {
        let next = f.label();
        f.copy(R1, R8);
        f.alu(AluOp::And, R1, 1 << register.number());
        f.jump_if(Condition::Eq, R1, 0, next);
        f.load(Size::Double, R1, R7, field(value_of(register)));
        let to = f.facts().offset_of("pt_regs", super::operand::field(register))?;
        f.store(Size::Double, R9, f.offset(to)?, R1);
        f.bind(next);
    }
    remove_from(&mut f, map_name::REGISTERS, key);
    f.bind(absent);
    f.return_constant(0);
    collection(f, body, (STUB, Reach::Attached), vec![shared::registers()])
}
