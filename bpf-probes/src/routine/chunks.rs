//! Sends memory that is too long for a record: in data records of at most [`DATA_CHUNK`] bytes, by two subprograms.

use std::mem::offset_of;

use crate::abi::{DATA_CHUNK, DataRecord, Loss, MAX_ARGUMENTS, RecordKind, map_name};
use crate::asm::{Prototype, Subprogram};
use crate::builder::{BuildError, Facts, Function, LoopForm};
use crate::insn::{AluOp, Condition, Helper, Register, Size};
use Register::{R0, R1, R2, R3, R4, R6, R7, R8, R9, R10};

use super::output::submit_record;

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

/// Whose memory is sent.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ChunkSource {
    /// The process's.
    User,
    /// The kernel's or the process's, as the address says.
    ByAddress,
}

/// The two subprograms.
#[derive(Clone, Copy, Debug)]
pub struct Chunks {
    /// Name of the one that is called.
    pub send: &'static str,
    /// Name of the one that sends one piece.
    pub piece: &'static str,
    /// Arguments of the first: address, length, and what `place` looks at, from 3 on.
    pub arguments: u8,
    /// Whose memory is sent.
    pub source: ChunkSource,
}

impl Chunks {
    /// The subprograms, to be added to a program: `send(address, length, …) -> bytes sent`.
    ///
    /// `place` puts the address of room for a data record and its bytes into `R7`, from the arguments behind the first two, and may keep something in `R6`;
    /// `fill` then completes the header at `R7`, which is zero but for its kind, with the process and the time.
    ///
    /// # Errors
    /// When the frame is full, or a closure fails.
    pub fn subprograms(
        self,
        facts: &Facts<'_>,
        place: impl FnOnce(&mut Function<'_>),
        fill: impl FnOnce(&mut Function<'_>),
    ) -> Result<[Subprogram; 2], BuildError> {
        Ok([self.all(facts, place, fill)?, self.one(facts)?])
    }

    fn all(
        self,
        facts: &Facts<'_>,
        place: impl FnOnce(&mut Function<'_>),
        fill: impl FnOnce(&mut Function<'_>),
    ) -> Result<Subprogram, BuildError> {
        let prototype = Prototype::Static { arguments: self.arguments };
        let mut f = Function::new(self.send, prototype, facts).with_frame(64);
        let frame = f.slot(sending::BYTES)?;
        let at = |field: i16| frame.offset() + field;
        f.store(Size::Double, R10, at(sending::ADDRESS), R1);
        f.store(Size::Double, R10, at(sending::LEFT), R2);
        f.copy(R8, R2);
        place(&mut f);
        f.store(Size::Double, R10, at(sending::RECORD), R7);
        f.store_imm(Size::Double, R10, at(sending::SENT), 0);
        for word in (0..header_size()).step_by(8) {
            f.store_imm(Size::Double, R7, f.offset(word)?, 0);
        }
        f.store_imm(Size::Byte, R7, field(offset_of!(DataRecord, header.kind)), RecordKind::Data as i32);
        fill(&mut f);
        let rounds = MAX_ARGUMENTS / DATA_CHUNK;
        match facts.loops {
            LoopForm::Callback => {
                f.constant(R1, u64::from(rounds));
                f.assembler().load_subprogram(R2, self.piece);
                f.slot_address(R3, frame);
                f.constant(R4, 0);
                f.call(Helper::Loop);
            }
            LoopForm::Bounded => {
                let end = f.label();
                f.repeat(R9, rounds.cast_signed(), |f| {
                    f.slot_address(R1, frame);
                    f.call_subprogram(self.piece);
                    f.jump_if(Condition::Ne, R0, 0, end);
                    Ok(())
                })?;
                f.bind(end);
            }
        }
        f.copy(R0, R8);
        f.load(Size::Double, R1, R10, at(sending::LEFT));
        f.alu_reg(AluOp::Sub, R0, R1);
        f.return_result();
        f.finish()
    }

    /// `piece(&frame)` or, as a callback, `piece(index, &frame)`: 0 to go on, 1 at the end or at memory that cannot be read.
    fn one(self, facts: &Facts<'_>) -> Result<Subprogram, BuildError> {
        let (prototype, argument) = match facts.loops {
            LoopForm::Callback => (Prototype::LoopCallback, R2),
            LoopForm::Bounded => (Prototype::Static { arguments: 1 }, R1),
        };
        let mut f = Function::new(self.piece, prototype, facts).with_frame(32);
        let (whole, stop) = (f.label(), f.label());
        f.copy(R6, argument);
        f.load(Size::Double, R7, R6, sending::RECORD);
        f.load(Size::Double, R8, R6, sending::LEFT);
        f.jump_if(Condition::Eq, R8, 0, stop);
        f.jump_if(Condition::Le, R8, DATA_CHUNK.cast_signed(), whole);
        f.constant(R8, u64::from(DATA_CHUNK));
        f.bind(whole);
        f.copy(R1, R7);
        f.alu(AluOp::Add, R1, header_size().cast_signed());
        f.copy(R2, R8);
        f.load(Size::Double, R3, R6, sending::ADDRESS);
        match self.source {
            ChunkSource::User => f.call(Helper::ProbeReadUser),
            ChunkSource::ByAddress => read_by_address(&mut f),
        }
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
        f.alu(AluOp::Add, R8, header_size().cast_signed());
        f.store(Size::Word, R7, field(offset_of!(DataRecord, header.size)), R8);
        submit_record(&mut f, map_name::EVENTS, R7, R8, Loss::Data)?;
        f.return_constant(0);
        f.bind(stop);
        f.return_constant(1);
        f.finish()
    }
}

/// Reads `R2` bytes from `R3`, of the kernel where its sign says so and else of the process, to `R1`; `R0` is the helper's answer.
pub fn read_by_address(f: &mut Function<'_>) {
    let (kernel, done) = (f.label(), f.label());
    f.jump_if(Condition::SLt, R3, 0, kernel);
    f.call(Helper::ProbeReadUser);
    f.jump(done);
    f.bind(kernel);
    f.call(Helper::ProbeReadKernel);
    f.bind(done);
}

fn header_size() -> u32 {
    u32::try_from(size_of::<DataRecord>()).expect("records are small")
}

fn field(offset: usize) -> i16 {
    i16::try_from(offset).expect("records are small")
}
