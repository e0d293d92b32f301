//! A process replaced its image: the program that reports it and classifies the new image.
//!
//! Runs where the new memory, credentials and file are in place: kprobe `finalize_exec(bprm)` (`fs/exec.c`, called at the end of each binary format's
//! loader), or the tracepoint `sched_process_exec(task, old_pid, bprm)`. Registers throughout: `R6` the CPU's working memory, `R7` the record in it, `R8` where the
//! record's variable part ends so far, `R9` whatever is at hand.

use std::mem::{offset_of, size_of};

use super::context::argument;
use super::throttle::{self, CgroupRate};
use super::{SensorError, cgroup, classify, gains, shared};
use crate::abi::{
    DataRecord, ExecRecord, INLINE_ARGUMENTS, Loss, MAX_ARGUMENTS, MAX_CGROUP_NAME, MAX_PATH, ProcessKey,
    ProcessState, RecordKind, Withheld, map_name, process_flag,
};
use crate::asm::{Code, Label, Prototype, Subprogram};
use crate::builder::{BuildError, Facts, Function, LoopForm, Program, Slot};
use crate::insn::{AluOp, Condition, Helper, Register, Size};
use crate::routine::layout::{PATH_END, RECORD};
use crate::routine::{
    ChunkSource, Chunks, LENGTH_MASK, add_path_walk, copy_string, ns_tgid, read_credentials, read_namespaces,
    submit_record, walk_in_cpu_entry,
};
use crate::spec::ProgramKind;
use Register::{R0, R1, R2, R3, R4, R6, R7, R8, R9, R10};

const SEND_ARGUMENTS: &str = "send_arguments";
const SEND_CHUNK: &str = "send_chunk";
/// Where in the record's place a data record is put together, behind the longest exec record.
const DATA_AT: u32 = 16_384;

/// Stack of the program.
struct Frame {
    bprm: Slot,
    task: Slot,
    key: Slot,
    state: Slot,
    /// Address of the process's entry in the table; zero when it has none.
    known: Slot,
}

fn field(offset: usize) -> i16 {
    i16::try_from(offset).expect("records are small")
}

fn size<T>() -> u32 {
    u32::try_from(size_of::<T>()).expect("records are small")
}

/// What the program reads of a process besides what it always reads.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Environment {
    /// Not its environment.
    Unread,
    /// Its environment too.
    Read,
}

/// The exec program for a kind of context: kprobe on `finalize_exec`, else the arguments of `sched_process_exec`.
pub(super) fn exec(
    facts: &Facts<'_>,
    kind: ProgramKind,
    environment: Environment,
    rate: Option<CgroupRate>,
) -> Result<Code, SensorError> {
    let mut program = Program::new();
    add_path_walk(&mut program, facts, &shared::scratch())?;
    for subprogram in long_arguments(facts, environment)? {
        program.add(subprogram);
    }
    classify::add(&mut program, facts)?;
    if let Some(rate) = rate {
        throttle::add(&mut program, facts, rate)?;
    }
    let mut f = Function::new("exec", Prototype::Main, facts).with_frame(288);
    for register in [R6, R7, R8, R9] {
        assert_eq!(f.register()?, register, "the sensor owns all registers");
    }
    let frame = Frame {
        bprm: f.slot(8)?,
        task: f.slot(8)?,
        key: f.slot(8)?,
        state: f.slot(size::<ProcessState>())?,
        known: f.slot(8)?,
    };
    let index = if kind == ProgramKind::Kprobe { 0 } else { 2 };
    argument(&mut f, kind, R9, R1, index)?;
    f.store(Size::Double, R10, frame.bprm.offset(), R9);
    let (out, withheld) = (f.label(), f.label());
    begin(&mut f, &frame, out)?;
    kin(&mut f, &frame)?;
    identity(&mut f, &frame)?;
    if rate.is_some() {
        judge(&mut f, &frame);
    }
    executed_file(&mut f, &frame)?;
    f.constant(R8, u64::from(size::<ExecRecord>()));
    file_name(&mut f, &frame)?;
    settle(&mut f);
    file_path(&mut f, &frame)?;
    if rate.is_some() {
        f.load(Size::Word, R1, R10, frame.state.offset() + field(offset_of!(ProcessState, throttled)));
        f.jump_if(Condition::Ne, R1, 0, withheld);
    }
    settle(&mut f);
    working_directory(&mut f, &frame)?;
    settle(&mut f);
    cgroup_name(&mut f, &frame)?;
    settle(&mut f);
    arguments(&mut f, &frame)?;
    if environment == Environment::Read {
        settle(&mut f);
        environment_variables(&mut f, &frame)?;
    }
    f.store(Size::Word, R7, field(offset_of!(ExecRecord, header.size)), R8);
    submit_record(&mut f, map_name::EVENTS, R7, R8, Loss::Exec)?;
    if rate.is_some() {
        f.jump(out);
        f.bind(withheld);
        throttle::count_withheld(&mut f, Withheld::Exec);
    }
    f.bind(out);
    f.return_constant(0);
    Ok(program.link(f.finish()?)?)
}

