//! A process came into being: kprobe `wake_up_new_task(task)` (`kernel/sched/core.c`), or the tracepoint `sched_process_fork(parent, child)`.
//!
//! Reports new thread groups, not threads, and gives the child its parent's classes before it runs its first instruction.

use std::mem::{offset_of, size_of};

use super::context::argument;
use super::throttle::{self, CgroupRate};
use super::{SensorError, number};
use crate::abi::{CLASS_WORDS, ForkRecord, Loss, ProcessState, RecordKind, map_name, process_flag};
use crate::asm::{Code, Prototype};
use crate::builder::{BuildError, Facts, Function, Program, Slot};
use crate::insn::{AluOp, Condition, Helper, Register, Size};
use crate::routine::{count_loss, ns_tgid, submit_record};
use crate::spec::ProgramKind;
use Register::{R0, R1, R2, R6, R7, R8, R9, R10};

fn at(slot: Slot, offset: usize) -> i16 {
    slot.at(u32::try_from(offset).expect("records are small"))
}

/// The fork program for a kind of context.
pub(super) fn fork(
    facts: &Facts<'_>,
    kind: ProgramKind,
    rate: Option<CgroupRate>,
) -> Result<Code, SensorError> {
    let mut program = Program::new();
    let mut f = Function::new("fork", Prototype::Main, facts).with_frame(288);
    for register in [R6, R7, R8, R9] {
        assert_eq!(f.register()?, register, "the sensor owns all registers");
    }
    let record = f.slot(u32::try_from(size_of::<ForkRecord>()).expect("small"))?;
    let state = f.slot(u32::try_from(size_of::<ProcessState>()).expect("small"))?;
    let key = f.slot(8)?;
    let out = f.label();
    argument(&mut f, kind, R6, R1, u8::from(kind != ProgramKind::Kprobe))?;
    f.read_many(R6, "task_struct", &[(R7, "tgid"), (R8, "pid")])?;
    f.jump_if_reg(Condition::Ne, R7, R8, out);
    for slot in [record, state] {
        for byte in (0..slot.bytes()).step_by(8) {
            f.store_imm(Size::Double, R10, slot.at(byte), 0);
        }
    }
    begin(&mut f, record, state)?;
    inherit(&mut f, record, state, key);
    own_namespace(&mut f, record, state)?;
    let number = at(record, offset_of!(ForkRecord, ns_tgid));
    number::classify(&mut f, R6, R7, number, state, key)?;
    if let Some(rate) = rate {
        throttle::add(&mut program, facts, rate)?;
        judge(&mut f, record, state);
    }
    publish(&mut f, record, state, key)?;
    f.bind(out);
    f.return_constant(0);
    Ok(program.link(f.finish()?)?)
}

/// Times, child and parent. `R6` the child, `R7` its tgid; `R8` becomes the parent's tgid.
fn begin(f: &mut Function<'_>, record: Slot, state: Slot) -> Result<(), BuildError> {
    f.call(Helper::KtimeGetBootNs);
    f.store(Size::Double, R10, at(record, offset_of!(ForkRecord, header.ktime)), R0);
    f.store(Size::Double, R10, at(record, offset_of!(ForkRecord, process.ktime)), R0);
    f.store(Size::Double, R10, at(state, offset_of!(ProcessState, ktime)), R0);
    let kind = at(record, offset_of!(ForkRecord, header.kind));
    f.store_imm(Size::Byte, R10, kind, RecordKind::Fork as i32);
    let bytes = i32::try_from(size_of::<ForkRecord>()).expect("small");
    f.store_imm(Size::Word, R10, at(record, offset_of!(ForkRecord, header.size)), bytes);
    f.store(Size::Word, R10, at(record, offset_of!(ForkRecord, process.tgid)), R7);
    f.read(R8, R6, "task_struct", "real_parent")?;
    f.read(R8, R8, "task_struct", "tgid")?;
    f.store(Size::Word, R10, at(record, offset_of!(ForkRecord, parent.tgid)), R8);
    f.store(Size::Word, R10, at(state, offset_of!(ProcessState, parent.tgid)), R8);
    f.call(Helper::GetCurrentCgroupId);
    f.store(Size::Double, R10, at(record, offset_of!(ForkRecord, cgroup_id)), R0);
    Ok(())
}

/// Takes the parent's time, flags and classes. `R9` becomes the child's flags.
fn inherit(f: &mut Function<'_>, record: Slot, state: Slot, key: Slot) {
    let (unknown, out) = (f.label(), f.label());
    f.store(Size::Double, R10, key.offset(), R8);
    f.lookup(map_name::PROCESSES, key, unknown);
    let field = |offset: usize| i16::try_from(offset).expect("small");
    f.load(Size::Double, R1, R0, field(offset_of!(ProcessState, ktime)));
    f.store(Size::Double, R10, at(record, offset_of!(ForkRecord, parent.ktime)), R1);
    f.store(Size::Double, R10, at(state, offset_of!(ProcessState, parent.ktime)), R1);
    f.load(Size::Word, R9, R0, field(offset_of!(ProcessState, flags)));
    for word in 0..CLASS_WORDS {
        let offset = offset_of!(ProcessState, classes) + 8 * word;
        f.load(Size::Double, R1, R0, field(offset));
        f.store(Size::Double, R10, at(state, offset), R1);
    }
    f.alu(AluOp::And, R9, process_flag::IN_INIT_TREE.cast_signed());
    f.alu(AluOp::Or, R9, process_flag::CLONE.cast_signed());
    f.jump(out);
    f.bind(unknown);
    f.constant(R9, u64::from(process_flag::CLONE | process_flag::MISS));
    f.bind(out);
}

fn own_namespace(f: &mut Function<'_>, record: Slot, state: Slot) -> Result<(), BuildError> {
    let other = f.label();
    ns_tgid(f, R6, R8)?;
    f.store(Size::Word, R10, at(record, offset_of!(ForkRecord, ns_tgid)), R1);
    f.jump_if(Condition::Ne, R1, 1, other);
    f.read(R8, R6, "task_struct", "thread_pid")?;
    f.read(R8, R8, "pid", "level")?;
    f.jump_if(Condition::Eq, R8, 0, other);
    f.alu(AluOp::Or, R9, process_flag::IN_INIT_TREE.cast_signed());
    f.bind(other);
    f.store(Size::Word, R10, at(record, offset_of!(ForkRecord, flags)), R9);
    f.store(Size::Word, R10, at(state, offset_of!(ProcessState, flags)), R9);
    Ok(())
}

/// Notes in the state whether the cgroup is throttled. The record is small and sent all the same: who descends from whom is known whatever is withheld.
fn judge(f: &mut Function<'_>, record: Slot, state: Slot) {
    f.load(Size::Double, R1, R10, at(record, offset_of!(ForkRecord, header.ktime)));
    f.load(Size::Double, R2, R10, at(record, offset_of!(ForkRecord, cgroup_id)));
    throttle::judge(f);
    f.store(Size::Word, R10, at(state, offset_of!(ProcessState, throttled)), R0);
}

fn publish(f: &mut Function<'_>, record: Slot, state: Slot, key: Slot) -> Result<(), BuildError> {
    f.store(Size::Double, R10, key.offset(), R7);
    f.update(map_name::PROCESSES, key, state);
    f.when(Condition::Ne, R0, 0, |f| {
        count_loss(f, Loss::Process);
        Ok(())
    })?;
    f.slot_address(R8, record);
    f.constant(R9, u64::from(record.bytes()));
    submit_record(f, map_name::EVENTS, R8, R9, Loss::Fork)
}
