//! Calls whose return is to be seen: what the entry leaves for the return.
//!
//! Word is left under the thread, the call's frame and the layout of the policy's records, so that a function that calls itself is told apart, and so is each policy,
//! whatever policies come and go meanwhile. The entry removes what an earlier call with the same key left, matched or not, before anything else: what a return finds, the
//! entry of its own call has left.

use std::mem::offset_of;

use Register::{R0, R1, R2, R3, R4, R9};
use bpf_probes::abi::{Call, CallKey, HookRecord, LeftBuffer, Loss, call_flag, map_name};
use bpf_probes::asm::Label;
use bpf_probes::attach::CallEnd;
use bpf_probes::builder::{BuildError, Function};
use bpf_probes::insn::{AluOp, Condition, Helper, Register, Size};
use bpf_probes::routine::count_loss;
use bpf_probes::spec::{AttachSpec, ProgramKind};

use super::memory::{address, load, store, store_imm};
use super::program::Emitter;
use crate::ir::{ReadId, Rider, Selector};
use crate::lower::Purpose;

/// Bytes between where the stack ends at a function's entry and at its return, which takes the return address away.
const RETURN_ADDRESS: i32 = 8;

fn at(offset: usize) -> u32 {
    u32::try_from(offset).expect("word of a call is small")
}

