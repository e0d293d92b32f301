//! The program at the return: for each policy that matched at the entry of this call it tests what was returned, acts, and sends the other half of the event.
//!
//! The entry's record waits in the daemon. So each call that was reported at its entry is reported here again, as dismissed where the policy does not want it.

use std::mem::offset_of;

use Register::{R0, R1, R7, R8, R9};
use bpf_probes::abi::{Call, HookRecord, RecordKind, ReturnRecord, call_flag, hook_flag};
use bpf_probes::asm::{Label, Subprogram};
use bpf_probes::builder::{BuildError, Function, Program, Slot};
use bpf_probes::insn::{AluOp, Condition, Helper, Register, Size};
use bpf_probes::kernel::KernelView;
use bpf_probes::spec::AttachSpec;

use super::limit::limits;
use super::memory::{address, load, store, store_imm};
use super::output::submit_by_ring;
use super::phase::{FULL_SLOTS, Numbered};
use super::program::Emitter;
use super::returner::returned;
use super::state::CallState;
use crate::ir::{Read, ReadId, Rider};
use crate::policy::{BufferSize, Convention, ReturnedSize};

/// `execve` and `execveat`: what runs behind them finds another number in the registers (`arch/x86/kernel/process_64.c: set_personality_64bit`).
const EXECS: [u32; 2] = [59, 322];

fn field(offset: usize) -> i16 {
    i16::try_from(offset).expect("records are small")
}

