//! Records: put together behind each other's common part, one for each policy that reports.

use std::mem::{offset_of, size_of};

use Register::{R0, R1, R2, R3, R6, R7, R8, R9};
use bpf_probes::abi::{HookRecord, Loss, RecordKind, ValueHeader, map_name, value_flag};
use bpf_probes::builder::{BuildError, Function};
use bpf_probes::insn::{AluOp, Condition, Helper, Register, Size};
use bpf_probes::routine::layout::{PATH_END, PATH_START};
use bpf_probes::routine::submit_record;

use super::memory::{address, load, store};
use super::program::Emitter;
use super::state::{BytesState, ObjectState};
use crate::ir::{Members, Read, ReadId, Rider};
use crate::policy::{ArgumentType, Family};

/// Longest value.
const LONGEST: i32 = 4096;

fn field(offset: usize) -> i16 {
    i16::try_from(offset).expect("records are small")
}

impl Emitter<'_> {
    /// Writes what all records of this call have in common.
    pub(super) fn begin_records(&self, f: &mut Function<'_>) -> Result<(), BuildError> {
        if !self.hook.selectors().any(crate::ir::Selector::posts) {
            return Ok(());
        }
        let state = self.state();
        f.comment("what all records have in common");
        self.note_process_for_records(f)?;
        address(f, R7, self.memory.record);
        f.call(Helper::KtimeGetBootNs);
        f.store(Size::Double, R7, field(offset_of!(HookRecord, header.ktime)), R0);
        let kind = RecordKind::Hook as i32;
        f.store_imm(Size::Word, R7, field(offset_of!(HookRecord, header.kind)), kind);
        load(f, Size::Double, R1, state.ktime)?;
        f.store(Size::Double, R7, field(offset_of!(HookRecord, process.ktime)), R1);
        load(f, Size::Double, R1, state.pid_tgid)?;
        f.store(Size::Word, R7, field(offset_of!(HookRecord, tid)), R1);
        f.alu(AluOp::Rsh, R1, 32);
        // the upper half is the reserved word
        f.store(Size::Double, R7, field(offset_of!(HookRecord, process.tgid)), R1);
        self.note_inode_modes(f)
    }

    /// Adds the inodes' modes to the headers of all paths.
    pub(super) fn note_inode_modes(&self, f: &mut Function<'_>) -> Result<(), BuildError> {
        for (id, read) in self.hook.reads() {
            if let Some(bytes) = self.state().bytes(id) {
                self.note_inode_mode(f, id, read, bytes)?;
            }
        }
        Ok(())
    }

    /// Adds the inode's mode to a path's header.
    fn note_inode_mode(
        &self,
        f: &mut Function<'_>,
        id: ReadId,
        read: Read,
        bytes: BytesState,
    ) -> Result<(), BuildError> {
        let failed = f.label();
        if !read.ty.is_path() {
            return Ok(());
        }
        load(f, Size::Half, R1, bytes.header + 4)?;
        f.alu(AluOp::And, R1, i32::from(value_flag::ERROR));
        f.jump_if(Condition::Ne, R1, 0, failed);
        if read.ty == ArgumentType::File {
            load(f, Size::Double, R8, self.state().reads[id.index()].raw)?;
            f.read(R8, R8, "file", "f_inode")?;
        } else {
            load(f, Size::Double, R8, bytes.dentry)?;
            f.read(R8, R8, "dentry", "d_inode")?;
        }
        f.read(R1, R8, "inode", "i_mode")?;
        store(f, Size::Half, bytes.header + 6, R1)?;
        f.bind(failed);
        Ok(())
    }

    /// Completes the record of one policy and sends it.
    pub(super) fn record(&self, f: &mut Function<'_>, rider: &Rider) -> Result<(), BuildError> {
        let fixed = u32::try_from(size_of::<HookRecord>()).unwrap_or(0);
        address(f, R7, self.memory.record);
        if self.hook.members == Members::One {
            let layout = rider.layout_number.cast_signed();
            f.store_imm(Size::Word, R7, field(offset_of!(HookRecord, layout)), layout);
        } else {
            self.layout_of_member(f, rider)?;
            f.store(Size::Word, R7, field(offset_of!(HookRecord, layout)), R1);
        }
        let values = i32::try_from(rider.values.len()).unwrap_or(i32::MAX);
        f.store_imm(Size::Word, R7, field(offset_of!(HookRecord, values)), values);
        f.constant(R8, u64::from(fixed));
        self.append_values(f, rider)?;
        self.append_stacks(f, rider)?;
        self.append_hash(f, rider)?;
        f.store(Size::Word, R7, field(offset_of!(HookRecord, header.size)), R8);
        self.send(f, rider)
    }

    /// Appends all values of a rider's record at `R7 + R8`.
    pub(super) fn append_values(&self, f: &mut Function<'_>, rider: &Rider) -> Result<(), BuildError> {
        for id in &rider.values {
            if let Some(object) = self.state().object(*id) {
                Self::append_object(f, object)?;
                continue;
            }
            match self.state().bytes(*id) {
                Some(bytes) => self.append_bytes(f, *id, bytes)?,
                None => self.append_number(f, *id)?,
            }
        }
        Ok(())
    }

    fn send(&self, f: &mut Function<'_>, rider: &Rider) -> Result<(), BuildError> {
        let mut posting = rider.selectors.iter().filter(|selector| selector.posts());
        if !posting.any(crate::ir::Selector::enforces_ever) {
            return submit_record(f, map_name::EVENTS, R7, R8, Loss::Hook);
        }
        load(f, Size::Word, R1, self.state().ring)?;
        submit_by_ring(f)
    }

    /// Appends a number at `R7 + R8`.
    fn append_number(&self, f: &mut Function<'_>, id: ReadId) -> Result<(), BuildError> {
        let state = self.state().reads[id.index()];
        let out = state.error.map(|_| f.label());
        if let (Some(error), Some(out)) = (state.error, out) {
            let whole = f.label();
            load(f, Size::Double, R0, error)?;
            f.jump_if(Condition::Eq, R0, 0, whole);
            append_error(f);
            f.jump(out);
            f.bind(whole);
        }
        f.copy(R1, R7);
        f.alu_reg(AluOp::Add, R1, R8);
        f.store_imm(Size::Double, R1, 0, 8);
        load(f, Size::Double, R2, state.raw)?;
        f.store(Size::Double, R1, 8, R2);
        f.alu(AluOp::Add, R8, 16);
        if let Some(out) = out {
            f.bind(out);
        }
        Ok(())
    }

    /// Appends a value of fixed size at `R7 + R8`, or that it could not be read.
    fn append_object(f: &mut Function<'_>, object: ObjectState) -> Result<(), BuildError> {
        let header = u32::try_from(size_of::<ValueHeader>()).unwrap_or(0);
        let behind = f.label();
        f.copy(R1, R7);
        f.alu_reg(AluOp::Add, R1, R8);
        load(f, Size::Double, R2, object.header)?;
        f.store(Size::Double, R1, 0, R2);
        f.alu(AluOp::Add, R8, header.cast_signed());
        load(f, Size::Half, R2, object.header + 4)?;
        f.jump_if(Condition::Ne, R2, 0, behind);
        for word in (0..object.size).step_by(8) {
            let to = f.offset(header + word)?;
            load(f, Size::Double, R2, object.value + word)?;
            f.store(Size::Double, R1, to, R2);
        }
        f.alu(AluOp::Add, R8, object.size.cast_signed());
        f.bind(behind);
        Ok(())
    }

    /// Appends the size of the whole buffer behind the header at `R1`, which is in `R2`, and moves `R1` and `R8` by as much.
    fn append_whole_size(f: &mut Function<'_>, bytes: BytesState) -> Result<(), BuildError> {
        let failed = f.label();
        load(f, Size::Half, R3, bytes.header + 4)?;
        f.alu(AluOp::And, R3, i32::from(value_flag::ERROR));
        f.jump_if(Condition::Ne, R3, 0, failed);
        f.alu(AluOp::Add, R2, 8);
        f.store(Size::Double, R1, 0, R2);
        load(f, Size::Double, R2, bytes.whole())?;
        f.store(Size::Double, R1, 8, R2);
        f.alu(AluOp::Add, R1, 8);
        f.alu(AluOp::Add, R8, 8);
        f.bind(failed);
        Ok(())
    }

    /// `R3 = where the bytes of a path or string begin`, which are `R9` many; none where the verifier could not know that they fit.
    pub(super) fn find_bytes(&self, f: &mut Function<'_>, id: ReadId, bytes: BytesState) {
        let fits = f.label();
        f.jump_if(Condition::Le, R9, LONGEST, fits);
        f.constant(R9, 0);
        f.bind(fits);
        let area = self.memory.areas[bytes.area];
        match self.hook.read(id).ty.family() {
            Family::String => address(f, R3, area + PATH_START),
            Family::Path | Family::Number(_) | Family::Object(_) | Family::Nothing => {
                f.constant(R3, u64::from(area + PATH_END));
                f.alu_reg(AluOp::Sub, R3, R9);
                f.alu_reg(AluOp::Add, R3, R6);
            }
        }
    }

    /// Appends a path or string at `R7 + R8`.
    fn append_bytes(&self, f: &mut Function<'_>, id: ReadId, bytes: BytesState) -> Result<(), BuildError> {
        let header = i32::try_from(size_of::<ValueHeader>()).unwrap_or(0);
        let behind = f.label();
        self.append_long(f, id, bytes, behind)?;
        f.copy(R1, R7);
        f.alu_reg(AluOp::Add, R1, R8);
        load(f, Size::Double, R2, bytes.header)?;
        f.store(Size::Double, R1, 0, R2);
        if self.hook.read(id).ty.is_buffer() {
            Self::append_whole_size(f, bytes)?;
        }
        f.alu(AluOp::Add, R8, header);
        load(f, Size::Word, R9, bytes.header)?;
        self.find_bytes(f, id, bytes);
        f.alu(AluOp::Add, R9, 7);
        f.alu(AluOp::And, R9, -8);
        f.jump_if(Condition::Eq, R9, 0, behind);
        f.jump_if(Condition::Gt, R9, LONGEST, behind);
        f.alu(AluOp::Add, R1, header);
        f.copy(R2, R9);
        f.call(Helper::ProbeReadKernel);
        f.alu_reg(AluOp::Add, R8, R9);
        f.bind(behind);
        Ok(())
    }
}

/// Sends the record at `R7`, `R8` bytes long: as enforcement unless `R1` is 0, else as an observation.
pub(super) fn submit_by_ring(f: &mut Function<'_>) -> Result<(), BuildError> {
    let (observed, out) = (f.label(), f.label());
    f.jump_if(Condition::Eq, R1, 0, observed);
    submit_record(f, map_name::ENFORCEMENT, R7, R8, Loss::Enforcement)?;
    f.jump(out);
    f.bind(observed);
    submit_record(f, map_name::EVENTS, R7, R8, Loss::Hook)?;
    f.bind(out);
    Ok(())
}

/// Appends at `R7 + R8` that a value could not be read, for the reason in `R0`.
pub(super) fn append_error(f: &mut Function<'_>) {
    super::read::error_header(f);
    f.copy(R1, R7);
    f.alu_reg(AluOp::Add, R1, R8);
    f.store(Size::Double, R1, 0, R0);
    f.alu(AluOp::Add, R8, 8);
}