impl Emitter<'_> {
    /// Whether a program at an entry leaves word for returns.
    pub(super) fn follows_calls(&self) -> bool {
        self.body.purpose == Purpose::Report && self.hook.riders.iter().any(|rider| rider.returns)
    }

    /// At the entry of a call: nothing is left of an earlier one. The context is in `R9`.
    pub(super) fn begin_calls(&self, f: &mut Function<'_>) -> Result<(), BuildError> {
        if !self.follows_calls() {
            return Ok(());
        }
        self.note_call(f)?;
        f.comment("nothing of an earlier call");
        for rider in self.hook.riders.iter().filter(|rider| rider.returns) {
            let absent = f.label();
            self.find_call(f, rider, absent)?;
            self.call_on(f, Helper::MapDeleteElem);
            // whose return was not seen
            count_loss(f, Loss::Return);
            f.bind(absent);
        }
        Ok(())
    }

    /// Notes which call this is. The context is in `R9`.
    pub(super) fn note_call(&self, f: &mut Function<'_>) -> Result<(), BuildError> {
        let key = self.state().call_key;
        f.comment("which call this is");
        f.current_task();
        store(f, Size::Double, key + at(offset_of!(CallKey, task)), R0)?;
        store_imm(f, Size::Word, key + at(offset_of!(CallKey, buffer)), 0)?;
        let frame = key + at(offset_of!(CallKey, frame));
        if self.hook.convention.is_syscall() {
            return store_imm(f, Size::Double, frame, 0);
        }
        if matches!(self.body.kind, ProgramKind::Fentry | ProgramKind::Fexit) {
            // both ends run in one trampoline, which keeps their context on the thread's stack
            return store(f, Size::Double, frame, R9);
        }
        let sp = f.facts().offset_of("pt_regs", "sp")?;
        let sp = f.offset(sp)?;
        f.load(Size::Double, R1, R9, sp);
        let is_behind = matches!(
            self.body.target,
            AttachSpec::Kretprobe { .. }
                | AttachSpec::Uprobe { end: CallEnd::Return, .. }
                | AttachSpec::UprobeMulti { end: CallEnd::Return, .. }
        );
        if is_behind {
            f.alu(AluOp::Sub, R1, RETURN_ADDRESS);
        }
        store(f, Size::Double, frame, R1)
    }

    /// `R0 = what the call's entry left for a rider`, going to `absent` where it left nothing.
    pub(super) fn find_call(
        &self,
        f: &mut Function<'_>,
        rider: &Rider,
        absent: Label,
    ) -> Result<(), BuildError> {
        self.of_layout(f, rider)?;
        self.find(f, absent);
        Ok(())
    }

    /// `R0 = what is under the key that was noted last`, going to `absent` where nothing is.
    fn find(&self, f: &mut Function<'_>, absent: Label) {
        self.call_on(f, Helper::MapLookupElem);
        f.jump_if(Condition::Eq, R0, 0, absent);
    }

    /// Calls a helper with the map and the key that was noted last.
    pub(super) fn call_on(&self, f: &mut Function<'_>, helper: Helper) {
        f.assembler().load_map(R1, map_name::CALLS);
        address(f, R2, self.state().call_key);
        f.call(helper);
    }

    /// The rider's record has been sent: leaves word for the return.
    pub(super) fn leave_reported(&self, f: &mut Function<'_>, rider: &Rider) -> Result<(), BuildError> {
        if !rider.returns {
            return Ok(());
        }
        let (state, record) = (self.state(), self.memory.record);
        let call = state.call;
        let failed = f.label();
        f.comment("word for the return");
        self.leave_buffers(f, rider, failed)?;
        load(f, Size::Double, R1, record + at(offset_of!(HookRecord, header.ktime)))?;
        store(f, Size::Double, call + at(offset_of!(Call, ktime)), R1)?;
        // the thread of the record, which may be that of a socket's owner
        load(f, Size::Word, R1, record + at(offset_of!(HookRecord, tid)))?;
        store(f, Size::Word, call + at(offset_of!(Call, tid)), R1)?;
        load(f, Size::Half, R1, record + at(offset_of!(HookRecord, selector)))?;
        store(f, Size::Half, call + at(offset_of!(Call, selector)), R1)?;
        load(f, Size::Word, R1, state.ring)?;
        f.alu(AluOp::Mul, R1, i32::from(call_flag::ENFORCEMENT));
        f.alu(AluOp::Or, R1, i32::from(call_flag::REPORTED));
        store(f, Size::Half, call + at(offset_of!(Call, flags)), R1)?;
        self.leave(f, rider, failed)
    }

    /// The selector matched and is not reported, or may not be: leaves word where something else is due at the return.
    pub(super) fn leave_unreported(
        &self,
        f: &mut Function<'_>,
        rider: &Rider,
        selector: &Selector,
    ) -> Result<(), BuildError> {
        let (call, failed) = (self.state().call, f.label());
        let is_awaited = selector.acts_on_return() || rider.on_return.is_some();
        let may_be_quiet = !selector.posts() || selector.post.limit.is_some();
        if !self.follows_calls() || !rider.returns || !may_be_quiet || !is_awaited {
            return Ok(());
        }
        if rider.returned_size.is_some() {
            self.leave_size(f, rider, failed)?;
            self.of_buffer(f, 0)?;
        }
        store_imm(f, Size::Double, call + at(offset_of!(Call, ktime)), 0)?;
        store_imm(f, Size::Word, call + at(offset_of!(Call, tid)), 0)?;
        store_imm(f, Size::Half, call + at(offset_of!(Call, selector)), i32::from(selector.number))?;
        store_imm(f, Size::Half, call + at(offset_of!(Call, flags)), 0)?;
        self.leave(f, rider, failed)
    }

    /// Makes the key that of a rider.
    fn of_layout(&self, f: &mut Function<'_>, rider: &Rider) -> Result<(), BuildError> {
        let at = self.state().call_key + at(offset_of!(CallKey, layout));
        store_imm(f, Size::Word, at, rider.layout_number.cast_signed())
    }

    /// Makes the key that of a buffer, counted from 1, or with 0 that of the call.
    fn of_buffer(&self, f: &mut Function<'_>, number: u32) -> Result<(), BuildError> {
        let at = self.state().call_key + at(offset_of!(CallKey, buffer));
        store_imm(f, Size::Word, at, number.cast_signed())
    }

    /// Takes the buffers that the entry left for a rider whose word has been found. Those of which none is found lie nowhere.
    pub(super) fn take_buffers(&self, f: &mut Function<'_>, rider: &Rider) -> Result<(), BuildError> {
        for (left, number) in rider.left.iter().zip(1..) {
            let absent = f.label();
            let raw = self.state().reads[left.read.index()].raw;
            self.of_buffer(f, number)?;
            self.find(f, absent);
            f.load(Size::Double, R1, R0, field(offset_of!(LeftBuffer, address)));
            store(f, Size::Double, raw, R1)?;
            if let Some(bytes) = self.state().bytes(left.read) {
                f.load(Size::Double, R1, R0, field(offset_of!(LeftBuffer, count)));
                store(f, Size::Double, bytes.dentry, R1)?;
            }
            self.call_on(f, Helper::MapDeleteElem);
            f.bind(absent);
        }
        if let Some(bytes) = rider.returned_size.and_then(|read| self.state().bytes(read)) {
            let absent = f.label();
            self.of_buffer(f, number_of_size(rider))?;
            self.find(f, absent);
            f.load(Size::Double, R1, R0, field(offset_of!(LeftBuffer, count)));
            store(f, Size::Double, bytes.dentry, R1)?;
            self.call_on(f, Helper::MapDeleteElem);
            f.bind(absent);
        }
        if leaves_more(rider) { self.of_buffer(f, 0) } else { Ok(()) }
    }

    /// Leaves a rider's buffers for the return; goes to `failed` where there is no room.
    fn leave_buffers(&self, f: &mut Function<'_>, rider: &Rider, failed: Label) -> Result<(), BuildError> {
        let call = self.state().call;
        for (left, number) in rider.left.iter().zip(1..) {
            let raw = |read: ReadId| self.state().reads[read.index()].raw;
            load(f, Size::Double, R1, raw(left.read))?;
            store(f, Size::Double, call + at(offset_of!(LeftBuffer, address)), R1)?;
            match left.count {
                Some(count) => load(f, Size::Double, R1, raw(count))?,
                None => f.constant(R1, 1),
            }
            store(f, Size::Double, call + at(offset_of!(LeftBuffer, count)), R1)?;
            self.of_buffer(f, number)?;
            self.update_call(f, rider)?;
            f.jump_if(Condition::Ne, R0, 0, failed);
        }
        self.leave_size(f, rider, failed)?;
        if leaves_more(rider) { self.of_buffer(f, 0) } else { Ok(()) }
    }

    /// Leaves how large the buffer is that a rider's call returns; goes to `failed` where there is no room.
    fn leave_size(&self, f: &mut Function<'_>, rider: &Rider, failed: Label) -> Result<(), BuildError> {
        let Some(size) = rider.returned_size else { return Ok(()) };
        let call = self.state().call;
        load(f, Size::Double, R1, self.state().reads[size.index()].raw)?;
        store(f, Size::Double, call + at(offset_of!(LeftBuffer, count)), R1)?;
        store_imm(f, Size::Double, call + at(offset_of!(LeftBuffer, address)), 0)?;
        self.of_buffer(f, number_of_size(rider))?;
        self.update_call(f, rider)?;
        f.jump_if(Condition::Ne, R0, 0, failed);
        Ok(())
    }

    /// Puts the value in `call` under the key; `R0` is the map's answer.
    fn update_call(&self, f: &mut Function<'_>, rider: &Rider) -> Result<(), BuildError> {
        self.of_layout(f, rider)?;
        address(f, R3, self.state().call);
        f.constant(R4, 0);
        self.call_on(f, Helper::MapUpdateElem);
        Ok(())
    }

    fn leave(&self, f: &mut Function<'_>, rider: &Rider, failed: Label) -> Result<(), BuildError> {
        let done = f.label();
        self.update_call(f, rider)?;
        f.jump_if(Condition::Eq, R0, 0, done);
        f.bind(failed);
        count_loss(f, Loss::Return);
        if leaves_more(rider) {
            self.of_buffer(f, 0)?;
        }
        f.bind(done);
        Ok(())
    }
}

/// Whether an entry leaves more than word of the call.
const fn leaves_more(rider: &Rider) -> bool {
    !rider.left.is_empty() || rider.returned_size.is_some()
}

/// The number under which the size of what the call returns is left: behind all buffers.
fn number_of_size(rider: &Rider) -> u32 {
    u32::try_from(rider.left.len()).unwrap_or(u32::MAX - 1) + 1
}

fn field(offset: usize) -> i16 {
    i16::try_from(offset).expect("word of a call is small")
}
