//! Buffers larger than a record (`maxData`): sent in data records before the record that they belong to, each under a key of its own.

use std::mem::{offset_of, size_of};

use Register::{R0, R1, R2, R3, R4, R6, R7, R8, R9, R10};
use bpf_probes::abi::{
    DATA_CHUNK, DataRecord, HookRecord, Loss, MAX_ARGUMENTS, ProcessKey, RecordKind, map_name, value_flag,
};
use bpf_probes::asm::{Label, Prototype, Subprogram};
use bpf_probes::builder::{BuildError, Function, LoopForm, Program};
use bpf_probes::insn::{AluOp, Condition, Helper, Register, Size};
use bpf_probes::routine::submit_record;

use super::buffer::MOST;
use super::memory::{address, load};
use super::program::Emitter;
use super::state::BytesState;
use crate::ir::{Hook, ReadId};

/// Sends a buffer.
const SEND: &str = "send_buffer";
/// Sends one piece of it.
const PIECE: &str = "send_piece";

/// Bytes of what tells where the pieces are.
const PLACE_BYTES: u64 = 24;

/// Frame that the two share.
mod sending {
    /// Address of the next byte.
    pub(super) const ADDRESS: i16 = 0;
    /// Bytes left.
    pub(super) const LEFT: i16 = 8;
    /// The data record.
    pub(super) const RECORD: i16 = 16;
    /// Records sent.
    pub(super) const SENT: i16 = 24;
    /// Bytes of the frame.
    pub(super) const BYTES: u32 = 32;
}

/// Bytes of working memory for the pieces of a hook's buffers.
pub(super) fn memory(hook: &Hook) -> u32 {
    let some = hook.reads.iter().any(|read| read.max_data);
    if some { size::<DataRecord>() + DATA_CHUNK } else { 0 }
}

fn size<T>() -> u32 {
    u32::try_from(size_of::<T>()).expect("records are small")
}

fn field(offset: usize) -> i16 {
    i16::try_from(offset).expect("records are small")
}

