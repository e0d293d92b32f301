//! Enforcers: what a match tells them about its thread is kept under the thread and the policy, until a call of theirs does it or it is taken back.
//!
//! The thread's memory may be another's later, so what is kept says when the thread began.

use std::mem::offset_of;

use Register::{R0, R1, R2, R7, R8, R10};
use bpf_probes::abi::{Counter, Pending, PendingKey, map_name};
use bpf_probes::asm::Label;
use bpf_probes::builder::{BuildError, Function, Slot};
use bpf_probes::insn::{AluOp, Condition, Helper, Register, Size};

use super::act::count;
use super::memory::{load, store};
use super::note::kill_unless_kept;
use super::program::Emitter;
use crate::ir::{Rider, Selector};
use crate::policy::{Notification, Role};

/// Bytes of a key, and of what is kept, on the stack.
const KEY_BYTES: u32 = 16;
const PENDING_BYTES: u32 = 16;

fn offset(offset: usize) -> u32 {
    u32::try_from(offset).expect("what is pending is small")
}

fn field(offset: usize) -> i16 {
    i16::try_from(offset).expect("what is pending is small")
}

/// `key = the current thread and the policy`. Loses `R0` to `R5`.
fn key(f: &mut Function<'_>, key: Slot, rider: &Rider) {
    f.current_task();
    f.store(Size::Double, R10, key.at(offset(offset_of!(PendingKey, task))), R0);
    f.constant(R1, u64::from(rider.policy_number));
    f.store(Size::Double, R10, key.at(offset(offset_of!(PendingKey, policy))), R1);
}

/// `R1 = when the current thread began`. Loses `R7`.
fn began(f: &mut Function<'_>) -> Result<(), BuildError> {
    f.current_task();
    f.copy(R7, R0);
    f.read(R1, R7, "task_struct", "start_boottime")
}

fn remove(f: &mut Function<'_>, key: Slot) {
    f.slot_address(R2, key);
    f.assembler().load_map(R1, map_name::PENDING);
    f.call(Helper::MapDeleteElem);
}

/// Tells the policy's enforcers about the current thread; where that cannot be kept, the thread is killed.
pub(super) fn notify(
    f: &mut Function<'_>,
    rider: &Rider,
    selector: &Selector,
    notification: Notification,
) -> Result<(), BuildError> {
    let first = f.label();
    f.comment("what enforcers are to do");
    f.scope(|f| {
        let (place, told) = (f.slot(KEY_BYTES)?, f.slot(PENDING_BYTES)?);
        key(f, place, rider);
        f.lookup(map_name::PENDING, place, first);
        count(f, rider, selector, Counter::NotifyOverwritten);
        f.bind(first);
        began(f)?;
        f.store(Size::Double, R10, told.at(offset(offset_of!(Pending, began))), R1);
        let errno = notification.error.get().checked_neg().unwrap_or(0);
        f.store_imm(Size::Word, R10, told.at(offset(offset_of!(Pending, errno))), errno);
        let signal = notification.signal.map_or(0, |signal| i32::from(signal.get()));
        f.store_imm(Size::Word, R10, told.at(offset(offset_of!(Pending, signal))), signal);
        f.update(map_name::PENDING, place, told);
        Ok(())
    })?;
    kill_unless_kept(f);
    Ok(())
}

/// Takes back what the policy's enforcers were told about the current thread.
pub(super) fn clean_up(f: &mut Function<'_>, rider: &Rider, selector: &Selector) -> Result<(), BuildError> {
    let nothing = f.label();
    f.comment("what enforcers have not done");
    f.scope(|f| {
        let place = f.slot(KEY_BYTES)?;
        key(f, place, rider);
        f.lookup(map_name::PENDING, place, nothing);
        remove(f, place);
        count(f, rider, selector, Counter::NotifyUnused);
        f.bind(nothing);
        Ok(())
    })
}

/// Forgets what the enforcer was told about the current thread, and does nothing of it.
pub(super) fn forget_told(f: &mut Function<'_>, rider: &Rider) -> Result<(), BuildError> {
    let nothing = f.label();
    f.scope(|f| {
        let place = f.slot(KEY_BYTES)?;
        key(f, place, rider);
        f.lookup(map_name::PENDING, place, nothing);
        remove(f, place);
        f.bind(nothing);
        Ok(())
    })
}

