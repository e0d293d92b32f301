//! Buffers: bytes with a length, in one piece or in several.
//!
//! Where a buffer lies, only its address says: functions of the kernel are called with buffers of user space and with their own. On x86-64 addresses of the kernel have
//! the highest bit set.

use Register::{R0, R1, R2, R3, R6, R7, R8, R10};
use bpf_probes::abi::value_flag;
use bpf_probes::asm::Label;
use bpf_probes::builder::{BuildError, Function, Slot};
use bpf_probes::insn::{AluOp, Condition, Helper, Register, Size};
use bpf_probes::routine::layout::PATH_START;
use bpf_probes::routine::read_by_address;

use super::field::size as size_of_width;
use super::memory::{address, load, store, store_imm};
use super::program::Emitter;
use super::read::syscall_registers;
use super::state::BytesState;
use crate::ir::{Read, ReadId};
use crate::policy::{ArgumentType, BufferSize, Convention, Field, FieldForm, Place, Signedness};

/// Most bytes that are kept of a buffer.
pub(super) const MOST: i32 = 4095;
/// Pieces that are looked at.
const PIECES: u32 = 16;
/// `E2BIG`: it claims to be larger than memory.
const TOO_LARGE: i32 = 7;
/// `EFAULT`
const EFAULT: i32 = 14;

/// Numbers of the kinds of `struct iov_iter`, which kernels numbered anew now and then (`include/linux/uio.h`).
struct Kinds {
    user: Option<i32>,
    pieces: i32,
    kernel_pieces: i32,
}

