//! One subprogram being built: registers and stack by scope, and the plain instructions.

use super::{BuildError, Facts};
use crate::asm::{Assembler, Label, Origin, Prototype, Subprogram};
use crate::insn::jump::Width;
use crate::insn::{AluOp, Condition, Helper, Insn, Register, Size, alu, atomic, jump, memory};

/// Bytes of the frame of the program itself; subprograms called with a nearly full stack above them keep to
/// [`Function::with_frame`].
const FRAME_BYTES: u32 = 512;

/// A place in the frame: bytes at `R10 + offset`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Slot {
    offset: i16,
    bytes: u32,
}

impl Slot {
    /// Offset from the frame pointer, negative, a multiple of 8.
    pub fn offset(self) -> i16 {
        self.offset
    }

    /// Its bytes.
    pub fn bytes(self) -> u32 {
        self.bytes
    }

    /// Offset from the frame pointer of byte `at` of the slot.
    ///
    /// # Panics
    /// If `at` lies outside the slot: a mistake of the emitter.
    pub fn at(self, at: u32) -> i16 {
        assert!(at < self.bytes, "byte {at} of a slot of {} bytes", self.bytes);
        self.offset + i16::try_from(at).expect("a frame is 512 bytes")
    }
}

/// Builds one subprogram. Callee-saved registers and stack slots are handed out by [`Function::register`] and
/// [`Function::slot`] and returned by [`Function::release`] and [`Function::scope`]; `R0` to `R5` belong to the next call.
#[derive(Debug)]
pub struct Function<'k> {
    asm: Assembler,
    facts: &'k Facts<'k>,
    name: String,
    free: Vec<Register>,
    used: u32,
    temporary: Option<Slot>,
    frame: u32,
}

impl<'k> Function<'k> {
    /// Begins a subprogram.
    pub fn new(name: &str, prototype: Prototype, facts: &'k Facts<'k>) -> Self {
        Self {
            asm: Assembler::new(name, prototype),
            facts,
            name: name.to_owned(),
            free: vec![Register::R9, Register::R8, Register::R7, Register::R6],
            used: 0,
            temporary: None,
            frame: FRAME_BYTES,
        }
    }

    /// Limits the frame: the kernel allows 512 bytes for all nested frames together.
    #[must_use]
    pub fn with_frame(mut self, bytes: u32) -> Self {
        self.frame = bytes;
        self
    }

    /// The kernel's facts.
    pub fn facts(&self) -> &'k Facts<'k> {
        self.facts
    }

    /// The name given at the start.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The assembler, for what has no method here.
    pub fn assembler(&mut self) -> &mut Assembler {
        &mut self.asm
    }

    /// A callee-saved register (`R6` first).
    ///
    /// # Errors
    /// [`BuildError::Registers`] when all four are taken.
    pub fn register(&mut self) -> Result<Register, BuildError> {
        self.free.pop().ok_or_else(|| BuildError::Registers { function: self.name.clone() })
    }

    /// Gives a register back.
    pub fn release(&mut self, register: Register) {
        self.free.push(register);
    }

    /// Stack for `bytes`, rounded up to 8.
    ///
    /// # Errors
    /// [`BuildError::Stack`] when the frame is full.
    pub fn slot(&mut self, bytes: u32) -> Result<Slot, BuildError> {
        let bytes = bytes.next_multiple_of(8);
        let used = self.used + bytes;
        if used > self.frame {
            return Err(BuildError::Stack { function: self.name.clone(), bytes: used });
        }
        self.used = used;
        let offset = -i16::try_from(used).expect("a frame is 512 bytes");
        Ok(Slot { offset, bytes })
    }

    /// Runs `body` and takes back the stack that it asked for.
    ///
    /// # Errors
    /// Those of `body`.
    pub fn scope<T>(
        &mut self,
        body: impl FnOnce(&mut Self) -> Result<T, BuildError>,
    ) -> Result<T, BuildError> {
        let (used, temporary) = (self.used, self.temporary);
        let result = body(self);
        self.used = used;
        self.temporary = temporary;
        result
    }

    /// The 8 bytes through which probed reads go.
    pub(super) fn temporary(&mut self) -> Result<Slot, BuildError> {
        if let Some(slot) = self.temporary {
            return Ok(slot);
        }
        let slot = self.slot(8)?;
        self.temporary = Some(slot);
        Ok(slot)
    }