/// Notes in the state whether this exec is withheld. It is classified all the same.
fn judge(f: &mut Function<'_>, frame: &Frame) {
    f.load(Size::Double, R1, R7, field(offset_of!(ExecRecord, header.ktime)));
    f.load(Size::Double, R2, R7, field(offset_of!(ExecRecord, cgroup_id)));
    throttle::judge(f);
    f.store(Size::Word, R10, frame.state.offset() + field(offset_of!(ProcessState, throttled)), R0);
}

/// Makes all ways to this point one to the verifier: it forgets which bounds `R8` had on each. Without, it followed 208 000 instructions on 5.10, where what
/// comes behind is long.
fn settle(f: &mut Function<'_>) {
    if f.facts().loops == LoopForm::Bounded {
        let size = field(offset_of!(ExecRecord, header.size));
        f.store(Size::Word, R7, size, R8);
        f.load(Size::Word, R8, R7, size);
        f.alu(AluOp::And, R8, DATA_AT.cast_signed() - 1);
    }
}

/// `record.flags |= bits`.
fn flag(f: &mut Function<'_>, bits: u32) {
    let flags = field(offset_of!(ExecRecord, flags));
    f.load(Size::Word, R1, R7, flags);
    f.alu(AluOp::Or, R1, bits.cast_signed());
    f.store(Size::Word, R7, flags, R1);
}

fn begin(f: &mut Function<'_>, frame: &Frame, out: Label) -> Result<(), BuildError> {
    f.cpu_entry(R6, map_name::SCRATCH, out)?;
    f.copy(R7, R6);
    f.alu(AluOp::Add, R7, RECORD.cast_signed());
    for at in (0..size::<ExecRecord>()).step_by(8) {
        f.store_imm(Size::Double, R7, f.offset(at)?, 0);
    }
    for at in (0..size::<ProcessState>()).step_by(8) {
        f.store_imm(Size::Double, R10, frame.state.at(at), 0);
    }
    f.store_imm(Size::Double, R10, frame.known.offset(), 0);
    f.store_imm(Size::Byte, R7, field(offset_of!(ExecRecord, header.kind)), RecordKind::Exec as i32);
    f.call(Helper::KtimeGetBootNs);
    f.store(Size::Double, R7, field(offset_of!(ExecRecord, header.ktime)), R0);
    f.store(Size::Double, R7, field(offset_of!(ExecRecord, process.ktime)), R0);
    f.store(Size::Double, R10, frame.state.offset() + field(offset_of!(ProcessState, ktime)), R0);
    f.call(Helper::GetCurrentPidTgid);
    f.alu(AluOp::Rsh, R0, 32);
    f.store(Size::Word, R7, field(offset_of!(ExecRecord, process.tgid)), R0);
    f.store(Size::Double, R10, frame.key.offset(), R0);
    f.current_task();
    f.store(Size::Double, R10, frame.task.offset(), R0);
    f.copy(R9, R0);
    f.store_imm(Size::Word, R7, field(offset_of!(ExecRecord, flags)), process_flag::EXECVE.cast_signed());
    Ok(())
}