impl Emitter<'_> {
    /// Notes the sizes of buffers. The context is in `R9`.
    pub(super) fn note_sizes(&self, f: &mut Function<'_>) -> Result<(), BuildError> {
        for (id, read) in self.hook.reads() {
            let (Some(size), Some(bytes)) = (read.size, self.state().bytes(id)) else { continue };
            match size {
                BufferSize::Parameter { index, bits, signed } => {
                    if let Some(registers) = syscall_registers(self.hook.convention) {
                        let register = registers.get(usize::from(index)).copied();
                        self.context_argument(f, R7, 0)?;
                        f.read(R1, R7, "pt_regs", register.unwrap_or("beyond six"))?;
                    } else {
                        self.context_argument(f, R1, index)?;
                    }
                    // by way of memory: a typed pointer that a policy calls a number becomes one there
                    store(f, Size::Double, bytes.whole(), R1)?;
                    load(f, Size::Double, R1, bytes.whole())?;
                    let half = matches!(self.hook.convention, Convention::Syscall32 { .. });
                    let bits = if half { bits.min(32) } else { bits };
                    f.extend(R1, bits.into(), signed);
                }
                BufferSize::Field(Field { offset, form: FieldForm::Value { width, signedness } }) => {
                    let at = f.offset(u32::from(offset))?;
                    f.load(size_of_width(width), R1, Register::R9, at);
                    f.extend(R1, width.bits(), signedness == Signedness::Signed);
                }
                BufferSize::Fixed(bytes) => f.constant(R1, u64::from(bytes)),
                BufferSize::Field(_) | BufferSize::Inside | BufferSize::Returned => continue,
            }
            store(f, Size::Double, bytes.whole(), R1)?;
        }
        Ok(())
    }

    /// Reads a buffer into its area.
    pub(super) fn read_buffer(
        &self,
        f: &mut Function<'_>,
        id: ReadId,
        bytes: BytesState,
    ) -> Result<(), BuildError> {
        let (error, too_large, failed, out) = (f.label(), f.label(), f.label(), f.label());
        let read = self.hook.read(id);
        let raw = self.state().reads[id.index()].raw;
        f.comment("the buffer");
        store_imm(f, Size::Word, bytes.leaf_length, 0)?;
        if read.ty == ArgumentType::IovIter {
            self.iterator(f, id, bytes, (error, too_large))?;
        } else if read.ty == ArgumentType::CharIovec && is_filled(read) {
            let nothing = f.label();
            load(f, Size::Double, R1, bytes.whole())?;
            f.jump_if(Condition::Eq, R1, 0, nothing);
            load(f, Size::Double, R1, raw)?;
            store(f, Size::Double, bytes.leaf_tail, R1)?;
            self.gather(f, id, bytes, None, (error, too_large))?;
            f.bind(nothing);
        } else if read.ty == ArgumentType::CharIovec {
            load(f, Size::Double, R1, bytes.whole())?;
            f.jump_if(Condition::SLt, R1, 0, too_large);
            store(f, Size::Double, bytes.dentry, R1)?;
            load(f, Size::Double, R1, raw)?;
            store(f, Size::Double, bytes.leaf_tail, R1)?;
            store_imm(f, Size::Double, bytes.whole(), 0)?;
            self.gather(f, id, bytes, None, (error, too_large))?;
            count_unread(f, bytes)?;
        } else {
            self.copy_piece(f, id, bytes, raw, (error, too_large))?;
        }
        self.finish_buffer(f, id, bytes)?;
        f.jump(out);
        f.bind(too_large);
        f.constant(R0, 0);
        f.alu(AluOp::Sub, R0, TOO_LARGE);
        f.jump(failed);
        f.bind(error);
        f.constant(R0, 0);
        f.alu(AluOp::Sub, R0, EFAULT);
        f.bind(failed);
        Self::note_error(f, bytes)?;
        // what an earlier buffer left is no beginning of this one
        store_imm(f, Size::Double, self.memory.areas[bytes.area] + PATH_START, 0)?;
        f.bind(out);
        Ok(())
    }

    /// Notes how much was read, and that it can be tested.
    fn finish_buffer(&self, f: &mut Function<'_>, id: ReadId, bytes: BytesState) -> Result<(), BuildError> {
        let whole = f.label();
        load(f, Size::Word, R7, bytes.leaf_length)?;
        f.alu(AluOp::And, R7, MOST);
        store(f, Size::Double, bytes.header, R7)?;
        load(f, Size::Double, R1, bytes.whole())?;
        f.jump_if_reg(Condition::Eq, R1, R7, whole);
        store_imm(f, Size::Half, bytes.header + 4, i32::from(value_flag::TRUNCATED))?;
        f.bind(whole);
        store_imm(f, Size::Word, bytes.start, PATH_START.cast_signed())?;
        store_imm(f, Size::Word, bytes.testable, 1)?;
        // what an earlier buffer left behind this one's end is neither padding nor part of it
        address(f, R1, self.memory.areas[bytes.area] + PATH_START);
        f.alu_reg(AluOp::Add, R1, R7);
        let behind = self.string_padding(id);
        if behind == 8 {
            f.store_imm(Size::Double, R1, 0, 0);
        } else {
            bpf_probes::routine::zero_fill(f, behind);
        }
        Ok(())
    }

    /// Reads a buffer in one piece, whose address lies at `from` and whose size is known.
    fn copy_piece(
        &self,
        f: &mut Function<'_>,
        id: ReadId,
        bytes: BytesState,
        from: u32,
        (error, too_large): (Label, Label),
    ) -> Result<(), BuildError> {
        let (bounded, empty) = (f.label(), f.label());
        load(f, Size::Double, R8, bytes.whole())?;
        f.jump_if(Condition::SLt, R8, 0, too_large);
        f.jump_if(Condition::Eq, R8, 0, empty);
        f.jump_if(Condition::Le, R8, MOST, bounded);
        f.constant(R8, u64::from(MOST.cast_unsigned()));
        f.bind(bounded);
        address(f, R1, self.memory.areas[bytes.area] + PATH_START);
        f.copy(R2, R8);
        load(f, Size::Double, R3, from)?;
        self.copy_from(f, id, error);
        store(f, Size::Word, bytes.leaf_length, R8)?;
        f.bind(empty);
        Ok(())
    }

    /// Copies `R2` bytes from `R3`, wherever that is, to `R1`; goes to `error` when they cannot be read.
    fn copy_from(&self, f: &mut Function<'_>, id: ReadId, error: Label) {
        let read = self.hook.read(id);
        let is_users = read.path.is_none() && read.ty != ArgumentType::IovIter;
        if is_users && self.is_in_user_memory(id) {
            f.call(Helper::ProbeReadUser);
        } else {
            read_by_address(f);
        }
        f.jump_if(Condition::Ne, R0, 0, error);
    }

    /// Reads the pieces that a list of `struct iovec` names: its address is noted, how many there are, and how much is to be left out of the first (a stack slot).
    fn gather(
        &self,
        f: &mut Function<'_>,
        id: ReadId,
        bytes: BytesState,
        skip: Option<Slot>,
        (error, too_large): (Label, Label),
    ) -> Result<(), BuildError> {
        let (read, done) = (self.hook.read(id), f.label());
        let is_filled = is_filled(read);
        f.scope(|f| {
            let piece = f.slot(16)?;
            for number in 0..PIECES {
                let (full, some) = (f.label(), f.label());
                load(f, Size::Double, R1, bytes.dentry)?;
                f.jump_if(Condition::Le, R1, number.cast_signed(), done);
                f.slot_address(R1, piece);
                f.constant(R2, 16);
                load(f, Size::Double, R3, bytes.leaf_tail)?;
                f.alu(AluOp::Add, R3, 16 * number.cast_signed());
                self.copy_from(f, id, error);
                f.load(Size::Double, R7, R10, piece.offset());
                f.load(Size::Double, R8, R10, piece.at(8));
                if let Some(skip) = skip.filter(|_| number == 0) {
                    f.load(Size::Double, R1, R10, skip.offset());
                    f.alu_reg(AluOp::Add, R7, R1);
                    f.alu_reg(AluOp::Sub, R8, R1);
                }
                f.jump_if(Condition::SLt, R8, 0, too_large);
                if skip.is_none() && read.ty == ArgumentType::CharIovec && !is_filled {
                    load(f, Size::Double, R1, bytes.whole())?;
                    f.alu_reg(AluOp::Add, R1, R8);
                    store(f, Size::Double, bytes.whole(), R1)?;
                }
                load(f, Size::Word, R1, bytes.leaf_length)?;
                f.alu(AluOp::And, R1, MOST);
                if is_filled {
                    at_most(f, bytes.whole())?;
                } else {
                    f.constant(R2, u64::from(MOST.cast_unsigned()));
                }
                f.alu_reg(AluOp::Sub, R2, R1);
                f.jump_if_reg(Condition::Le, R8, R2, some);
                f.copy(R8, R2);
                f.bind(some);
                f.jump_if(Condition::Eq, R8, 0, full);
                // once more in numbers that the verifier sees
                f.jump_if(Condition::Gt, R8, MOST, full);
                f.copy(R3, R7);
                f.copy(R2, R8);
                f.alu_reg(AluOp::Add, R1, R6);
                f.alu(AluOp::Add, R1, (self.memory.areas[bytes.area] + PATH_START).cast_signed());
                self.copy_from(f, id, error);
                load(f, Size::Word, R1, bytes.leaf_length)?;
                f.alu_reg(AluOp::Add, R1, R8);
                store(f, Size::Word, bytes.leaf_length, R1)?;
                f.bind(full);
            }
            f.bind(done);
            Ok(())
        })
    }

    /// Reads what a `struct iov_iter` is about to go over.
    fn iterator(
        &self,
        f: &mut Function<'_>,
        id: ReadId,
        bytes: BytesState,
        (error, too_large): (Label, Label),
    ) -> Result<(), BuildError> {
        const ITER: &str = "iov_iter";
        let raw = self.state().reads[id.index()].raw;
        let kinds = kinds(f);
        let (pieces, done, none, bounded) = (f.label(), f.label(), f.label(), f.label());
        let list = if f.facts().has_field(ITER, "__iov") { "__iov" } else { "iov" };
        load(f, Size::Double, R7, raw)?;
        f.scope(|f| {
            let skip = f.slot(8)?;
            // what begins where nothing can be read is none
            super::network::probe(f, Helper::ProbeReadKernel, skip, 8, error);
            f.read(R1, R7, ITER, "iov_offset")?;
            f.store(Size::Double, R10, skip.offset(), R1);
            f.read(R1, R7, ITER, "count")?;
            store(f, Size::Double, bytes.whole(), R1)?;
            f.read(R8, R7, ITER, if f.facts().has_field(ITER, "iter_type") { "iter_type" } else { "type" })?;
            if !f.facts().has_field(ITER, "iter_type") {
                // the lowest bit is the direction
                f.alu(AluOp::And, R8, !3);
            }
            if let Some(user) = kinds.user {
                let other = f.label();
                f.jump_if(Condition::Ne, R8, user, other);
                f.read(R1, R7, ITER, "ubuf")?;
                f.load(Size::Double, R2, R10, skip.offset());
                f.alu_reg(AluOp::Add, R1, R2);
                store(f, Size::Double, bytes.leaf_tail, R1)?;
                self.copy_piece(f, id, bytes, bytes.leaf_tail, (error, too_large))?;
                f.jump(done);
                f.bind(other);
            }
            f.jump_if(Condition::Eq, R8, kinds.pieces, pieces);
            f.jump_if(Condition::Ne, R8, kinds.kernel_pieces, none);
            f.bind(pieces);
            f.read(R1, R7, ITER, "nr_segs")?;
            store(f, Size::Double, bytes.dentry, R1)?;
            f.read(R1, R7, ITER, list)?;
            store(f, Size::Double, bytes.leaf_tail, R1)?;
            self.gather(f, id, bytes, Some(skip), (error, too_large))?;
            // the iterator may end before its pieces do
            load(f, Size::Word, R1, bytes.leaf_length)?;
            load(f, Size::Double, R2, bytes.whole())?;
            f.jump_if_reg(Condition::Le, R1, R2, bounded);
            store(f, Size::Word, bytes.leaf_length, R2)?;
            f.bind(bounded);
            f.jump(done);
            f.bind(none);
            // pages of the page cache and the like
            store_imm(f, Size::Double, bytes.whole(), 0)?;
            f.bind(done);
            Ok(())
        })
    }
}

