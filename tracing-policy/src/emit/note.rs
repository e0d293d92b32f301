//! Notes: the entry of a denied call leaves its error for the hooks on the call's way.
//!
//! A note is kept under the thread and the hook whose program left it, and is good for one call. The entry removes what an earlier call may have left, before
//! anything else. Where the hook is a system call, whoever finds a note looks whether the thread is still in that system call, which nobody can be without having passed
//! its entry; so a note whose call ended unseen denies nothing. Where no note can be left, the caller is killed, and the hooks on the way stop whoever is being killed.

use std::mem::offset_of;

use Register::{R0, R1, R2, R7, R8, R10};
use bpf_probes::abi::{Counters, Loss, Note, NoteKey, map_name};
use bpf_probes::asm::Label;
use bpf_probes::builder::{BuildError, Function, Slot};
use bpf_probes::insn::{AluOp, Condition, Helper, Register, Size};
use bpf_probes::routine::count_loss;

use super::memory::{load, store, store_imm};
use super::program::Emitter;
use crate::ir::Selector;
use crate::policy::{Convention, HookKey, Role};

/// `SIGKILL`
pub(super) const SIGKILL: u64 = 9;

/// Whose notes a program leaves, returns or removes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Notes {
    /// [`NoteKey::hook`].
    pub(super) hook: u64,
    /// How the hooked function is called.
    pub(super) convention: Convention,
}

impl Notes {
    /// The notes of a hook.
    pub(crate) fn of(key: &HookKey) -> Self {
        let hook = match key.convention {
            Convention::Function
            | Convention::Lsm
            | Convention::Tracepoint
            | Convention::RawTracepoint
            | Convention::User => NoteKey::of_function(&key.function),
            Convention::Syscall { number } => u64::from(number),
            Convention::Syscall32 { number } => u64::from(number) | 1 << 32,
        };
        Self { hook, convention: key.convention }
    }

    /// Whether notes are those of a system call.
    pub(super) fn are_of_syscall(self) -> bool {
        self.convention.is_syscall()
    }

    /// `key = the current thread's key`. Loses `R0` to `R5`.
    pub(super) fn key(self, f: &mut Function<'_>, key: Slot) {
        f.current_task();
        f.store(Size::Double, R10, key.at(offset(offset_of!(NoteKey, task))), R0);
        f.constant(R1, self.hook);
        f.store(Size::Double, R10, key.at(offset(offset_of!(NoteKey, hook))), R1);
    }

    /// Removes what an earlier call of the current thread may have left in a map. Loses `R0` to `R5`.
    pub(super) fn forget_earlier(self, f: &mut Function<'_>, map: &str) -> Result<(), BuildError> {
        let absent = f.label();
        f.scope(|f| {
            let key = f.slot(KEY_BYTES)?;
            self.key(f, key);
            f.lookup(map, key, absent);
            remove_from(f, map, key);
            f.bind(absent);
            Ok(())
        })
    }
}

/// Bytes of a key on the stack.
pub(super) const KEY_BYTES: u32 = 16;
/// Bytes of a note on the stack.
const NOTE_BYTES: u32 = 24;

fn offset(offset: usize) -> u32 {
    u32::try_from(offset).expect("a note is small")
}

/// Removes the note at `key`. Loses `R0` to `R5`.
pub(super) fn remove(f: &mut Function<'_>, key: Slot) {
    remove_from(f, map_name::NOTES, key);
}

/// Removes what is at `key` of a map. Loses `R0` to `R5`.
pub(super) fn remove_from(f: &mut Function<'_>, map: &str, key: Slot) {
    f.slot_address(R2, key);
    f.assembler().load_map(R1, map);
    f.call(Helper::MapDeleteElem);
}

/// Goes to `calm` unless the current thread is being killed after a note could not be left. Loses `R0` to `R5` and `R7`.
pub(super) fn only_if_killed(f: &mut Function<'_>, calm: Label) -> Result<(), BuildError> {
    let lost = offset(offset_of!(Counters, lost)) + 8 * Loss::Note as u32;
    f.cell(Size::Double, R1, map_name::COUNTERS, lost);
    f.jump_if(Condition::Eq, R1, 0, calm);
    f.current_task();
    f.copy(R7, R0);
    f.read(R1, R7, "task_struct", "pending.signal.sig[0]")?;
    f.alu(AluOp::And, R1, 1 << (SIGKILL - 1));
    f.jump_if(Condition::Eq, R1, 0, calm);
    Ok(())
}