impl Emitter<'_> {
    /// Sends a buffer that does not fit, and appends at `R7 + R8` what tells where it is; then goes to `done`. Falls through for one that fits, or could not be read.
    pub(super) fn append_long(
        &self,
        f: &mut Function<'_>,
        id: ReadId,
        bytes: BytesState,
        done: Label,
    ) -> Result<(), BuildError> {
        let Some(chunk) = self.memory.chunk.filter(|_| self.hook.read(id).max_data) else { return Ok(()) };
        let (fits, bounded) = (f.label(), f.label());
        load(f, Size::Half, R1, bytes.header + 4)?;
        f.alu(AluOp::And, R1, i32::from(value_flag::ERROR));
        f.jump_if(Condition::Ne, R1, 0, fits);
        load(f, Size::Double, R2, bytes.whole())?;
        f.jump_if(Condition::Le, R2, MOST, fits);
        f.jump_if(Condition::Le, R2, MAX_ARGUMENTS.cast_signed(), bounded);
        f.constant(R2, u64::from(MAX_ARGUMENTS));
        f.bind(bounded);
        load(f, Size::Double, R1, self.state().reads[id.index()].raw)?;
        address(f, R3, chunk);
        f.load(Size::Double, R4, R7, field(offset_of!(HookRecord, header.ktime)));
        f.call_subprogram(SEND);
        f.copy(R1, R7);
        f.alu_reg(AluOp::Add, R1, R8);
        let flags = u64::from(value_flag::TRUNCATED | value_flag::PIECES);
        f.constant(R2, PLACE_BYTES | flags << 32);
        f.store(Size::Double, R1, 0, R2);
        load(f, Size::Double, R2, bytes.whole())?;
        f.store(Size::Double, R1, 8, R2);
        address(f, R2, chunk);
        f.load(Size::Double, R2, R2, field(offset_of!(DataRecord, process) + offset_of!(ProcessKey, ktime)));
        f.store(Size::Double, R1, 16, R2);
        f.store(Size::Double, R1, 24, R0);
        f.alu(AluOp::Add, R8, 32);
        f.jump(done);
        f.bind(fits);
        Ok(())
    }

    /// The subprograms that send pieces.
    pub(super) fn add_pieces(&self, program: &mut Program) -> Result<(), BuildError> {
        if self.memory.chunk.is_some() {
            program.add(self.send_buffer()?);
            program.add(self.piece()?);
        }
        Ok(())
    }

    /// `send_buffer(address, length, data record, time) -> bytes sent`.
    fn send_buffer(&self) -> Result<Subprogram, BuildError> {
        let mut f = Function::new(SEND, Prototype::Static { arguments: 4 }, self.facts).with_frame(64);
        let frame = f.slot(sending::BYTES)?;
        let place = |at: i16| frame.offset() + at;
        f.store(Size::Double, R10, place(sending::ADDRESS), R1);
        f.store(Size::Double, R10, place(sending::LEFT), R2);
        f.store(Size::Double, R10, place(sending::RECORD), R3);
        f.store_imm(Size::Double, R10, place(sending::SENT), 0);
        f.copy(R8, R2);
        f.copy(R7, R3);
        f.copy(R6, R4);
        for at in (0..size::<DataRecord>()).step_by(8) {
            f.store_imm(Size::Double, R7, f.offset(at)?, 0);
        }
        f.store_imm(Size::Byte, R7, field(offset_of!(DataRecord, header.kind)), RecordKind::Data as i32);
        // before its record
        f.alu(AluOp::Sub, R6, 1);
        f.store(Size::Double, R7, field(offset_of!(DataRecord, header.ktime)), R6);
        // a thread sends one buffer at a time
        f.call(Helper::GetCurrentPidTgid);
        f.store(Size::Word, R7, field(offset_of!(DataRecord, process) + offset_of!(ProcessKey, tgid)), R0);
        f.call(Helper::KtimeGetBootNs);
        f.store(Size::Double, R7, field(offset_of!(DataRecord, process) + offset_of!(ProcessKey, ktime)), R0);
        let rounds = MAX_ARGUMENTS / DATA_CHUNK;
        match self.facts.loops {
            LoopForm::Callback => {
                f.constant(R1, u64::from(rounds));
                f.assembler().load_subprogram(R2, PIECE);
                f.slot_address(R3, frame);
                f.constant(R4, 0);
                f.call(Helper::Loop);
            }
            LoopForm::Bounded => {
                let end = f.label();
                f.repeat(R9, rounds.cast_signed(), |f| {
                    f.slot_address(R1, frame);
                    f.call_subprogram(PIECE);
                    f.jump_if(Condition::Ne, R0, 0, end);
                    Ok(())
                })?;
                f.bind(end);
            }
        }
        f.copy(R0, R8);
        f.load(Size::Double, R1, R10, place(sending::LEFT));
        f.alu_reg(AluOp::Sub, R0, R1);
        f.return_result();
        f.finish()
    }

    /// `send_piece(&frame)` or, as a callback, `send_piece(index, &frame)`: 0 to go on, 1 at the end or at memory that cannot be read.
    fn piece(&self) -> Result<Subprogram, BuildError> {
        let (prototype, argument) = match self.facts.loops {
            LoopForm::Callback => (Prototype::LoopCallback, R2),
            LoopForm::Bounded => (Prototype::Static { arguments: 1 }, R1),
        };
        let mut f = Function::new(PIECE, prototype, self.facts).with_frame(32);
        let (whole, stop, kernel, read) = (f.label(), f.label(), f.label(), f.label());
        f.copy(R6, argument);
        f.load(Size::Double, R7, R6, sending::RECORD);
        f.load(Size::Double, R8, R6, sending::LEFT);
        f.jump_if(Condition::Eq, R8, 0, stop);
        f.jump_if(Condition::Le, R8, DATA_CHUNK.cast_signed(), whole);
        f.constant(R8, u64::from(DATA_CHUNK));
        f.bind(whole);
        f.copy(R1, R7);
        f.alu(AluOp::Add, R1, size::<DataRecord>().cast_signed());
        f.copy(R2, R8);
        f.load(Size::Double, R3, R6, sending::ADDRESS);
        f.jump_if(Condition::SLt, R3, 0, kernel);
        f.call(Helper::ProbeReadUser);
        f.jump(read);
        f.bind(kernel);
        f.call(Helper::ProbeReadKernel);
        f.bind(read);
        f.jump_if(Condition::Ne, R0, 0, stop);
        f.store(Size::Word, R7, field(offset_of!(DataRecord, len)), R8);
        f.load(Size::Double, R1, R6, sending::SENT);
        f.store(Size::Word, R7, field(offset_of!(DataRecord, sequence)), R1);
        f.alu(AluOp::Add, R1, 1);
        f.store(Size::Double, R6, sending::SENT, R1);
        f.load(Size::Double, R1, R6, sending::LEFT);
        f.alu_reg(AluOp::Sub, R1, R8);
        f.store(Size::Double, R6, sending::LEFT, R1);
        f.load(Size::Double, R1, R6, sending::ADDRESS);
        f.alu_reg(AluOp::Add, R1, R8);
        f.store(Size::Double, R6, sending::ADDRESS, R1);
        f.alu(AluOp::Add, R8, size::<DataRecord>().cast_signed());
        f.store(Size::Word, R7, field(offset_of!(DataRecord, header.size)), R8);
        submit_record(&mut f, map_name::EVENTS, R7, R8, Loss::Data)?;
        f.return_constant(0);
        f.bind(stop);
        f.return_constant(1);
        f.finish()
    }
}
