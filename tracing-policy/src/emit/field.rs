//! Arguments of tracepoints: fields of a record, from the context in `R9`.

use Register::{R0, R1, R2, R3, R7, R9};
use bpf_probes::builder::{BuildError, Function};
use bpf_probes::insn::{AluOp, Condition, Register, Size};
use bpf_probes::spec::AttachSpec;

use super::memory::{load, store, store_imm};
use super::program::Emitter;
use super::read::TS_COMPAT;
use super::state::BytesState;
use crate::ir::ReadId;
use crate::policy::{Convention, Field, FieldForm, Place, Signedness, Width};

/// The subsystem whose records hold arguments of system calls as user space gave them.
const SYSCALLS: &str = "syscalls";
/// What tells the number of a 32-bit program's system call from the same number of a 64-bit program's.
const IS_32_BIT: u64 = 1 << 31;

impl Emitter<'_> {
    /// Notes all fields; of text its address and how long it can be.
    pub(super) fn note_fields(&self, f: &mut Function<'_>) -> Result<(), BuildError> {
        f.comment("fields of the record");
        for (id, read) in self.hook.reads() {
            let Place::Field(Field { offset, form }) = read.place else { continue };
            let at = f.offset(u32::from(offset))?;
            match form {
                FieldForm::Value { width, signedness } => {
                    f.load(size(width), R1, R9, at);
                    if signedness == Signedness::Signed {
                        f.extend(R1, width.bits(), true);
                    }
                    self.note_register(f, id, read, R1)?;
                }
                FieldForm::Text { bytes } => {
                    // a NUL more than there is room for: text that fills its place has none
                    self.note_text(f, id, i32::from(bytes) + 1)?;
                    self.move_text(f, id, |f| f.alu(AluOp::Add, R1, i32::from(offset)))?;
                }
                FieldForm::DynamicText => {
                    f.load(Size::Word, R2, R9, at);
                    f.copy(R3, R2);
                    f.alu(AluOp::Rsh, R3, 16);
                    f.alu(AluOp::And, R2, 0xffff);
                    if let Some(bytes) = self.state().bytes(id) {
                        store(f, Size::Word, bytes.leaf_length, R3)?;
                    }
                    self.move_text(f, id, |f| f.alu_reg(AluOp::Add, R1, R2))?;
                }
            }
        }
        Ok(())
    }

    fn note_text(&self, f: &mut Function<'_>, id: ReadId, bytes: i32) -> Result<(), BuildError> {
        self.state().bytes(id).map_or(Ok(()), |state| store_imm(f, Size::Word, state.leaf_length, bytes))
    }

    /// Notes the context's address, moved. It becomes a number by way of memory: the kernel allows no arithmetic on it.
    fn move_text(
        &self,
        f: &mut Function<'_>,
        id: ReadId,
        advance: impl FnOnce(&mut Function<'_>),
    ) -> Result<(), BuildError> {
        let raw = self.state().reads[id.index()].raw;
        store(f, Size::Double, raw, R9)?;
        load(f, Size::Double, R1, raw)?;
        advance(f);
        store(f, Size::Double, raw, R1)
    }

    /// Lowers `R2`, the most that is read of a string, to what a field has room for.
    pub(super) fn bound_text(
        &self,
        f: &mut Function<'_>,
        id: ReadId,
        bytes: BytesState,
        most: u32,
    ) -> Result<(), BuildError> {
        let read = self.hook.read(id);
        if let Some(bound) = self.array_bound(read, most) {
            f.constant(R2, u64::from(bound));
            return Ok(());
        }
        let Place::Field(Field { form: FieldForm::Text { .. } | FieldForm::DynamicText, .. }) = read.place
        else {
            return Ok(());
        };
        let (some, bounded) = (f.label(), f.label());
        load(f, Size::Word, R2, bytes.leaf_length)?;
        f.jump_if(Condition::Ne, R2, 0, some);
        // empty: one byte, which becomes the NUL
        f.constant(R2, 1);
        f.bind(some);
        f.jump_if(Condition::Le, R2, most.cast_signed(), bounded);
        f.constant(R2, u64::from(most));
        f.bind(bounded);
        Ok(())
    }

    /// Whether a string lies in memory of user space.
    pub(super) fn is_in_user_memory(&self, id: ReadId) -> bool {
        match (self.hook.read(id).place, self.hook.convention) {
            (Place::Task | Place::Left { is_data: true }, _) => return false,
            (Place::Register(_), convention) => return convention == Convention::User,
            (
                Place::Parameter | Place::Field(_) | Place::Return | Place::Left { .. } | Place::Operand(_),
                _,
            ) => {}
        }
        match self.hook.convention {
            Convention::Syscall { .. } | Convention::Syscall32 { .. } | Convention::User => true,
            Convention::Function | Convention::Lsm | Convention::RawTracepoint => false,
            Convention::Tracepoint => {
                let is_pointer = matches!(
                    self.hook.read(id).place,
                    Place::Field(Field { form: FieldForm::Value { .. }, .. })
                );
                let of_syscalls = matches!(self.body.target, AttachSpec::Tracepoint { category, .. } if category == SYSCALLS);
                is_pointer && of_syscalls
            }
        }
    }

    /// Sets bit 31 of the number at `raw` when the call came through a 32-bit door.
    pub(super) fn mark_32_bit(f: &mut Function<'_>, raw: u32) -> Result<(), BuildError> {
        if !f.facts().has_field("task_struct", "thread_info.status") {
            return Ok(());
        }
        let is_64_bit = f.label();
        f.current_task();
        f.copy(R7, R0);
        f.read(R1, R7, "task_struct", "thread_info.status")?;
        f.alu(AluOp::And, R1, TS_COMPAT);
        f.jump_if(Condition::Eq, R1, 0, is_64_bit);
        load(f, Size::Double, R1, raw)?;
        f.constant(R2, IS_32_BIT);
        f.alu_reg(AluOp::Or, R1, R2);
        store(f, Size::Double, raw, R1)?;
        f.bind(is_64_bit);
        Ok(())
    }
}

pub(super) fn size(width: Width) -> Size {
    match width {
        Width::W8 => Size::Byte,
        Width::W16 => Size::Half,
        Width::W32 => Size::Word,
        Width::W64 => Size::Double,
    }
}