/// Does what the enforcer was told about the current thread, once: sends the signal. `R8 = the error that the call is to return`, negated; 0 for none.
pub(super) fn do_told(f: &mut Function<'_>, rider: &Rider) -> Result<(), BuildError> {
    let (nothing, silent, out) = (f.label(), f.label(), f.label());
    f.comment("what the enforcer was told");
    f.scope(|f| {
        let (place, told) = (f.slot(KEY_BYTES)?, f.slot(PENDING_BYTES)?);
        key(f, place, rider);
        f.lookup(map_name::PENDING, place, nothing);
        f.load(Size::Double, R1, R0, field(offset_of!(Pending, began)));
        f.store(Size::Double, R10, told.at(offset(offset_of!(Pending, began))), R1);
        f.load(Size::Double, R1, R0, field(offset_of!(Pending, errno)));
        f.store(Size::Double, R10, told.at(offset(offset_of!(Pending, errno))), R1);
        remove(f, place);
        began(f)?;
        f.load(Size::Double, R2, R10, told.at(offset(offset_of!(Pending, began))));
        f.jump_if_reg(Condition::Ne, R1, R2, nothing);
        f.load(Size::Word, R1, R10, told.at(offset(offset_of!(Pending, signal))));
        f.jump_if(Condition::Eq, R1, 0, silent);
        f.call(Helper::SendSignal);
        f.bind(silent);
        f.load(Size::Word, R8, R10, told.at(offset(offset_of!(Pending, errno))));
        f.jump(out);
        f.bind(nothing);
        f.constant(R8, 0);
        f.bind(out);
        Ok(())
    })
}

impl Emitter<'_> {
    /// The same at the entry of a call, which leaves the error for what returns it.
    pub(super) fn enforce(&self, f: &mut Function<'_>, rider: &Rider) -> Result<(), BuildError> {
        do_told(f, rider)?;
        let (state, none) = (self.state().note, f.label());
        let is_value = match self.body.role {
            Role::ReportAndNote => false,
            Role::ReportAndOverride => true,
            Role::Report
            | Role::Deny
            | Role::ReportAndDeny
            | Role::ReportAndKillDenied
            | Role::DenyNoted
            | Role::Forget
            | Role::ForgetAndKill
            | Role::Override
            | Role::Return
            | Role::AskForHash
            | Role::TakeHash
            | Role::FaultIn { .. } => return Ok(()),
        };
        f.jump_if(Condition::Eq, R8, 0, none);
        if is_value {
            // the value itself, and that it is one
            f.constant(R1, 1 << 32);
            f.alu_reg(AluOp::Sub, R1, R8);
            f.constant(R2, 1 << 32);
            f.alu_reg(AluOp::Or, R1, R2);
            f.copy(R8, R1);
        }
        load(f, Size::Double, R1, state.errno)?;
        f.jump_if(Condition::Ne, R1, 0, none);
        store(f, Size::Double, state.errno, R8)?;
        f.bind(none);
        Ok(())
    }
}

/// In a program that only denies: `R8 = what the enforcer returns`, going to `release` if that is an error.
pub(super) fn deny_told(
    f: &mut Function<'_>,
    rider: &Rider,
    release: Label,
    end: Label,
) -> Result<(), BuildError> {
    let monitor = f.label();
    Emitter::mode(f, rider.policy_number);
    f.jump_if(Condition::Ne, R1, 0, monitor);
    do_told(f, rider)?;
    f.jump_if(Condition::Eq, R8, 0, end);
    f.jump_if(Condition::Gt, R8, MAX_ERRNO, end);
    f.constant(R1, 0);
    f.alu_reg(AluOp::Sub, R1, R8);
    f.copy(R8, R1);
    f.jump(release);
    f.bind(monitor);
    forget_told(f, rider)?;
    f.jump(end);
    Ok(())
}

/// Errors that a function may return (include/linux/err.h: `MAX_ERRNO`).
const MAX_ERRNO: i32 = 4095;
