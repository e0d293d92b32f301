//! Values that are reached from an argument, and those that lie elsewhere.
//!
//! Every pointer is read by a helper that says whether it could: a plain load of a typed pointer (`bpf_rdonly_cast`) reads zero where nothing is, which could not be told
//! from a zero that is there.

use Register::{R0, R1, R2, R3, R9};
use bpf_probes::btf::Bitfield;
use bpf_probes::builder::{BuildError, Function};
use bpf_probes::insn::{AluOp, Condition, Helper, Register, Size};

use super::memory::{address, load, store, store_imm};
use super::program::Emitter;
use crate::ir::{Read, ReadId};
use crate::policy::{ArgumentType, Family, PathEnd, Place, ValuePath};

/// `EFAULT`
const EFAULT: i32 = 14;

impl Emitter<'_> {
    /// Notes what is not among the arguments: the current task, registers at the hook. The context is in `R9`.
    pub(super) fn note_elsewhere(&self, f: &mut Function<'_>) -> Result<(), BuildError> {
        for (id, read) in self.hook.reads() {
            match read.place {
                Place::Task => {
                    f.current_task();
                    self.note_register(f, id, read, R0)?;
                }
                Place::Register(part) => {
                    let offset = f.facts().offset_of("pt_regs", part.field)?;
                    let offset = f.offset(offset)?;
                    f.load(Size::Double, R1, R9, offset);
                    f.extend(R1, 8 * u32::from(part.bytes), false);
                    self.note_register(f, id, read, R1)?;
                }
                Place::Parameter
                | Place::Field(_)
                | Place::Return
                | Place::Left { .. }
                | Place::Operand(_) => {}
            }
        }
        Ok(())
    }

    /// Replaces what is at hand by what is reached from there.
    pub(super) fn follow_paths(&self, f: &mut Function<'_>) -> Result<(), BuildError> {
        for (id, read) in self.hook.reads() {
            // what was left for the return has been reached
            let is_reached = matches!(read.place, Place::Left { .. });
            if let Some(path) = self.hook.path(read).filter(|_| !is_reached) {
                self.follow(f, id, read, path)?;
            }
        }
        Ok(())
    }

    fn follow(
        &self,
        f: &mut Function<'_>,
        id: ReadId,
        read: Read,
        path: &ValuePath,
    ) -> Result<(), BuildError> {
        let Some(state) = self.state().reads.get(id.index()) else { return Ok(()) };
        let Some(error) = state.error else { return Ok(()) };
        let raw = state.raw;
        let (failed, out) = (f.label(), f.label());
        let helper = if self.is_in_user_memory(id) { Helper::ProbeReadUser } else { Helper::ProbeReadKernel };
        f.comment("what is reached from there");
        store_imm(f, Size::Double, error, 0)?;
        load(f, Size::Double, R3, raw)?;
        for step in &path.steps {
            if step.offset != 0 {
                f.alu(AluOp::Add, R3, step.offset.cast_signed());
            }
            if step.deref {
                address(f, R1, raw);
                f.constant(R2, 8);
                f.call(helper);
                f.jump_if(Condition::Ne, R0, 0, failed);
                load(f, Size::Double, R3, raw)?;
            }
        }
        match path.end {
            PathEnd::Inside { .. } => store(f, Size::Double, raw, R3)?,
            PathEnd::Number { bytes, bits, signed } => {
                store_imm(f, Size::Double, raw, 0)?;
                address(f, R1, raw);
                f.constant(R2, u64::from(bytes));
                f.call(helper);
                f.jump_if(Condition::Ne, R0, 0, failed);
                cut(f, raw, bytes, bits, signed)?;
                if let Family::Number(ty) = read.ty.family() {
                    Self::extend(f, ty, raw)?;
                }
            }
        }
        if path.steps.len() == 1 && matches!(path.end, PathEnd::Inside { .. }) {
            // nothing was read
            return Ok(());
        }
        f.jump(out);
        f.bind(failed);
        store_imm(f, Size::Double, error, -EFAULT)?;
        // nothing lies there either, and no file is open under that number
        store_imm(f, Size::Double, raw, if read.ty == ArgumentType::Fd { -1 } else { 0 })?;
        f.bind(out);
        Ok(())
    }

    /// The most that is read of a string that lies in an array: a NUL more than there is room for, as text that fills its place has none.
    pub(super) fn array_bound(&self, read: Read, most: u32) -> Option<u32> {
        let end = self.hook.path(read).map(|path| path.end)?;
        match end {
            PathEnd::Inside { bytes: bytes @ 1.. } if read.ty == ArgumentType::String => {
                Some(most.min(bytes.saturating_add(1)))
            }
            PathEnd::Inside { .. } | PathEnd::Number { .. } => None,
        }
    }
}

/// Cuts the number at `raw` out of the bytes read, and extends it by its type's sign.
fn cut(
    f: &mut Function<'_>,
    raw: u32,
    bytes: u8,
    bits: Option<Bitfield>,
    signed: bool,
) -> Result<(), BuildError> {
    let Bitfield { shift, bits: width } = bits.unwrap_or(Bitfield { shift: 0, bits: 8 * bytes });
    if (shift, width) == (0, 64) || (bits.is_none() && !signed) {
        return Ok(());
    }
    load(f, Size::Double, R1, raw)?;
    f.cut(R1, shift.into(), width.into(), signed);
    store(f, Size::Double, raw, R1)
}
