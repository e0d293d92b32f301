//! Reading the kernel's memory, in the form that this kernel allows.
//!
//! Whatever the form: `R0` to `R5` are lost, and a field that cannot be read is zero.

use super::{BuildError, Facts, Function, ReadForm};
use crate::btf::{FieldPath, Leaf};
use crate::insn::{AluOp, Helper, Register, Size};

/// Fields as far apart as this are read at once by [`Function::read_many`].
pub(super) const SPAN_BYTES: u32 = 96;

impl Facts<'_> {
    /// The path of a field of a struct.
    ///
    /// # Errors
    /// [`BuildError::Lookup`] and [`BuildError::Path`] when this kernel lacks the struct or the field.
    pub fn field(&self, container: &str, path: &str) -> Result<FieldPath, BuildError> {
        let id = self.btf.struct_named(container)?;
        Ok(self.btf.resolve(id, path)?)
    }

    /// The byte offset of a field inside its struct.
    ///
    /// # Errors
    /// As [`Facts::field`]; also when a pointer lies on the way.
    pub fn offset_of(&self, container: &str, path: &str) -> Result<u32, BuildError> {
        let field = self.field(container, path)?;
        field.flat_offset().ok_or_else(|| BuildError::FieldSize {
            container: container.to_owned(),
            path: path.to_owned(),
            size: field.leaf.size,
        })
    }

    /// Whether the struct has the field.
    pub fn has_field(&self, container: &str, path: &str) -> bool {
        self.field(container, path).is_ok()
    }
}

fn leaf_size(container: &str, path: &str, leaf: &Leaf) -> Result<Size, BuildError> {
    Size::from_bytes(leaf.size).ok_or_else(|| BuildError::FieldSize {
        container: container.to_owned(),
        path: path.to_owned(),
        size: leaf.size,
    })
}

