//! A process ended: kprobe `acct_process()` (`kernel/acct.c`, called by `do_exit` for the last thread of a group), kprobe
//! `taskstats_exit(task, group_dead)` (`kernel/taskstats.c`), or the tracepoint `sched_process_exit(task)`.

use std::mem::{offset_of, size_of};

use super::SensorError;
use super::context::argument;
use super::throttle::{self, CgroupRate};
use crate::abi::{ExitRecord, Loss, ProcessState, RecordKind, Withheld, map_name};
use crate::asm::{Code, Prototype};
use crate::builder::{BuildError, Facts, Function, Program, Slot};
use crate::insn::{AluOp, Condition, Helper, Register, Size};
use crate::routine::submit_record;
use crate::spec::ProgramKind;
use Register::{R0, R1, R2, R6, R7, R8, R9, R10};

/// `SIGNAL_GROUP_EXIT` (`include/linux/sched/signal.h`): `group_exit_code` holds the code of the whole group.
const SIGNAL_GROUP_EXIT: i32 = 4;

fn at(slot: Slot, offset: usize) -> i16 {
    slot.at(u32::try_from(offset).expect("records are small"))
}

/// Who calls the exit program.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum ExitPoint {
    /// Kprobe `acct_process()`: the last thread of a group.
    LastThread,
    /// Kprobe `taskstats_exit(task, group_dead)`: every thread, and the last one is told.
    EveryThreadTold,
    /// Tracepoint `sched_process_exit`: every thread.
    EveryThread,
}

/// The exit program for its point.
pub(super) fn exit(
    facts: &Facts<'_>,
    point: ExitPoint,
    rate: Option<CgroupRate>,
) -> Result<Code, SensorError> {
    let mut program = Program::new();
    let mut f = Function::new("exit", Prototype::Main, facts).with_frame(288);
    for register in [R6, R7, R8, R9] {
        assert_eq!(f.register()?, register, "the sensor owns all registers");
    }
    let record = f.slot(u32::try_from(size_of::<ExitRecord>()).expect("small"))?;
    let key = f.slot(8)?;
    let (out, unknown, alone) = (f.label(), f.label(), f.label());
    for byte in (0..record.bytes()).step_by(8) {
        f.store_imm(Size::Double, R10, record.at(byte), 0);
    }
    if point == ExitPoint::EveryThreadTold {
        argument(&mut f, ProgramKind::Kprobe, R2, R1, 1)?;
        f.jump_if32(Condition::Eq, R2, 0, out);
    }
    f.current_task();
    f.copy(R6, R0);
    f.read(R7, R6, "task_struct", "signal")?;
    if point == ExitPoint::EveryThread {
        f.read(R1, R7, "signal_struct", "live.counter")?;
        f.jump_if32(Condition::Ne, R1, 0, out);
    }
    f.read(R8, R6, "task_struct", "exit_code")?;
    f.read_many(R7, "signal_struct", &[(R1, "flags"), (R2, "group_exit_code")])?;
    f.alu(AluOp::And, R1, SIGNAL_GROUP_EXIT);
    f.jump_if(Condition::Eq, R1, 0, alone);
    f.copy(R8, R2);
    f.bind(alone);
    f.store(Size::Word, R10, at(record, offset_of!(ExitRecord, code)), R8);
    f.call(Helper::GetCurrentPidTgid);
    f.store(Size::Word, R10, at(record, offset_of!(ExitRecord, tid)), R0);
    f.alu(AluOp::Rsh, R0, 32);
    f.store(Size::Word, R10, at(record, offset_of!(ExitRecord, process.tgid)), R0);
    f.store(Size::Double, R10, key.offset(), R0);
    if rate.is_some() {
        f.constant(R9, 0);
    }
    f.lookup(map_name::PROCESSES, key, unknown);
    if rate.is_some() {
        let throttled = i16::try_from(offset_of!(ProcessState, throttled)).expect("small");
        f.load(Size::Word, R9, R0, throttled);
    }
    f.load(Size::Double, R1, R0, i16::try_from(offset_of!(ProcessState, ktime)).expect("small"));
    f.store(Size::Double, R10, at(record, offset_of!(ExitRecord, process.ktime)), R1);
    f.slot_address(R2, key);
    f.assembler().load_map(R1, map_name::PROCESSES);
    f.call(Helper::MapDeleteElem);
    if point == ExitPoint::EveryThread {
        // two last threads may both see none alive: who removed the entry reports
        f.jump_if(Condition::Ne, R0, 0, out);
    }
    f.bind(unknown);
    f.call(Helper::KtimeGetBootNs);
    f.store(Size::Double, R10, at(record, offset_of!(ExitRecord, header.ktime)), R0);
    let kind = at(record, offset_of!(ExitRecord, header.kind));
    f.store_imm(Size::Byte, R10, kind, RecordKind::Exit as i32);
    if let Some(rate) = rate {
        throttle::add(&mut program, facts, rate)?;
        withhold(&mut f, record)?;
    }
    let bytes = record.bytes();
    f.store_imm(Size::Word, R10, at(record, offset_of!(ExitRecord, header.size)), bytes.cast_signed());
    f.slot_address(R8, record);
    f.constant(R9, u64::from(bytes));
    submit_record(&mut f, map_name::EVENTS, R8, R9, Loss::Exit)?;
    if rate.is_some() {
        f.jump_if(Condition::Ne, R0, 0, out);
        f.load(Size::Byte, R1, R10, kind);
        f.jump_if(Condition::Ne, R1, RecordKind::Gone as i32, out);
        throttle::count_withheld(&mut f, Withheld::Exit);
    }
    f.bind(out);
    f.return_constant(0);
    Ok(program.link(f.finish()?)?)
}

/// Counts the exit, and makes the record one that only says that the process is gone if `R9` says that it began while its cgroup was throttled. An exec that was
/// reported has its exit reported.
fn withhold(f: &mut Function<'_>, record: Slot) -> Result<(), BuildError> {
    f.call(Helper::GetCurrentCgroupId);
    f.copy(R2, R0);
    f.load(Size::Double, R1, R10, at(record, offset_of!(ExitRecord, header.ktime)));
    throttle::judge(f);
    f.when(Condition::Ne, R9, 0, |f| {
        let kind = at(record, offset_of!(ExitRecord, header.kind));
        f.store_imm(Size::Byte, R10, kind, RecordKind::Gone as i32);
        Ok(())
    })
}