/// The parent, the image before, and what the process inherits from it.
fn kin(f: &mut Function<'_>, frame: &Frame) -> Result<(), BuildError> {
    let state = |offset: usize| frame.state.offset() + field(offset);
    f.read(R8, R9, "task_struct", "real_parent")?;
    f.read(R8, R8, "task_struct", "tgid")?;
    f.store(Size::Word, R7, field(offset_of!(ExecRecord, parent.tgid)), R8);
    f.store(Size::Word, R10, state(offset_of!(ProcessState, parent.tgid)), R8);
    f.scope(|f| {
        let key = f.slot(8)?;
        let unknown = f.label();
        f.store(Size::Double, R10, key.offset(), R8);
        f.lookup(map_name::PROCESSES, key, unknown);
        f.load(Size::Double, R1, R0, field(offset_of!(ProcessState, ktime)));
        f.store(Size::Double, R7, field(offset_of!(ExecRecord, parent.ktime)), R1);
        f.store(Size::Double, R10, state(offset_of!(ProcessState, parent.ktime)), R1);
        f.load(Size::Word, R8, R0, field(offset_of!(ProcessState, flags)));
        f.alu(AluOp::And, R8, process_flag::IN_INIT_TREE.cast_signed());
        f.store(Size::Word, R10, state(offset_of!(ProcessState, flags)), R8);
        f.bind(unknown);
        Ok(())
    })?;
    let fresh = f.label();
    f.lookup(map_name::PROCESSES, frame.key, fresh);
    f.load(Size::Double, R1, R0, field(offset_of!(ProcessState, ktime)));
    f.store(Size::Double, R7, field(offset_of!(ExecRecord, previous_ktime)), R1);
    f.load(Size::Word, R1, R0, field(offset_of!(ProcessState, flags)));
    f.copy(R2, R1);
    f.alu(AluOp::And, R1, process_flag::CLONE.cast_signed());
    f.alu(AluOp::Or, R1, process_flag::EXECVE.cast_signed());
    f.store(Size::Word, R7, field(offset_of!(ExecRecord, flags)), R1);
    f.alu(AluOp::And, R2, process_flag::IN_INIT_TREE.cast_signed());
    f.load(Size::Word, R1, R10, state(offset_of!(ProcessState, flags)));
    f.alu_reg(AluOp::Or, R1, R2);
    f.store(Size::Word, R10, state(offset_of!(ProcessState, flags)), R1);
    f.store(Size::Double, R10, frame.known.offset(), R0);
    classify::inherit_followed(f, R0, frame.state);
    f.bind(fresh);
    Ok(())
}

fn identity(f: &mut Function<'_>, frame: &Frame) -> Result<(), BuildError> {
    if f.facts().has_field("task_struct", "loginuid.val") {
        f.read(R1, R9, "task_struct", "loginuid.val")?;
        f.store(Size::Word, R7, field(offset_of!(ExecRecord, auid)), R1);
    } else {
        f.store_imm(Size::Word, R7, field(offset_of!(ExecRecord, auid)), -1);
    }
    f.read(R8, R9, "task_struct", "cred")?;
    read_credentials(f, R8, R7, offset_of!(ExecRecord, credentials))?;
    read_namespaces(f, R9, R7, offset_of!(ExecRecord, namespaces), R8)?;
    ns_tgid(f, R9, R8)?;
    f.store(Size::Word, R7, field(offset_of!(ExecRecord, ns_tgid)), R1);
    in_init_tree(f, frame)?;
    let nothing_gained = f.label();
    f.load(Size::Double, R8, R10, frame.bprm.offset());
    f.read(R8, R8, "linux_binprm", "secureexec")?;
    f.jump_if(Condition::Eq, R8, 0, nothing_gained);
    gains::join(f, R7, field(offset_of!(ExecRecord, gained)))?;
    f.bind(nothing_gained);
    f.call(Helper::GetCurrentCgroupId);
    f.store(Size::Double, R7, field(offset_of!(ExecRecord, cgroup_id)), R0);
    Ok(())
}

