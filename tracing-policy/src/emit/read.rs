//! Arguments: from registers, from the registers that user space left, and from memory that they point to.

use Register::{R0, R1, R2, R3, R4, R5, R7, R8, R9};
use bpf_probes::abi::value_flag;
use bpf_probes::asm::Label;
use bpf_probes::builder::{BuildError, Function, LoopForm};
use bpf_probes::insn::{AluOp, Condition, Helper, Register, Size, alu};
use bpf_probes::routine::layout::{PATH_END, PATH_START};
use bpf_probes::routine::{LENGTH_MASK, PATH_WALK};
use bpf_probes::spec::ProgramKind;

use super::member::look_up_member;
use super::memory::{address, load, store, store_imm};
use super::program::Emitter;
use super::state::BytesState;
use crate::ir::{Members, Read, ReadId};
use crate::policy::{ArgumentType, Convention, Family, IntegerType, Place, Signedness, Width};

/// Fields of `struct pt_regs` that carry the arguments of a system call (x86-64: `arch/x86/entry/calling.h`).
const SYSCALL_REGISTERS: [&str; 6] = ["di", "si", "dx", "r10", "r8", "r9"];
/// The same for a system call of a 32-bit program.
const SYSCALL32_REGISTERS: [&str; 6] = ["bx", "cx", "dx", "si", "di", "bp"];
/// Longest string that is read, its NUL included.
const STRING_BYTES: u32 = PATH_END - PATH_START;
/// `EFAULT`
const EFAULT: u64 = 14;
/// Flag of a thread whose system call came through a 32-bit door (`TS_COMPAT`, `arch/x86/include/asm/thread_info.h`).
pub(super) const TS_COMPAT: i32 = 2;

/// The fields of `struct pt_regs` that carry the arguments; `None` where it is no system call that has been entered.
pub(super) const fn syscall_registers(convention: Convention) -> Option<[&'static str; 6]> {
    match convention {
        Convention::Syscall { .. } => Some(SYSCALL_REGISTERS),
        Convention::Syscall32 { .. } => Some(SYSCALL32_REGISTERS),
        Convention::Function
        | Convention::Lsm
        | Convention::Tracepoint
        | Convention::RawTracepoint
        | Convention::User => None,
    }
}

