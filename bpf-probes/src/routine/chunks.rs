//! Sends memory that is too long for a record: in data records of at most [`DATA_CHUNK`] bytes, by two subprograms.
//!
//! The one that sends a piece is a callback of `bpf_loop`. Where there is none it is a global function, verified once and not in each round. Pointers cannot be
//! handed to global functions before 5.12, so it looks working memory up.

use std::mem::offset_of;

use crate::abi::{DATA_CHUNK, DataRecord, Loss, MAX_ARGUMENTS, RecordKind, map_name};
use crate::asm::{Label, Prototype, Subprogram};
use crate::builder::{BuildError, Facts, Function, LoopForm};
use crate::insn::{AluOp, Condition, Helper, Register, Size};
use Register::{R0, R1, R2, R3, R4, R6, R7, R8, R9, R10};

use super::output::submit_record;

/// Frame of the first, which a callback shares.
mod sending {
    /// Address of the next byte.
    pub(super) const ADDRESS: i16 = 0;
    /// Bytes left.
    pub(super) const LEFT: i16 = 8;
    /// The data record; where there are no callbacks, the number of the entry of working memory that it lies in.
    pub(super) const PLACE: i16 = 16;
    /// Bytes of the frame.
    pub(super) const BYTES: u32 = 24;
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
pub struct Chunks<'a> {
    /// Name of the one that is called.
    pub send: &'static str,
    /// Name of the one that sends one piece.
    pub piece: &'static str,
    /// Arguments of the first: address, length, and what `place` looks at, from 3 on.
    pub arguments: u8,
    /// Whose memory is sent.
    pub source: ChunkSource,
    /// Map of working memory where there is room for a data record and its bytes.
    pub memory: &'a str,
    /// Offset of the room in the map's entries.
    pub offset: u32,
}

impl Chunks<'_> {
    /// The subprograms, to be added to a program: `send(address, length, …) -> bytes sent`. With [`LoopForm::Bounded`] one argument more, the last, is the
    /// number of the entry of working memory.
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
        let is_bounded = facts.loops == LoopForm::Bounded;
        let arguments = self.arguments + u8::from(is_bounded);
        let mut f = Function::new(self.send, Prototype::Static { arguments }, facts).with_frame(64);
        let frame = f.slot(sending::BYTES)?;
        let at = |field: i16| frame.offset() + field;
        if is_bounded {
            f.store(Size::Double, R10, at(sending::PLACE), Register::ALL[usize::from(arguments)]);
        }
        f.store(Size::Double, R10, at(sending::ADDRESS), R1);
        f.store(Size::Double, R10, at(sending::LEFT), R2);
        f.copy(R8, R2);
        place(&mut f);
        for word in (0..header_size()).step_by(8) {
            f.store_imm(Size::Double, R7, f.offset(word)?, 0);
        }
        f.store_imm(Size::Byte, R7, field(offset_of!(DataRecord, header.kind)), RecordKind::Data as i32);
        fill(&mut f);
        let rounds = MAX_ARGUMENTS / DATA_CHUNK;
        match facts.loops {
            LoopForm::Callback => {
                f.store(Size::Double, R10, at(sending::PLACE), R7);
                f.constant(R1, u64::from(rounds));
                f.assembler().load_subprogram(R2, self.piece);
                f.slot_address(R3, frame);
                f.constant(R4, 0);
                f.call(Helper::Loop);
            }
            LoopForm::Bounded => {
                let end = f.label();
                f.repeat(R9, rounds.cast_signed(), |f| {
                    f.copy(R1, R9);
                    f.load(Size::Double, R2, R10, at(sending::PLACE));
                    f.load(Size::Double, R3, R10, at(sending::ADDRESS));
                    f.load(Size::Double, R4, R10, at(sending::LEFT));
                    f.call_subprogram(self.piece);
                    f.jump_if(Condition::Eq, R0, 0, end);
                    advance(f, R10, frame.offset(), R0);
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

    /// As a callback, `piece(index, &frame)`: 0 to go on, 1 at the end or at memory that cannot be read. Else `piece(index, entry, address, left) -> bytes sent`,
    /// 0 where the callback says 1.
    fn one(self, facts: &Facts<'_>) -> Result<Subprogram, BuildError> {
        let prototype = match facts.loops {
            LoopForm::Callback => Prototype::LoopCallback,
            LoopForm::Bounded => Prototype::Global { arguments: 4 },
        };
        let mut f = Function::new(self.piece, prototype, facts).with_frame(32);
        let place = f.slot(8)?;
        let stop = f.label();
        f.copy(R6, R1);
        match facts.loops {
            LoopForm::Callback => {
                f.store(Size::Double, R10, place.offset(), R2);
                f.load(Size::Double, R7, R2, sending::PLACE);
                f.load(Size::Double, R9, R2, sending::ADDRESS);
                f.load(Size::Double, R8, R2, sending::LEFT);
            }
            LoopForm::Bounded => {
                f.store(Size::Word, R10, place.offset(), R2);
                f.copy(R9, R3);
                f.copy(R8, R4);
                f.lookup(self.memory, place, stop);
                f.copy(R7, R0);
                f.alu(AluOp::Add, R7, self.offset.cast_signed());
            }
        }
        self.send_piece(&mut f, stop)?;
        match facts.loops {
            LoopForm::Callback => {
                f.load(Size::Double, R2, R10, place.offset());
                advance(&mut f, R2, 0, R8);
                f.return_constant(0);
                f.bind(stop);
                f.return_constant(1);
            }
            LoopForm::Bounded => {
                f.copy(R0, R8);
                f.return_result();
                f.bind(stop);
                f.return_constant(0);
            }
        }
        f.finish()
    }

    /// Sends what is at `R9`, of `R8` bytes as much as one data record holds, as record `R6` of the value, from the room at `R7`; `R8` is then how much that was.
    /// Goes to `stop` when nothing is left, or it cannot be read.
    fn send_piece(self, f: &mut Function<'_>, stop: Label) -> Result<(), BuildError> {
        let whole = f.label();
        f.jump_if(Condition::Eq, R8, 0, stop);
        f.jump_if(Condition::Le, R8, DATA_CHUNK.cast_signed(), whole);
        f.constant(R8, u64::from(DATA_CHUNK));
        f.bind(whole);
        f.copy(R1, R7);
        f.alu(AluOp::Add, R1, header_size().cast_signed());
        f.copy(R2, R8);
        f.copy(R3, R9);
        match self.source {
            ChunkSource::User => f.call(Helper::ProbeReadUser),
            ChunkSource::ByAddress => read_by_address(f),
        }
        f.jump_if(Condition::Ne, R0, 0, stop);
        f.store(Size::Word, R7, field(offset_of!(DataRecord, len)), R8);
        f.store(Size::Half, R7, field(offset_of!(DataRecord, sequence)), R6);
        f.alu(AluOp::Add, R8, header_size().cast_signed());
        f.store(Size::Word, R7, field(offset_of!(DataRecord, header.size)), R8);
        submit_record(f, map_name::EVENTS, R7, R8, Loss::Data)?;
        f.alu(AluOp::Sub, R8, header_size().cast_signed());
        Ok(())
    }
}

/// Goes on behind the `sent` bytes, in the frame at `base + offset`. Uses `R1`.
fn advance(f: &mut Function<'_>, base: Register, offset: i16, sent: Register) {
    for (at, op) in [(sending::ADDRESS, AluOp::Add), (sending::LEFT, AluOp::Sub)] {
        f.load(Size::Double, R1, base, offset + at);
        f.alu_reg(op, R1, sent);
        f.store(Size::Double, base, offset + at, R1);
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