impl Function<'_> {
    /// `dst = base->path`, zero-extended, where `base` points to a `struct container` in the kernel. Reading a pointer that is to be followed later with
    /// other calls is fine: in the [`ReadForm::Cast`] form each call casts anew.
    ///
    /// # Errors
    /// When this kernel lacks the field, or it is no integer or pointer.
    pub fn read(
        &mut self,
        dst: Register,
        base: Register,
        container: &str,
        path: &str,
    ) -> Result<(), BuildError> {
        let field = self.facts().field(container, path)?;
        let size = leaf_size(container, path, &field.leaf)?;
        match self.facts().reads {
            ReadForm::Cast => {
                self.cast(base, container)?;
                let mut from = Register::R0;
                for step in &field.steps {
                    let offset = self.offset(step.offset)?;
                    let width = if step.deref { Size::Double } else { size };
                    let to = if step.deref { Register::R0 } else { dst };
                    self.load(width, to, from, offset);
                    from = to;
                }
            }
            ReadForm::Probe => self.probe_steps(dst, base, &field, size)?,
        }
        self.extract_bits(dst, &field.leaf);
        Ok(())
    }

    /// `R0 = (struct container *)base`, a typed pointer that plain loads may follow ([`ReadForm::Cast`] only).
    ///
    /// # Errors
    /// When this kernel lacks the struct.
    pub fn cast(&mut self, base: Register, container: &str) -> Result<(), BuildError> {
        let id = self.facts().btf.struct_named(container)?;
        self.copy(Register::R1, base);
        self.constant(Register::R2, u64::from(id.get()));
        self.assembler().call_kfunc("bpf_rdonly_cast");
        Ok(())
    }

    fn probe_steps(
        &mut self,
        dst: Register,
        base: Register,
        field: &FieldPath,
        size: Size,
    ) -> Result<(), BuildError> {
        let temporary = self.temporary()?;
        let mut from = base;
        for step in &field.steps {
            let width = if step.deref { Size::Double } else { size };
            self.copy(Register::R3, from);
            if step.offset != 0 {
                self.alu(AluOp::Add, Register::R3, i32::from(self.offset(step.offset)?));
            }
            self.slot_address(Register::R1, temporary);
            self.constant(Register::R2, u64::from(width.bytes()));
            self.call(Helper::ProbeReadKernel);
            let to = if step.deref { Register::R3 } else { dst };
            self.load(width, to, Register::R10, temporary.offset());
            from = to;
        }
        Ok(())
    }

    fn extract_bits(&mut self, dst: Register, leaf: &Leaf) {
        if let Some(bits) = leaf.bitfield {
            if bits.shift != 0 {
                self.alu(AluOp::Rsh, dst, i32::from(bits.shift));
            }
            let mask = (1_u64 << bits.bits) - 1;
            if let Ok(mask) = i32::try_from(mask) {
                self.alu(AluOp::And, dst, mask);
            } else {
                self.extend(dst, bits.bits.into(), false);
            }
        }
    }

    /// `dst = its lowest bits`, extended to 64 by the highest of them if `signed`, else by zeros; as it is from 64 bits on.
    pub fn extend(&mut self, dst: Register, bits: u32, signed: bool) {
        self.cut(dst, 0, bits, signed);
    }

    /// `dst` = so many bits of it above the lowest `shift`, extended likewise.
    pub fn cut(&mut self, dst: Register, shift: u32, bits: u32, signed: bool) {
        let above = 64_u32.saturating_sub(shift + bits);
        if above + shift > 0 {
            self.alu(AluOp::Lsh, dst, above.cast_signed());
            self.alu(if signed { AluOp::Arsh } else { AluOp::Rsh }, dst, (above + shift).cast_signed());
        }
    }

    /// Reads several fields of the struct at `base`, each into its register, with one cast or one probed read where they lie within
    /// 96 bytes of each other. `base` must be callee-saved unless the fields lie that close; it may be a destination, and so may `R1` to `R5`.
    ///
    /// # Errors
    /// As [`Function::read`]; also when a pointer lies on the way to a field.
    pub fn read_many(
        &mut self,
        base: Register,
        container: &str,
        fields: &[(Register, &str)],
    ) -> Result<(), BuildError> {
        let mut flat = Vec::with_capacity(fields.len());
        for (dst, path) in fields {
            let offset = self.facts().offset_of(container, path)?;
            let leaf = self.facts().field(container, path)?.leaf;
            flat.push((*dst, offset, leaf_size(container, path, &leaf)?));
        }
        let first = flat.iter().map(|(_, offset, _)| *offset).min().unwrap_or(0);
        let end = flat.iter().map(|(_, offset, size)| offset + size.bytes()).max().unwrap_or(0);
        match self.facts().reads {
            ReadForm::Cast => {
                self.cast(base, container)?;
                for (dst, offset, size) in flat {
                    self.load(size, dst, Register::R0, self.offset(offset)?);
                }
                Ok(())
            }
            ReadForm::Probe if end - first <= SPAN_BYTES => self.scope(|f| {
                let span = f.slot(end - first)?;
                f.copy(Register::R3, base);
                f.alu(AluOp::Add, Register::R3, i32::from(f.offset(first)?));
                f.slot_address(Register::R1, span);
                f.constant(Register::R2, u64::from(end - first));
                f.call(Helper::ProbeReadKernel);
                for (dst, offset, size) in flat {
                    f.load(size, dst, Register::R10, span.at(offset - first));
                }
                Ok(())
            }),
            ReadForm::Probe => self.scope(|f| {
                assert!(base.survives_calls(), "the base of fields far apart must survive calls");
                // destinations may be lost at the next call: all reads first, then all loads
                let mut slots = Vec::with_capacity(flat.len());
                for (_, offset, size) in &flat {
                    let slot = f.slot(8)?;
                    f.copy(Register::R3, base);
                    f.alu(AluOp::Add, Register::R3, i32::from(f.offset(*offset)?));
                    f.slot_address(Register::R1, slot);
                    f.constant(Register::R2, u64::from(size.bytes()));
                    f.call(Helper::ProbeReadKernel);
                    slots.push(slot);
                }
                for ((dst, _, size), slot) in flat.into_iter().zip(slots) {
                    f.load(size, dst, Register::R10, slot.offset());
                }
                Ok(())
            }),
        }
    }

    /// `R0 = address of the current task`. In the cast form a number all the same: [`Function::read`] casts.
    pub fn current_task(&mut self) {
        self.call(Helper::GetCurrentTask);
    }
}