impl Emitter<'_> {
    /// For programs that see every system call: goes to `other` unless it is the hook's. The context is in `R9`.
    pub(super) fn only_this_syscall(&self, f: &mut Function<'_>, other: Label) -> Result<(), BuildError> {
        let (number, is_32_bit) = match self.hook.convention {
            Convention::Syscall { number } => (number, false),
            Convention::Syscall32 { number } => (number, true),
            Convention::Function
            | Convention::Lsm
            | Convention::Tracepoint
            | Convention::RawTracepoint
            | Convention::User => return Ok(()),
        };
        if !self.sees_all_syscalls() {
            return Ok(());
        }
        if self.hook.members == Members::One {
            f.comment("only this system call");
            f.load(Size::Double, R1, R9, 8);
            f.jump_if(Condition::Ne, R1, number.cast_signed(), other);
        } else {
            look_up_member(f, other)?;
        }
        if f.facts().has_field("task_struct", "thread_info.status") {
            f.current_task();
            f.copy(R7, R0);
            f.read(R1, R7, "task_struct", "thread_info.status")?;
            f.alu(AluOp::And, R1, TS_COMPAT);
            let wanted = if is_32_bit { Condition::Eq } else { Condition::Ne };
            f.jump_if(wanted, R1, 0, other);
        }
        Ok(())
    }

    /// Whether the program runs at every system call.
    pub(super) fn sees_all_syscalls(&self) -> bool {
        let is_tracepoint = matches!(self.body.kind, ProgramKind::RawTracepoint | ProgramKind::BtfTracepoint);
        is_tracepoint && self.hook.convention.is_syscall()
    }

    /// Notes the registers of all arguments, extended by their types. The context is in `R9`.
    pub(super) fn note_registers(&self, f: &mut Function<'_>) -> Result<(), BuildError> {
        if self.hook.reads.is_empty() {
            return Ok(());
        }
        match self.hook.convention {
            Convention::Tracepoint => self.note_fields(f)?,
            Convention::Function | Convention::Lsm | Convention::RawTracepoint | Convention::User => {
                for (id, read) in self.hook.reads() {
                    match read.place {
                        Place::Operand(operand) => self.operand(f, id, operand)?,
                        Place::Parameter => self.context_argument(f, R1, read.index)?,
                        Place::Field(_)
                        | Place::Task
                        | Place::Register(_)
                        | Place::Return
                        | Place::Left { .. } => {
                            continue;
                        }
                    }
                    self.note_register(f, id, read, R1)?;
                    if let Some(bytes) = self.state().bytes(id).filter(|_| self.has_length(id)) {
                        self.context_argument(f, R1, read.index + 1)?;
                        store(f, Size::Double, bytes.dentry, R1)?;
                    }
                }
            }
            Convention::Syscall { .. } | Convention::Syscall32 { .. } => self.note_syscall_registers(f)?,
        }
        self.note_sizes(f)?;
        self.note_elsewhere(f)?;
        self.follow_paths(f)?;
        self.read_sets(f)
    }

    /// Reads the sets of capabilities that registers point to, in their place.
    pub(super) fn read_sets(&self, f: &mut Function<'_>) -> Result<(), BuildError> {
        let is_set = |read: Read| matches!(read.ty, ArgumentType::Capabilities(_));
        for (id, read) in self.hook.reads() {
            let Some(state) = self.state().reads.get(id.index()) else { continue };
            let Some(error) = state.error.filter(|_| is_set(read)) else { continue };
            let in_user_memory = self.is_in_user_memory(id);
            let helper = if in_user_memory { Helper::ProbeReadUser } else { Helper::ProbeReadKernel };
            address(f, R1, state.raw);
            f.constant(R2, 8);
            load(f, Size::Double, R3, state.raw)?;
            f.call(helper);
            store(f, Size::Double, error, R0)?;
        }
        Ok(())
    }

    fn note_syscall_registers(&self, f: &mut Function<'_>) -> Result<(), BuildError> {
        f.comment("arguments of the system call");
        self.context_argument(f, R7, 0)?;
        let reads: Vec<_> = self.hook.reads().filter(|(_, read)| read.place == Place::Parameter).collect();
        let is_32_bit = matches!(self.hook.convention, Convention::Syscall32 { .. });
        let names = syscall_registers(self.hook.convention).unwrap_or(SYSCALL_REGISTERS);
        for group in reads.chunks(4) {
            let registers = [R1, R2, R3, R4];
            let mut fields = Vec::with_capacity(group.len());
            for (register, (_, read)) in registers.iter().zip(group) {
                let field = names.get(usize::from(read.index)).copied().unwrap_or("beyond six");
                fields.push((*register, field));
            }
            f.read_many(R7, "pt_regs", &fields)?;
            for (register, (id, read)) in registers.iter().zip(group) {
                if is_32_bit {
                    narrow(f, *register, *read);
                }
                self.note_register(f, *id, *read, *register)?;
            }
        }
        Ok(())
    }

    pub(super) fn note_register(
        &self,
        f: &mut Function<'_>,
        id: ReadId,
        read: Read,
        register: Register,
    ) -> Result<(), BuildError> {
        let raw = self.state().reads[id.index()].raw;
        store(f, Size::Double, raw, register)?;
        if read.path.is_some() {
            return Ok(());
        }
        if let Family::Number(ty) = read.ty.family() {
            // by way of memory: a typed pointer that a policy calls a number becomes one there
            Self::extend(f, ty, raw)?;
        }
        if read.is_syscall { Self::mark_32_bit(f, raw) } else { Ok(()) }
    }

    pub(super) fn extend(f: &mut Function<'_>, ty: IntegerType, raw: u32) -> Result<(), BuildError> {
        if ty.width == Width::W64 {
            return Ok(());
        }
        load(f, super::field::size(ty.width), R5, raw)?;
        if ty.signedness == Signedness::Signed {
            f.extend(R5, ty.width.bits(), true);
        }
        store(f, Size::Double, raw, R5)
    }

    /// Reads a path or string into its area, an object into its place.
    pub(super) fn read_bytes(&self, f: &mut Function<'_>, id: ReadId) -> Result<(), BuildError> {
        if let Some(object) = self.state().object(id) {
            return self.read_object(f, id, object);
        }
        let Some(bytes) = self.state().bytes(id) else { return Ok(()) };
        match self.hook.read(id).ty.family() {
            Family::Number(_) | Family::Nothing | Family::Object(_) => Ok(()),
            Family::String if self.hook.read(id).ty == ArgumentType::SockaddrUn => {
                self.read_unix_address(f, id, bytes)
            }
            Family::String if self.hook.read(id).ty.is_buffer() => self.read_buffer(f, id, bytes),
            Family::String => self.read_string(f, id, bytes),
            Family::Path => {
                if !self.has_leaf_phase(id) {
                    self.resolve_path(f, id, bytes)?;
                }
                self.walk(f, bytes)
            }
        }
    }

    /// Notes the dentry and mount of a `struct file *` or `struct path *`.
    pub(super) fn resolve_path(
        &self,
        f: &mut Function<'_>,
        id: ReadId,
        bytes: BytesState,
    ) -> Result<(), BuildError> {
        load(f, Size::Double, R7, self.state().reads[id.index()].raw)?;
        let ty = self.hook.read(id).ty;
        if ty == ArgumentType::Path {
            f.read_many(R7, "path", &[(R7, "dentry"), (R8, "mnt")])?;
        } else if ty == ArgumentType::Dentry {
            // no mount: as far as the root of the file system
            f.constant(R8, 0);
        } else {
            file_of(f, ty)?;
            f.read_many(R7, "file", &[(R7, "f_path.dentry"), (R8, "f_path.mnt")])?;
        }
        store(f, Size::Double, bytes.dentry, R7)?;
        store(f, Size::Double, bytes.mount, R8)
    }

    fn walk(&self, f: &mut Function<'_>, bytes: BytesState) -> Result<(), BuildError> {
        let (error, out) = (f.label(), f.label());
        let area = self.memory.areas[bytes.area];
        f.comment("the path");
        if self.facts.loops == LoopForm::Bounded {
            self.entry_number(f, R4)?;
            f.constant(R5, u64::from(area));
        }
        load(f, Size::Double, R1, bytes.dentry)?;
        load(f, Size::Double, R2, bytes.mount)?;
        f.jump_if(Condition::Eq, R1, 0, error);
        address(f, R3, area);
        f.call_subprogram(PATH_WALK);
        f.copy(R1, R0);
        f.alu(AluOp::And, R1, LENGTH_MASK);
        f.constant(R2, u64::from(PATH_END));
        f.alu_reg(AluOp::Sub, R2, R1);
        store(f, Size::Word, bytes.start, R2)?;
        f.alu(AluOp::Rsh, R0, 32);
        f.alu(AluOp::Mul, R0, i32::from(value_flag::UNRESOLVED_COMPONENTS));
        f.alu(AluOp::Lsh, R0, 32);
        f.alu_reg(AluOp::Or, R0, R1);
        store(f, Size::Double, bytes.header, R0)?;
        store(f, Size::Word, bytes.testable, R1)?;
        f.jump(out);
        f.bind(error);
        f.constant(R1, EFAULT << 48 | u64::from(value_flag::ERROR) << 32);
        store(f, Size::Double, bytes.header, R1)?;
        Self::no_bytes(f, bytes)?;
        f.bind(out);
        Ok(())
    }

    fn no_bytes(f: &mut Function<'_>, bytes: BytesState) -> Result<(), BuildError> {
        store_imm(f, Size::Word, bytes.start, PATH_END.cast_signed())?;
        store_imm(f, Size::Word, bytes.testable, 0)
    }

    fn read_string(&self, f: &mut Function<'_>, id: ReadId, bytes: BytesState) -> Result<(), BuildError> {
        let (error, whole, out) = (f.label(), f.label(), f.label());
        let raw = self.state().reads[id.index()].raw;
        let begin = self.memory.areas[bytes.area] + PATH_START;
        let ty = self.hook.read(id).ty;
        let (read_string, read) = if ty == ArgumentType::String && self.is_in_user_memory(id) {
            (Helper::ProbeReadUserStr, Helper::ProbeReadUser)
        } else {
            (Helper::ProbeReadKernelStr, Helper::ProbeReadKernel)
        };
        f.comment("the string");
        find_text(f, ty, raw)?;
        address(f, R1, begin);
        f.constant(R2, u64::from(STRING_BYTES));
        self.bound_text(f, id, bytes, STRING_BYTES)?;
        load(f, Size::Double, R3, raw)?;
        f.call(read_string);
        f.jump_if(Condition::SLt, R0, 1, error);
        f.jump_if(Condition::Gt, R0, STRING_BYTES.cast_signed(), error);
        f.copy(R7, R0);
        f.alu(AluOp::Sub, R7, 1);
        store(f, Size::Double, bytes.header, R7)?;
        store_imm(f, Size::Word, bytes.start, PATH_START.cast_signed())?;
        store_imm(f, Size::Word, bytes.testable, 1)?;
        // what an earlier string left behind this one's end is neither padding nor part of a key
        address(f, R1, begin);
        f.alu_reg(AluOp::Add, R1, R7);
        let behind = self.string_padding(id);
        if behind == 8 {
            f.store_imm(Size::Double, R1, 0, 0);
        } else {
            bpf_probes::routine::zero_fill(f, behind);
        }
        f.jump_if(Condition::Ne, R7, STRING_BYTES.cast_signed() - 1, whole);
        Self::note_cut(f, bytes, raw, read)?;
        f.bind(whole);
        f.jump(out);
        f.bind(error);
        Self::note_error(f, bytes)?;
        f.bind(out);
        Ok(())
    }

    /// Notes that nothing could be read; `R0` says why, a negative errno.
    pub(super) fn note_error(f: &mut Function<'_>, bytes: BytesState) -> Result<(), BuildError> {
        error_header(f);
        store(f, Size::Double, bytes.header, R0)?;
        Self::no_bytes(f, bytes)
    }

    /// Notes that a string of full length goes on.
    fn note_cut(f: &mut Function<'_>, bytes: BytesState, raw: u32, read: Helper) -> Result<(), BuildError> {
        let whole = f.label();
        f.scope(|f| {
            let next = f.slot(8)?;
            f.store_imm(Size::Double, Register::R10, next.offset(), 0);
            f.slot_address(R1, next);
            f.constant(R2, 1);
            load(f, Size::Double, R3, raw)?;
            f.alu(AluOp::Add, R3, STRING_BYTES.cast_signed() - 1);
            f.call(read);
            f.load(Size::Double, R1, Register::R10, next.offset());
            f.jump_if(Condition::Eq, R1, 0, whole);
            store_imm(f, Size::Half, bytes.header + 4, i32::from(value_flag::TRUNCATED))?;
            f.bind(whole);
            Ok(())
        })
    }
}

