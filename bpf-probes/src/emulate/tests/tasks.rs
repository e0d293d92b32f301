//! The current task, the time, and what programs do to them.

use super::*;
use crate::emulate::{PidNamespace, Signal, SignalTarget};
use crate::insn::{Helper, Size, memory};
use Register::{R1, R2, R3, R4, R6, R10};

/// Calls a helper with these arguments behind the context and returns what it returns.
fn calling(kind: ProgramKind, helper: Helper, first: Option<i32>) -> Machine {
    machine(kind, Vec::new(), move |asm| {
        if let Some(first) = first {
            asm.emit(alu::mov_imm(R1, first));
        }
        asm.call(helper);
        asm.emit(jump::exit());
    })
}

#[test]
fn helpers_tell_what_the_world_says_of_the_task() {
    let tell = |helper, first| {
        let mut machine = calling(ProgramKind::Kprobe, helper, first);
        let world = machine.world_mut();
        world.task.tid = 12;
        world.task.tgid = 11;
        world.task.uid = 1000;
        world.task.gid = 2000;
        world.task.address = 0xffff_8880_0000_5000;
        world.task.cgroup_id = 77;
        world.task.cgroup_ancestors = vec![1, 50, 77];
        world.clock.monotonic = 123;
        world.clock.boot = 456;
        world.cpu = 1;
        machine.run("main", Context::default().with_cookie(8).with_function(9)).unwrap().r0
    };
    assert_eq!(tell(Helper::GetCurrentPidTgid, None), (11 << 32) + 12);
    assert_eq!(tell(Helper::GetCurrentUidGid, None), (2000 << 32) + 1000);
    assert_eq!(tell(Helper::GetCurrentTask, None), 0xffff_8880_0000_5000);
    assert_eq!(tell(Helper::GetCurrentTaskBtf, None), 0xffff_8880_0000_5000);
    assert_eq!(tell(Helper::GetCurrentCgroupId, None), 77);
    assert_eq!(tell(Helper::GetCurrentAncestorCgroupId, Some(1)), 50);
    assert_eq!(tell(Helper::GetCurrentAncestorCgroupId, Some(3)), 0);
    assert_eq!(tell(Helper::GetCurrentAncestorCgroupId, Some(-1)), 0);
    assert_eq!(tell(Helper::KtimeGetNs, None), 123);
    assert_eq!(tell(Helper::KtimeGetBootNs, None), 456);
    assert_eq!(tell(Helper::GetSmpProcessorId, None), 1);
    assert_eq!(tell(Helper::GetAttachCookie, None), 8);
    assert_eq!(tell(Helper::GetFuncIp, None), 9);
}

#[test]
fn the_clock_moves_by_its_step_and_random_numbers_repeat_from_run_to_run() {
    let mut machine = calling(ProgramKind::Kprobe, Helper::KtimeGetNs, None);
    machine.world_mut().clock.step = 10;
    let mut times = [0; 3].map(|_| machine.run("main", Context::default()).unwrap().r0);
    for time in &mut times {
        *time -= 1_000_000_000;
    }
    assert_eq!(times, [0, 10, 20]);
    let random = || {
        let mut machine = calling(ProgramKind::Kprobe, Helper::GetPrandomU32, None);
        [0; 3].map(|_| machine.run("main", Context::default()).unwrap().r0)
    };
    let [first, second, third] = random();
    assert_eq!(random(), [first, second, third]);
    assert!(first != second && second != third && u32::try_from(first).is_ok());
}

#[test]
fn the_name_of_a_task_is_cut_to_the_buffer_and_nothing_behind_is_touched() {
    let comm = |comm: &[u8], size: i32, at: i16| {
        let mut machine = machine(ProgramKind::Kprobe, Vec::new(), move |asm| {
            asm.emit(alu::mov_reg(R1, R10));
            asm.emit(alu::add_imm(R1, -16));
            asm.emit(alu::mov_imm(R2, size));
            asm.call(Helper::GetCurrentComm);
            asm.emit(alu::mov_reg(R6, R0));
            asm.emit(memory::load(Size::Byte, R0, R10, at - 16));
            asm.emit(jump::exit());
        });
        machine.world_mut().task.comm = comm.to_vec();
        machine.run("main", Context::default()).map(|outcome| outcome.r0)
    };
    assert_eq!(comm(b"cat", 16, 2), Ok(u64::from(b't')));
    assert_eq!(comm(b"cat", 16, 3), Ok(0));
    let fault = comm(b"cat", 16, 4).unwrap_err();
    assert_eq!(fault.kind, FaultKind::UnsetStack { offset: -12 }, "stale bytes, as on 6.1");
    assert_eq!(comm(b"0123456789abcdefg", 16, 15), Ok(0));
    assert_eq!(comm(b"cat", 3, 2), Ok(0));
    assert!(matches!(comm(b"cat", 0, 0).unwrap_err().kind, FaultKind::Argument { .. }));
}