/// A process is in an init tree when it is pid 1 of a pid namespace below the host's, or its parent is in one.
fn in_init_tree(f: &mut Function<'_>, frame: &Frame) -> Result<(), BuildError> {
    let flags = frame.state.offset() + field(offset_of!(ProcessState, flags));
    let (known, inherited) = (f.label(), f.label());
    f.load(Size::Word, R1, R7, field(offset_of!(ExecRecord, ns_tgid)));
    f.jump_if(Condition::Ne, R1, 1, inherited);
    f.read(R8, R9, "task_struct", "thread_pid")?;
    f.read(R8, R8, "pid", "level")?;
    f.jump_if(Condition::Eq, R8, 0, inherited);
    f.load(Size::Word, R1, R10, flags);
    f.alu(AluOp::Or, R1, process_flag::IN_INIT_TREE.cast_signed());
    f.store(Size::Word, R10, flags, R1);
    f.bind(inherited);
    f.load(Size::Word, R1, R10, flags);
    f.alu(AluOp::And, R1, process_flag::IN_INIT_TREE.cast_signed());
    f.jump_if(Condition::Eq, R1, 0, known);
    flag(f, process_flag::IN_INIT_TREE);
    f.bind(known);
    Ok(())
}

fn executed_file(f: &mut Function<'_>, frame: &Frame) -> Result<(), BuildError> {
    f.load(Size::Double, R9, R10, frame.bprm.offset());
    f.read(R8, R9, "linux_binprm", "file")?;
    f.read(R8, R8, "file", "f_inode")?;
    f.read_many(R8, "inode", &[(R1, "i_ino"), (R2, "i_nlink"), (R3, "i_mode")])?;
    f.store(Size::Double, R7, field(offset_of!(ExecRecord, inode)), R1);
    f.store(Size::Word, R7, field(offset_of!(ExecRecord, links)), R2);
    f.store(Size::Word, R7, field(offset_of!(ExecRecord, mode)), R3);
    Ok(())
}

/// Appends the kernel string at the address in `R9`, at most `max` bytes with NUL, and stores its length; sets `error` where it cannot be read.
fn append_string(f: &mut Function<'_>, max: u32, length: usize, error: u32) -> Result<(), BuildError> {
    let (failed, out) = (f.label(), f.label());
    copy_string(f, R7, R8, R9, max)?;
    f.jump_if(Condition::SLt, R0, 1, failed);
    f.jump_if(Condition::Gt, R0, max.cast_signed(), failed);
    f.alu(AluOp::Sub, R0, 1);
    f.store(Size::Word, R7, field(length), R0);
    f.alu_reg(AluOp::Add, R8, R0);
    f.jump(out);
    f.bind(failed);
    flag(f, error);
    f.bind(out);
    Ok(())
}

/// Appends the path that a walk left in area 0; its result is in `R0`. `R9` is its length afterwards.
fn append_path(f: &mut Function<'_>, length: usize) {
    let out = f.label();
    f.copy(R9, R0);
    f.alu(AluOp::And, R9, LENGTH_MASK);
    f.jump_if(Condition::Gt, R9, MAX_PATH.cast_signed(), out);
    f.store(Size::Word, R7, field(length), R9);
    f.copy(R1, R7);
    f.alu_reg(AluOp::Add, R1, R8);
    f.copy(R2, R9);
    f.copy(R3, R6);
    f.alu(AluOp::Add, R3, PATH_END.cast_signed());
    f.alu_reg(AluOp::Sub, R3, R9);
    f.call(Helper::ProbeReadKernel);
    f.alu_reg(AluOp::Add, R8, R9);
    f.bind(out);
}

fn file_name(f: &mut Function<'_>, frame: &Frame) -> Result<(), BuildError> {
    f.load(Size::Double, R9, R10, frame.bprm.offset());
    f.read(R9, R9, "linux_binprm", "filename")?;
    append_string(f, MAX_PATH, offset_of!(ExecRecord, filename_len), process_flag::ERROR_FILENAME)
}

fn file_path(f: &mut Function<'_>, frame: &Frame) -> Result<(), BuildError> {
    f.load(Size::Double, R9, R10, frame.bprm.offset());
    f.read(R9, R9, "linux_binprm", "file")?;
    f.read_many(R9, "file", &[(R1, "f_path.dentry"), (R2, "f_path.mnt")])?;
    walk_in_cpu_entry(f, R6);
    append_path(f, offset_of!(ExecRecord, path_len));
    classify::classify(f, R6, R9, frame.state);
    record_state(f, frame)
}