impl Emitter<'_> {
    /// Emits the program's entry and adds its other functions.
    pub(super) fn report_return(
        &self,
        program: &mut Program,
        kernel: &KernelView,
    ) -> Result<Subprogram, BuildError> {
        self.add_routines(program)?;
        let mut f = self.entry();
        let (out, act, none) = (f.label(), f.label(), f.label());
        let other = self.only_this_exit(&mut f)?;
        let context = self.keep_context(&mut f)?;
        self.working_memory(&mut f, none)?;
        self.note_call(&mut f)?;
        self.take_calls(&mut f, out)?;
        self.note_returned(&mut f, kernel)?;
        self.begin_phases(&mut f)?;
        self.phases(&mut f, program, act)?;
        f.bind(act);
        self.begin_returns(&mut f)?;
        self.take_stacks(&mut f, context)?;
        self.act_returned(&mut f, program)?;
        f.bind(out);
        f.constant(R8, 0);
        self.finish(&mut f);
        if let Some(other) = other {
            f.bind(other);
            f.return_constant(0);
        }
        f.bind(none);
        self.without_memory(&mut f);
        f.finish()
    }

    /// For programs that see the end of every system call: goes to the label that it returns unless it is the hook's. The context is in `R9`.
    fn only_this_exit(&self, f: &mut Function<'_>) -> Result<Option<Label>, BuildError> {
        let Convention::Syscall { number } = self.hook.convention else { return Ok(None) };
        if !self.sees_all_syscalls() || EXECS.contains(&number) {
            return Ok(None);
        }
        let other = f.label();
        f.comment("only this system call");
        f.load(Size::Double, R7, R9, 0);
        f.read(R1, R7, "pt_regs", "orig_ax")?;
        f.jump_if(Condition::Ne, R1, number.cast_signed(), other);
        Ok(Some(other))
    }

    /// Notes what the call returned, in each of its types. The context is in `R9`.
    fn note_returned(&self, f: &mut Function<'_>, kernel: &KernelView) -> Result<(), BuildError> {
        for (id, read) in self.hook.reads() {
            if let Some(size) = read.at_return {
                self.note_returned_size(f, id, size, kernel)?;
            } else {
                returned(f, self.body.target, kernel)?;
                self.note_register(f, id, read, R1)?;
                self.note_size_of_returned(f, id, read)?;
            }
        }
        self.follow_paths(f)?;
        self.read_sets(f)
    }

    /// Notes how large a buffer is that the call returned.
    fn note_size_of_returned(&self, f: &mut Function<'_>, id: ReadId, read: Read) -> Result<(), BuildError> {
        let (Some(bytes), Some(size)) = (self.state().bytes(id), read.size) else { return Ok(()) };
        match size {
            // which the entry left
            BufferSize::Parameter { .. } => load(f, Size::Double, R1, bytes.dentry)?,
            BufferSize::Fixed(bytes) => f.constant(R1, u64::from(bytes)),
            BufferSize::Field(_) | BufferSize::Inside | BufferSize::Returned => return Ok(()),
        }
        store(f, Size::Double, bytes.whole(), R1)
    }

    /// Notes how much of a buffer the call has filled: nothing where it failed.
    fn note_returned_size(
        &self,
        f: &mut Function<'_>,
        id: ReadId,
        size: ReturnedSize,
        kernel: &KernelView,
    ) -> Result<(), BuildError> {
        let (Some(bytes), some) = (self.state().bytes(id), f.label()) else { return Ok(()) };
        returned(f, self.body.target, kernel)?;
        // by way of memory: where the kernel knows its type, it becomes a number there
        store(f, Size::Double, bytes.whole(), R1)?;
        load(f, Size::Double, R1, bytes.whole())?;
        f.extend(R1, size.bits.into(), size.signed);
        if size.signed {
            f.jump_if(Condition::SGe, R1, 0, some);
            f.constant(R1, 0);
        }
        f.bind(some);
        store(f, Size::Double, bytes.whole(), R1)
    }

    /// Takes what the entry left, for each rider; goes to `out` where it left nothing for any.
    fn take_calls(&self, f: &mut Function<'_>, out: Label) -> Result<(), BuildError> {
        f.comment("what the entry left");
        store_imm(f, Size::Word, self.state().known, 0)?;
        for left in self.hook.riders.iter().flat_map(|rider| &rider.left) {
            store_imm(f, Size::Double, self.state().reads[left.read.index()].raw, 0)?;
            if let Some(bytes) = self.state().bytes(left.read) {
                store_imm(f, Size::Double, bytes.dentry, 1)?;
            }
        }
        for bytes in self.hook.riders.iter().filter_map(|rider| self.state().bytes(rider.returned_size?)) {
            // more than there can be: it is not read
            store_imm(f, Size::Double, bytes.dentry, -1)?;
        }
        for (rider, call) in self.hook.riders.iter().zip(&self.state().calls) {
            let absent = f.label();
            store_imm(f, Size::Word, call.entered, 0)?;
            self.find_call(f, rider, absent)?;
            f.load(Size::Half, R1, R0, field(offset_of!(Call, selector)));
            f.alu(AluOp::Add, R1, 1);
            store(f, Size::Word, call.entered, R1)?;
            f.load(Size::Half, R1, R0, field(offset_of!(Call, flags)));
            store(f, Size::Word, call.flags, R1)?;
            f.load(Size::Word, R1, R0, field(offset_of!(Call, tid)));
            store(f, Size::Word, call.tid, R1)?;
            f.load(Size::Double, R1, R0, field(offset_of!(Call, ktime)));
            store(f, Size::Double, call.ktime, R1)?;
            self.call_on(f, Helper::MapDeleteElem);
            self.take_buffers(f, rider)?;
            // a call that entered is one of a process that is known as far as it was then
            store_imm(f, Size::Word, self.state().known, 1)?;
            f.bind(absent);
        }
        load(f, Size::Word, R1, self.state().known)?;
        f.jump_if(Condition::Eq, R1, 0, out);
        Ok(())
    }

    /// The test that it was this selector that matched at the entry.
    pub(super) fn entered(
        &self,
        f: &mut Function<'_>,
        rider: u16,
        selector: u16,
        fail: Label,
    ) -> Result<(), BuildError> {
        let Some(call) = self.state().calls.get(usize::from(rider)) else { return Ok(()) };
        load(f, Size::Word, R1, call.entered)?;
        f.jump_if(Condition::Ne, R1, i32::from(selector) + 1, fail);
        Ok(())
    }

    /// Writes what all records of this return have in common.
    fn begin_returns(&self, f: &mut Function<'_>) -> Result<(), BuildError> {
        f.comment("what all records have in common");
        if self.tracks_sockets() || limits(self.hook.selectors()) {
            self.note_process_for_records(f)?;
            store_imm(f, Size::Word, self.state().known, 1)?;
        }
        address(f, R7, self.memory.record);
        f.call(Helper::KtimeGetBootNs);
        f.store(Size::Double, R7, field(offset_of!(ReturnRecord, header.ktime)), R0);
        let kind = RecordKind::Return as i32;
        f.store_imm(Size::Word, R7, field(offset_of!(ReturnRecord, header.kind)), kind);
        f.store_imm(Size::Double, R7, field(offset_of!(ReturnRecord, reserved)), 0);
        self.note_inode_modes(f)
    }

    /// Every policy whose call it is acts.
    fn act_returned(&self, f: &mut Function<'_>, program: &mut Program) -> Result<(), BuildError> {
        let all: Vec<_> = self.numbered().collect();
        let riders = all.chunk_by(|left, right| std::ptr::eq(left.rider, right.rider));
        let mut riders = riders.zip(&self.state().calls).peekable();
        let mut number = 0;
        while riders.peek().is_some() {
            let name = format!("return_{number}");
            let mut part = self.part(&name);
            for (selectors, call) in riders.by_ref() {
                self.act_one_returned(&mut part, selectors, *call)?;
                if part.assembler().slots() > FULL_SLOTS {
                    break;
                }
            }
            part.return_constant(0);
            program.add(part.finish()?);
            f.copy(R1, Register::R6);
            f.call_subprogram(&name);
            number += 1;
        }
        Ok(())
    }

    /// The selector that matched at the entry acts, if it matches what was returned.
    fn act_one_returned(
        &self,
        f: &mut Function<'_>,
        selectors: &[Numbered<'_>],
        call: CallState,
    ) -> Result<(), BuildError> {
        let Some(first) = selectors.first() else { return Ok(()) };
        let (rider, dismiss, end) = (first.rider, f.label(), f.label());
        load(f, Size::Word, R1, call.entered)?;
        f.jump_if(Condition::Eq, R1, 0, end);
        if let Some(action) = rider.on_return {
            self.remember(f, first.selector, action)?;
        }
        self.act_first(f, selectors, dismiss, |f, rider, last| {
            self.report_matched(f, rider, call, last, end)
        })?;
        f.bind(dismiss);
        self.begin_return(f, rider, call, end)?;
        let word = i32::from_le_bytes([0, 0, 0, hook_flag::DISMISSED]);
        f.store_imm(Size::Word, R7, field(offset_of!(ReturnRecord, selector)), word);
        f.store_imm(Size::Word, R7, field(offset_of!(ReturnRecord, values)), 0);
        Self::send_return(f, call)?;
        f.bind(end);
        Ok(())
    }

    /// Sends the record of a return that matched, and goes to `end`.
    fn report_matched(
        &self,
        f: &mut Function<'_>,
        rider: &Rider,
        call: CallState,
        last: Option<Slot>,
        end: Label,
    ) -> Result<(), BuildError> {
        self.begin_return(f, rider, call, end)?;
        self.append_values(f, rider)?;
        self.append_stacks(f, rider)?;
        Self::send_return(f, call)?;
        Self::note_report(f, last);
        f.jump(end);
        Ok(())
    }

    /// Begins one rider's record at `R7`, with its length in `R8`; goes to `end` where the entry sent none.
    fn begin_return(
        &self,
        f: &mut Function<'_>,
        rider: &Rider,
        call: CallState,
        end: Label,
    ) -> Result<(), BuildError> {
        load(f, Size::Word, R1, call.flags)?;
        f.alu(AluOp::And, R1, i32::from(call_flag::REPORTED));
        f.jump_if(Condition::Eq, R1, 0, end);
        address(f, R7, self.memory.record);
        load(f, Size::Double, R1, call.ktime)?;
        f.store(Size::Double, R7, field(offset_of!(ReturnRecord, entered)), R1);
        load(f, Size::Word, R1, call.tid)?;
        f.store(Size::Word, R7, field(offset_of!(ReturnRecord, tid)), R1);
        let layout = rider.layout_number.cast_signed();
        f.store_imm(Size::Word, R7, field(offset_of!(ReturnRecord, layout)), layout);
        let values = i32::try_from(rider.values.len()).unwrap_or(i32::MAX);
        f.store_imm(Size::Word, R7, field(offset_of!(ReturnRecord, values)), values);
        f.constant(R8, size_of::<ReturnRecord>() as u64);
        Ok(())
    }

    /// Completes the record at `R7`, `R8` bytes long, and sends it to the ring that the entry's is in, so that it comes behind that.
    fn send_return(f: &mut Function<'_>, call: CallState) -> Result<(), BuildError> {
        f.store(Size::Word, R7, field(offset_of!(HookRecord, header.size)), R8);
        load(f, Size::Word, R1, call.flags)?;
        f.alu(AluOp::And, R1, i32::from(call_flag::ENFORCEMENT));
        submit_by_ring(f)
    }
}