/// What a 32-bit program passed: the lower half of the register, with the sign of a `long`.
fn narrow(f: &mut Function<'_>, register: Register, read: Read) {
    let is_signed = matches!(read.ty, ArgumentType::Integer(ty) if ty.signedness == Signedness::Signed);
    f.extend(register, 32, is_signed);
}

/// `R0 = the header of a value that could not be read`, from the negative errno in it. Uses `R1`.
pub(super) fn error_header(f: &mut Function<'_>) {
    f.emit(alu::imm(AluOp::Neg, R0, 0));
    f.alu(AluOp::And, R0, 0xffff);
    f.alu(AluOp::Lsh, R0, 48);
    f.constant(R1, u64::from(value_flag::ERROR) << 32);
    f.alu_reg(AluOp::Or, R0, R1);
}

/// Puts the address of an object's text in the place of the object's own.
fn find_text(f: &mut Function<'_>, ty: ArgumentType, raw: u32) -> Result<(), BuildError> {
    if ty == ArgumentType::Filename {
        load(f, Size::Double, R7, raw)?;
        f.read(R1, R7, "filename", "name")?;
        store(f, Size::Double, raw, R1)?;
    } else if ty == ArgumentType::NetDevice {
        let name = f.facts().offset_of("net_device", "name")?;
        load(f, Size::Double, R1, raw)?;
        f.alu(AluOp::Add, R1, name.cast_signed());
        store(f, Size::Double, raw, R1)?;
    }
    Ok(())
}

