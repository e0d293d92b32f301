//! Buffers larger than a record (`maxData`): sent in data records before the record that they belong to, each under a key of its own.

use std::mem::{offset_of, size_of};

use Register::{R0, R1, R2, R3, R4, R5, R6, R7, R8};
use bpf_probes::abi::{DATA_CHUNK, DataRecord, HookRecord, MAX_ARGUMENTS, ProcessKey, value_flag};
use bpf_probes::asm::{Label, Subprogram};
use bpf_probes::builder::{BuildError, Facts, Function, LoopForm, Program};
use bpf_probes::insn::{AluOp, Condition, Helper, Register, Size};
use bpf_probes::routine::{ChunkSource, Chunks};

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
        if self.facts.loops == LoopForm::Bounded {
            self.entry_number(f, R5)?;
            load(f, Size::Double, R2, bytes.whole())?;
        }
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
        if let Some(chunk) = self.memory.chunk {
            for subprogram in long_buffers(self.facts, &self.memory.map.name, chunk)? {
                program.add(subprogram);
            }
        }
        Ok(())
    }
}

/// `send_buffer(address, length, data record, time) -> bytes sent`, and what it calls; with [`LoopForm::Bounded`] the number of the entry of `memory` behind these.
fn long_buffers(facts: &Facts<'_>, memory: &str, chunk: u32) -> Result<[Subprogram; 2], BuildError> {
    let source = ChunkSource::ByAddress;
    let chunks = Chunks { send: SEND, piece: PIECE, arguments: 4, source, memory, offset: chunk };
    let place = |f: &mut Function<'_>| {
        f.copy(R7, R3);
        f.copy(R6, R4);
    };
    let fill = |f: &mut Function<'_>| {
        // before its record
        f.alu(AluOp::Sub, R6, 1);
        f.store(Size::Double, R7, field(offset_of!(DataRecord, header.ktime)), R6);
        // a thread sends one buffer at a time
        f.call(Helper::GetCurrentPidTgid);
        f.store(Size::Word, R7, field(offset_of!(DataRecord, process) + offset_of!(ProcessKey, tgid)), R0);
        f.call(Helper::KtimeGetBootNs);
        f.store(Size::Double, R7, field(offset_of!(DataRecord, process) + offset_of!(ProcessKey, ktime)), R0);
    };
    chunks.subprograms(facts, place, fill)
}