/// Where a program that is attached there finds what was returned, in bytes from its context.
pub(super) fn place_of_return(
    f: &Function<'_>,
    target: &AttachSpec,
    kernel: &KernelView,
) -> Result<u32, BuildError> {
    match target {
        AttachSpec::Fexit { function } => {
            let id = kernel.function_btf(function);
            let prototype = id.and_then(|id| kernel.btf().prototype(id).ok());
            let parameters = prototype.map_or(1, |prototype| prototype.parameters().len());
            Ok(8 * u32::try_from(parameters).unwrap_or(u32::MAX / 8))
        }
        // `sys_exit(regs, ret)`
        AttachSpec::RawTracepoint { .. } | AttachSpec::BtfTracepoint { .. } => Ok(8),
        AttachSpec::None
        | AttachSpec::Kprobe { .. }
        | AttachSpec::Kretprobe { .. }
        | AttachSpec::KprobeMulti { .. }
        | AttachSpec::Tracepoint { .. }
        | AttachSpec::Fentry { .. }
        | AttachSpec::FmodRet { .. }
        | AttachSpec::Uprobe { .. }
        | AttachSpec::UprobeMulti { .. }
        | AttachSpec::Lsm { .. } => f.facts().offset_of("pt_regs", "ax"),
    }
}
