//! Maps: look-ups, cells, counters, the working memory of a CPU.

use super::{BuildError, Function, Slot};
use crate::asm::Label;
use crate::insn::{Condition, Helper, Register, Size};

impl Function<'_> {
    /// `R0` becomes the address of the value of `map` at the key in `key`, going to `absent` when there is none.
    pub fn lookup(&mut self, map: &str, key: Slot, absent: Label) {
        self.slot_address(Register::R2, key);
        self.assembler().load_map(Register::R1, map);
        self.call(Helper::MapLookupElem);
        self.jump_if(Condition::Eq, Register::R0, 0, absent);
    }

    /// Sets the value of `map` at the key in `key` to that in `value`, whether there is one or not. `R0` is the helper's answer, 0 for done.
    pub fn update(&mut self, map: &str, key: Slot, value: Slot) {
        self.slot_address(Register::R2, key);
        self.slot_address(Register::R3, value);
        self.constant(Register::R4, 0);
        self.assembler().load_map(Register::R1, map);
        self.call(Helper::MapUpdateElem);
    }

    /// `dst` becomes the address of this CPU's entry of the array `map`, going to `absent` if there is none (there always is). For programs that are not
    /// preempted: kprobes, tracepoints, and everything on a kernel that does not preempt.
    ///
    /// # Errors
    /// When the frame is full.
    pub fn cpu_entry(&mut self, dst: Register, map: &str, absent: Label) -> Result<(), BuildError> {
        self.call(Helper::GetSmpProcessorId);
        self.entry(dst, map, Register::R0, absent)
    }

    /// `dst` becomes the address of the entry of the array `map` with the number in a register, going to `absent` if there is none.
    ///
    /// # Errors
    /// When the frame is full.
    pub fn entry(
        &mut self,
        dst: Register,
        map: &str,
        number: Register,
        absent: Label,
    ) -> Result<(), BuildError> {
        self.scope(|f| {
            let key = f.slot(8)?;
            f.store(Size::Word, Register::R10, key.offset(), number);
            f.lookup(map, key, absent);
            f.copy(dst, Register::R0);
            Ok(())
        })
    }

    /// Adds one to the 64-bit counter at byte `offset` of the only value of `map`. Uses `R1` and `R2`.
    pub fn count(&mut self, map: &str, offset: u32) {
        self.assembler().load_map_value(Register::R1, map, offset);
        self.constant(Register::R2, 1);
        self.atomic_add(Register::R1, 0, Register::R2);
    }

    /// `dst = *(size *)` at byte `offset` of the only value of `map`.
    pub fn cell(&mut self, size: Size, dst: Register, map: &str, offset: u32) {
        self.assembler().load_map_value(dst, map, offset);
        self.load(size, dst, dst, 0);
    }
}