/// Whether a call has filled it: then it is known how much of its pieces is.
const fn is_filled(read: Read) -> bool {
    matches!(read.place, Place::Left { .. })
}

/// `R2 =` the number at `offset`, but no more than is kept of a buffer.
fn at_most(f: &mut Function<'_>, offset: u32) -> Result<(), BuildError> {
    let fits = f.label();
    load(f, Size::Double, R2, offset)?;
    f.jump_if(Condition::Le, R2, MOST, fits);
    f.constant(R2, u64::from(MOST.cast_unsigned()));
    f.bind(fits);
    Ok(())
}

/// Counts the pieces that are not looked at as a byte each: the least that there is in them, mostly.
fn count_unread(f: &mut Function<'_>, bytes: BytesState) -> Result<(), BuildError> {
    let none = f.label();
    load(f, Size::Double, R1, bytes.dentry)?;
    f.jump_if(Condition::Le, R1, PIECES.cast_signed(), none);
    f.alu(AluOp::Sub, R1, PIECES.cast_signed());
    load(f, Size::Double, R2, bytes.whole())?;
    f.alu_reg(AluOp::Add, R2, R1);
    store(f, Size::Double, bytes.whole(), R2)?;
    f.bind(none);
    Ok(())
}

/// The numbers on this kernel, from its `enum iter_type`; where its types leave that out, from the shape of the struct.
fn kinds(f: &Function<'_>) -> Kinds {
    let facts = f.facts();
    let named = |name| facts.btf.enum_value("iter_type", name).and_then(|value| i32::try_from(value).ok());
    if let (Some(pieces), Some(kernel_pieces)) = (named("ITER_IOVEC"), named("ITER_KVEC")) {
        return Kinds { user: named("ITER_UBUF"), pieces, kernel_pieces };
    }
    let has = |field| facts.has_field("iov_iter", field);
    match (has("iter_type"), has("ubuf"), has("__iov")) {
        (false, _, _) => Kinds { user: None, pieces: 4, kernel_pieces: 8 },
        (true, false, _) => Kinds { user: None, pieces: 0, kernel_pieces: 1 },
        (true, true, false) => Kinds { user: Some(6), pieces: 0, kernel_pieces: 1 },
        (true, true, true) => Kinds { user: Some(0), pieces: 1, kernel_pieces: 3 },
    }
}