/// `R7 = the struct file` that belongs to what the register `R7` holds; 0 where there is none. Uses `R8`.
fn file_of(f: &mut Function<'_>, ty: ArgumentType) -> Result<(), BuildError> {
    if ty == ArgumentType::Kiocb {
        f.read(R7, R7, "kiocb", "ki_filp")
    } else if ty == ArgumentType::LinuxBinprm {
        f.read(R7, R7, "linux_binprm", "file")
    } else if ty == ArgumentType::Fd {
        file_of_descriptor(f)
    } else {
        Ok(())
    }
}

/// `R7` = the current process's file with the descriptor in the lower half of `R7`, 0 where there is none (`fs/file.c: files_lookup_fd_raw`).
fn file_of_descriptor(f: &mut Function<'_>) -> Result<(), BuildError> {
    let (none, out) = (f.label(), f.label());
    f.copy(R8, R7);
    f.extend(R8, 32, false);
    f.current_task();
    f.copy(R7, R0);
    f.read(R7, R7, "task_struct", "files")?;
    f.read(R7, R7, "files_struct", "fdt")?;
    f.read_many(R7, "fdtable", &[(R1, "max_fds"), (R7, "fd")])?;
    f.jump_if_reg(Condition::Ge, R8, R1, none);
    f.alu(AluOp::Lsh, R8, 3);
    f.alu_reg(AluOp::Add, R7, R8);
    // an element of an array of pointers
    f.read(R7, R7, "list_head", "next")?;
    f.jump(out);
    f.bind(none);
    f.constant(R7, 0);
    f.bind(out);
    Ok(())
}