    /// `offset` as the 16 bits of an instruction.
    ///
    /// # Errors
    /// [`BuildError::Offset`] if it does not fit.
    pub fn offset(&self, offset: u32) -> Result<i16, BuildError> {
        i16::try_from(offset).map_err(|_too_large| BuildError::Offset {
            function: self.name.clone(),
            offset: i64::from(offset),
        })
    }

    /// Sets the origin of what follows and returns the one before.
    pub fn set_origin(&mut self, origin: Origin) -> Origin {
        self.asm.set_origin(origin)
    }

    /// Notes a comment before the next instruction.
    pub fn comment(&mut self, text: &str) {
        self.asm.comment(text);
    }

    /// A new label.
    pub fn label(&mut self) -> Label {
        self.asm.label()
    }

    /// Binds a label here.
    pub fn bind(&mut self, label: Label) {
        self.asm.bind(label);
    }

    /// Emits one instruction.
    pub fn emit(&mut self, insn: Insn) {
        self.asm.emit(insn);
    }

    /// `dst = value`.
    pub fn constant(&mut self, dst: Register, value: u64) {
        self.asm.load_constant(dst, value);
    }

    /// `dst = src`, nothing if they are the same.
    pub fn copy(&mut self, dst: Register, src: Register) {
        if dst != src {
            self.emit(alu::mov_reg(dst, src));
        }
    }

    /// `dst op= imm` on 64 bits.
    pub fn alu(&mut self, op: AluOp, dst: Register, imm: i32) {
        self.emit(alu::imm(op, dst, imm));
    }

    /// `dst op= src` on 64 bits.
    pub fn alu_reg(&mut self, op: AluOp, dst: Register, src: Register) {
        self.emit(alu::reg(op, dst, src));
    }

    /// `dst = address of the slot`.
    pub fn slot_address(&mut self, dst: Register, slot: Slot) {
        self.emit(alu::mov_reg(dst, Register::R10));
        self.emit(alu::add_imm(dst, i32::from(slot.offset)));
    }

    /// `dst = *(size *)(base + offset)`.
    pub fn load(&mut self, size: Size, dst: Register, base: Register, offset: i16) {
        self.emit(memory::load(size, dst, base, offset));
    }

    /// `*(size *)(base + offset) = src`.
    pub fn store(&mut self, size: Size, base: Register, offset: i16, src: Register) {
        self.emit(memory::store(size, base, offset, src));
    }

    /// `*(size *)(base + offset) = imm`.
    pub fn store_imm(&mut self, size: Size, base: Register, offset: i16, imm: i32) {
        self.emit(memory::store_imm(size, base, offset, imm));
    }

    /// `*(u64 *)(base + offset) += src`, atomically; works on every kernel.
    pub fn atomic_add(&mut self, base: Register, offset: i16, src: Register) {
        self.emit(atomic::atomic(atomic::AtomicOp::Add, Size::Double, base, offset, src));
    }

    /// Calls a helper. `R1` to `R5` are lost, `R0` is the result.
    pub fn call(&mut self, helper: Helper) {
        self.asm.call(helper);
    }

    /// Calls a subprogram of the same program.
    pub fn call_subprogram(&mut self, name: &str) {
        self.asm.call_subprogram(name);
    }

    /// Jumps.
    pub fn jump(&mut self, target: Label) {
        self.asm.jump(target);
    }

    /// Jumps to `target` when `dst condition imm` holds on 64 bits.
    pub fn jump_if(&mut self, condition: Condition, dst: Register, imm: i32, target: Label) {
        self.asm.jump_if(Width::Bits64, condition, dst, imm, target);
    }

    /// Jumps to `target` when `dst condition imm` holds on the lower 32 bits.
    pub fn jump_if32(&mut self, condition: Condition, dst: Register, imm: i32, target: Label) {
        self.asm.jump_if(Width::Bits32, condition, dst, imm, target);
    }

    /// Jumps to `target` when `dst condition src` holds on 64 bits.
    pub fn jump_if_reg(&mut self, condition: Condition, dst: Register, src: Register, target: Label) {
        self.asm.jump_if_reg(Width::Bits64, condition, dst, src, target);
    }

    /// Returns `value`.
    pub fn return_constant(&mut self, value: i32) {
        self.emit(alu::mov_imm(Register::R0, value));
        self.emit(jump::exit());
    }

    /// Returns what `R0` holds.
    pub fn return_result(&mut self) {
        self.emit(jump::exit());
    }

    /// Finishes the subprogram.
    ///
    /// # Errors
    /// [`BuildError::Assemble`].
    pub fn finish(self) -> Result<Subprogram, BuildError> {
        Ok(self.asm.finish()?)
    }
}