#[test]
fn signals_are_recorded_and_init_is_spared() {
    let send = |helper, number, tgid| {
        let mut machine = calling(ProgramKind::Kprobe, helper, Some(number));
        machine.world_mut().task.tgid = tgid;
        let outcome = machine.run("main", Context::default()).unwrap();
        (outcome.result(), outcome.signals)
    };
    let signal = |number, target| vec![Signal { number, target }];
    assert_eq!(send(Helper::SendSignal, 9, 5), (0, signal(9, SignalTarget::Process)));
    assert_eq!(send(Helper::SendSignalThread, 6, 5), (0, signal(6, SignalTarget::Thread)));
    assert_eq!(send(Helper::SendSignal, 9, 1), (-1, Vec::new()));
    assert_eq!(send(Helper::SendSignal, 65, 5), (-22, Vec::new()));
}

#[test]
fn only_kprobes_override_what_a_function_returns() {
    let override_with = |kind| {
        machine(kind, Vec::new(), |asm| {
            asm.emit(alu::mov_imm(R2, -13));
            asm.call(Helper::OverrideReturn);
            return_constant(asm, 0);
        })
        .run("main", Context::kprobe([0; 6]))
    };
    assert_eq!(override_with(ProgramKind::Kprobe).unwrap().override_errno, Some(-13));
    assert_eq!(override_with(ProgramKind::KprobeMulti).unwrap().override_errno, Some(-13));
    assert!(matches!(override_with(ProgramKind::Fentry).unwrap_err().kind, FaultKind::Forbidden { .. }));
}

#[test]
fn numbers_in_a_namespace_need_its_device_and_inode() {
    let numbers = |device: i32| {
        let mut machine = machine(ProgramKind::Kprobe, Vec::new(), move |asm| {
            asm.emit(alu::mov_imm(R1, device));
            asm.emit(alu::mov_imm(R2, 4));
            asm.emit(alu::mov_reg(R3, R10));
            asm.emit(alu::add_imm(R3, -8));
            asm.emit(alu::mov_imm(R4, 8));
            asm.call(Helper::GetNsCurrentPidTgid);
            asm.emit(memory::load(Size::Double, R0, R10, -8));
            asm.emit(jump::exit());
        });
        machine.world_mut().task.namespace = PidNamespace { device: 3, inode: 4, tid: 2, tgid: 1 };
        machine.run("main", Context::default()).unwrap().r0
    };
    assert_eq!(numbers(3), 1 << 32 | 2);
    assert_eq!(numbers(5), 0);
}

#[test]
fn the_same_stack_has_the_same_number() {
    let flags_user = 1 << 8;
    let mut spec = collection(
        ProgramKind::Kprobe,
        vec![map("stacks", MapKind::StackTrace, 4, 64, 16)],
        code(|asm| stack_id(asm, 0)),
    );
    spec.programs.push(program("user", ProgramKind::Kprobe, code(|asm| stack_id(asm, flags_user))));
    spec.programs.push(program("skip", ProgramKind::Kprobe, code(|asm| stack_id(asm, 1))));
    let mut machine = Machine::new(&spec).unwrap();
    machine.world_mut().kernel_stack = vec![1, 2, 3];
    let mut id = |name: &str| machine.run(name, Context::kprobe([0; 6])).unwrap().result();
    let (first, again, user, skipped) = (id("main"), id("main"), id("user"), id("skip"));
    assert_eq!(first, again);
    assert!((0..16).contains(&first) && first != skipped);
    assert_eq!(user, -14, "there is no user stack");
    let traces = machine.map("stacks").unwrap();
    assert_eq!(traces.lookup(&first.to_le_bytes()).unwrap()[..24], words(&[1, 2, 3]));
    assert_eq!(traces.lookup(&skipped.to_le_bytes()).unwrap()[..24], words(&[2, 3, 0]));
}

fn words(values: &[u64]) -> Vec<u8> {
    values.iter().flat_map(|value| value.to_le_bytes()).collect()
}

fn stack_id(asm: &mut Assembler, flags: i32) {
    asm.load_map(R2, "stacks");
    asm.emit(alu::mov_imm(R3, flags));
    asm.call(Helper::GetStackid);
    asm.emit(jump::exit());
}

#[test]
fn registers_of_a_system_call_are_reached_through_the_argument() {
    let mut machine = machine(ProgramKind::Kprobe, Vec::new(), |asm| {
        asm.emit(memory::load(Size::Double, R3, R1, 112));
        asm.emit(alu::add_imm(R3, 56));
        asm.emit(alu::mov_reg(R1, R10));
        asm.emit(alu::add_imm(R1, -8));
        asm.emit(alu::mov_imm(R2, 8));
        asm.call(Helper::ProbeReadKernel);
        asm.emit(memory::load(Size::Double, R0, R10, -8));
        asm.emit(jump::exit());
    });
    let registers = machine.world_mut().syscall_registers(257, [1, 2, 3, 4, 5, 6]);
    let outcome = machine.run("main", Context::kprobe([registers, 0, 0, 0, 0, 0])).unwrap();
    assert_eq!(outcome.r0, 4, "the fourth argument is in r10");
}