impl Emitter<'_> {
    /// Whether a program at an entry leaves notes.
    pub(super) fn leaves_notes(&self) -> bool {
        matches!(self.body.role, Role::ReportAndNote | Role::ReportAndOverride)
            && self.state().rewrite.is_none()
    }

    /// Whether a note says which call it is for: it is looked at when the entry has been left.
    fn notes_call(&self) -> bool {
        self.body.role == Role::ReportAndNote && self.body.notes.are_of_syscall()
    }

    /// At the entry of a call: removes what an earlier one may have left, and notes which call this is. The context is in `R9`.
    pub(super) fn begin_note(&self, f: &mut Function<'_>) -> Result<(), BuildError> {
        if !self.leaves_notes() {
            return Ok(());
        }
        let state = self.state().note;
        f.comment("no note of an earlier call");
        store_imm(f, Size::Double, state.errno, 0)?;
        self.body.notes.forget_earlier(f, map_name::NOTES)?;
        if !self.notes_call() {
            return Ok(());
        }
        f.comment("which call this is");
        f.current_task();
        f.copy(R7, R0);
        f.read(R8, R7, "task_struct", "stack")?;
        self.context_argument(f, R7, 0)?;
        // by way of memory: a typed pointer becomes a number there
        store(f, Size::Double, state.registers, R7)?;
        load(f, Size::Double, R7, state.registers)?;
        f.copy(R1, R7);
        f.alu_reg(AluOp::Sub, R1, R8);
        store(f, Size::Double, state.registers, R1)?;
        f.read(R1, R7, "pt_regs", "orig_ax")?;
        store(f, Size::Double, state.call, R1)
    }

    /// A selector denies the call: keeps its error, unless a policy before it denied the call already.
    pub(super) fn deny_later(&self, f: &mut Function<'_>, selector: &Selector) -> Result<(), BuildError> {
        let Some(denial) = self.denial(selector) else { return Ok(()) };
        let (state, denied) = (self.state().note, f.label());
        load(f, Size::Double, R1, state.errno)?;
        f.jump_if(Condition::Ne, R1, 0, denied);
        f.constant(R1, denial);
        store(f, Size::Double, state.errno, R1)?;
        f.bind(denied);
        Ok(())
    }

    /// [`Note::errno`] and, in the upper half, [`Note::is_value`]; `None` where nothing is to be noted.
    fn denial(&self, selector: &Selector) -> Option<u64> {
        match self.body.role {
            Role::ReportAndNote => {
                let errno = selector.denial().and_then(i32::checked_neg);
                errno.and_then(|errno| u64::try_from(errno).ok()).filter(|errno| *errno != 0)
            }
            Role::ReportAndOverride => {
                let value = selector.actions.iter().rev().find_map(|action| action.returned());
                value.map(|value| 1 << 32 | u64::from(value.get().cast_unsigned()))
            }
            Role::Report
            | Role::Deny
            | Role::ReportAndDeny
            | Role::ReportAndKillDenied
            | Role::DenyNoted
            | Role::Forget
            | Role::ForgetAndKill
            | Role::Return
            | Role::Override
            | Role::AskForHash
            | Role::TakeHash
            | Role::FaultIn { .. } => None,
        }
    }

    /// All policies have acted: leaves the note, if the call is to be denied.
    pub(super) fn leave_note(&self, f: &mut Function<'_>) -> Result<(), BuildError> {
        if !self.leaves_notes() {
            return Ok(());
        }
        let (notes, state, done) = (self.body.notes, self.state().note, f.label());
        f.comment("a note for the hooks on the way");
        load(f, Size::Double, R8, state.errno)?;
        f.jump_if(Condition::Eq, R8, 0, done);
        f.scope(|f| {
            let (key, note) = (f.slot(KEY_BYTES)?, f.slot(NOTE_BYTES)?);
            notes.key(f, key);
            let (call, registers) = (offset_of!(Note, call), offset_of!(Note, registers));
            for (at, from) in [(call, state.call), (registers, state.registers)] {
                let at = note.at(offset(at));
                if self.notes_call() {
                    load(f, Size::Double, R1, from)?;
                    f.store(Size::Double, R10, at, R1);
                } else {
                    f.store_imm(Size::Double, R10, at, 0);
                }
            }
            // and what kind of number it is, behind it
            f.store(Size::Double, R10, note.at(offset(offset_of!(Note, errno))), R8);
            f.update(map_name::NOTES, key, note);
            Ok(())
        })?;
        kill_unless_kept(f);
        f.bind(done);
        Ok(())
    }
}

/// Behind the update of a map: where that failed (`R0`), nothing can be denied, and the caller is killed.
pub(super) fn kill_unless_kept(f: &mut Function<'_>) {
    let kept = f.label();
    f.jump_if(Condition::Eq, R0, 0, kept);
    count_loss(f, Loss::Note);
    f.constant(R1, SIGKILL);
    f.call(Helper::SendSignal);
    f.bind(kept);
}