/// Puts the new state into the process table, in place where the process has an entry: no other thread of it is alive, and the daemon's marker
/// changes only classes that the tables already gave.
fn record_state(f: &mut Function<'_>, frame: &Frame) -> Result<(), BuildError> {
    let (fresh, out) = (f.label(), f.label());
    f.load(Size::Double, R2, R10, frame.known.offset());
    f.jump_if(Condition::Eq, R2, 0, fresh);
    for at in (0..size::<ProcessState>()).step_by(8) {
        f.load(Size::Double, R1, R10, frame.state.at(at));
        f.store(Size::Double, R2, f.offset(at)?, R1);
    }
    f.jump(out);
    f.bind(fresh);
    f.update(map_name::PROCESSES, frame.key, frame.state);
    f.when(Condition::Ne, R0, 0, |f| {
        crate::routine::count_loss(f, Loss::Process);
        Ok(())
    })?;
    f.bind(out);
    Ok(())
}

fn working_directory(f: &mut Function<'_>, frame: &Frame) -> Result<(), BuildError> {
    let (complete, some, out) = (f.label(), f.label(), f.label());
    f.load(Size::Double, R9, R10, frame.task.offset());
    f.read(R9, R9, "task_struct", "fs")?;
    f.read_many(R9, "fs_struct", &[(R1, "pwd.dentry"), (R2, "pwd.mnt")])?;
    walk_in_cpu_entry(f, R6);
    f.copy(R9, R0);
    f.alu(AluOp::Rsh, R9, 32);
    f.jump_if(Condition::Eq, R9, 0, complete);
    f.copy(R9, R0);
    flag(f, process_flag::ERROR_PATH_COMPONENTS);
    f.copy(R0, R9);
    f.bind(complete);
    append_path(f, offset_of!(ExecRecord, cwd_len));
    f.jump_if(Condition::Ne, R9, 0, some);
    flag(f, process_flag::NO_CWD);
    f.jump(out);
    f.bind(some);
    f.jump_if(Condition::Ne, R9, 1, out);
    flag(f, process_flag::ROOT_CWD);
    f.bind(out);
    Ok(())
}

fn cgroup_name(f: &mut Function<'_>, frame: &Frame) -> Result<(), BuildError> {
    f.load(Size::Double, R9, R10, frame.task.offset());
    cgroup::name_of(f, R9)?;
    append_string(f, MAX_CGROUP_NAME, offset_of!(ExecRecord, cgroup_len), process_flag::ERROR_CGROUP_NAME)
}

/// The arguments lie in the new memory between `arg_start` and `arg_end`, each ended by NUL (`fs/binfmt_elf.c: create_elf_tables`).
fn arguments(f: &mut Function<'_>, frame: &Frame) -> Result<(), BuildError> {
    let (small, failed, fits, out) = (f.label(), f.label(), f.label(), f.label());
    f.load(Size::Double, R9, R10, frame.task.offset());
    f.read(R9, R9, "task_struct", "mm")?;
    f.read_many(R9, "mm_struct", &[(R9, "arg_start"), (R2, "arg_end")])?;
    f.alu_reg(AluOp::Sub, R2, R9);
    f.jump_if(Condition::Le, R2, INLINE_ARGUMENTS.cast_signed(), small);
    f.jump_if(Condition::Le, R2, MAX_ARGUMENTS.cast_signed(), fits);
    flag(f, process_flag::TRUNCATED_ARGUMENTS);
    f.constant(R2, u64::from(MAX_ARGUMENTS));
    f.bind(fits);
    send(f, offset_of!(ExecRecord, data_len));
    flag(f, process_flag::DATA_ARGUMENTS);
    f.jump(out);
    f.bind(small);
    f.copy(R3, R9);
    f.copy(R9, R2);
    f.copy(R1, R7);
    f.alu_reg(AluOp::Add, R1, R8);
    f.call(Helper::ProbeReadUser);
    f.jump_if(Condition::Ne, R0, 0, failed);
    f.store(Size::Word, R7, field(offset_of!(ExecRecord, arguments_len)), R9);
    f.alu_reg(AluOp::Add, R8, R9);
    f.jump(out);
    f.bind(failed);
    flag(f, process_flag::ERROR_ARGUMENTS);
    f.bind(out);
    Ok(())
}

/// Sends the `R2` bytes at `R9` of the process's memory in data records, and stores how many were sent.
fn send(f: &mut Function<'_>, sent: usize) {
    let sent = field(sent);
    if f.facts().loops == LoopForm::Bounded {
        f.store(Size::Word, R7, sent, R2);
        f.call(Helper::GetSmpProcessorId);
        f.copy(R4, R0);
        f.load(Size::Word, R2, R7, sent);
    }
    f.copy(R1, R9);
    f.copy(R3, R7);
    f.call_subprogram(SEND_ARGUMENTS);
    f.store(Size::Word, R7, sent, R0);
}

/// The environment lies behind the arguments, between `env_start` and `env_end`. It always comes in data records.
fn environment_variables(f: &mut Function<'_>, frame: &Frame) -> Result<(), BuildError> {
    let (fits, whole, out) = (f.label(), f.label(), f.label());
    f.load(Size::Double, R9, R10, frame.task.offset());
    f.read(R9, R9, "task_struct", "mm")?;
    f.read_many(R9, "mm_struct", &[(R9, "env_start"), (R2, "env_end")])?;
    f.alu_reg(AluOp::Sub, R2, R9);
    f.jump_if(Condition::Eq, R2, 0, out);
    // The pieces are told apart from those of the arguments by this bit.
    f.load(Size::Word, R1, R7, field(offset_of!(ExecRecord, flags)));
    f.alu(AluOp::Or, R1, process_flag::DATA_ENVIRONMENT.cast_signed());
    f.jump_if(Condition::Le, R2, MAX_ARGUMENTS.cast_signed(), fits);
    f.alu(AluOp::Or, R1, process_flag::ERROR_ENVIRONMENT.cast_signed());
    f.constant(R2, u64::from(MAX_ARGUMENTS));
    f.bind(fits);
    f.store(Size::Word, R7, field(offset_of!(ExecRecord, flags)), R1);
    f.store(Size::Double, R10, frame.known.offset(), R2);
    send(f, offset_of!(ExecRecord, environment_len));
    f.load(Size::Double, R1, R10, frame.known.offset());
    f.jump_if_reg(Condition::Eq, R0, R1, whole);
    flag(f, process_flag::ERROR_ENVIRONMENT);
    f.bind(whole);
    f.bind(out);
    Ok(())
}

/// The subprograms that send arguments which are too long for the record: `send_arguments(user address, length, record) -> bytes sent`; with
/// [`LoopForm::Bounded`] the number of the CPU behind these.
fn long_arguments(facts: &Facts<'_>, environment: Environment) -> Result<[Subprogram; 2], BuildError> {
    let chunks = Chunks {
        send: SEND_ARGUMENTS,
        piece: SEND_CHUNK,
        arguments: 3,
        source: ChunkSource::User,
        memory: map_name::SCRATCH,
        offset: RECORD + DATA_AT,
    };
    let place = |f: &mut Function<'_>| {
        f.copy(R6, R3);
        f.copy(R7, R6);
        f.alu(AluOp::Add, R7, DATA_AT.cast_signed());
    };
    let fill = |f: &mut Function<'_>| {
        let key = offset_of!(ExecRecord, process);
        for (at, size) in
            [(offset_of!(ProcessKey, ktime), Size::Double), (offset_of!(ProcessKey, tgid), Size::Word)]
        {
            f.load(size, R1, R6, field(key + at));
            f.store(size, R7, field(offset_of!(DataRecord, process) + at), R1);
        }
        f.load(Size::Double, R1, R6, field(offset_of!(ExecRecord, header.ktime)));
        f.store(Size::Double, R7, field(offset_of!(DataRecord, header.ktime)), R1);
        if environment == Environment::Read {
            f.load(Size::Word, R1, R6, field(offset_of!(ExecRecord, flags)));
            f.alu(AluOp::And, R1, process_flag::DATA_ENVIRONMENT.cast_signed());
            f.alu(AluOp::Rsh, R1, process_flag::DATA_ENVIRONMENT.trailing_zeros().cast_signed());
            f.store(Size::Half, R7, field(offset_of!(DataRecord, value)), R1);
        }
    };
    chunks.subprograms(facts, place, fill)
}
