//! Subprograms, callbacks, tail calls and sections.

use super::*;
use crate::asm::Subprogram;
use crate::insn::jump::Width;
use crate::insn::{AluOp, Condition, Helper, Size, memory};
use Register::{R1, R2, R3, R4, R5, R6, R10};

fn run_linked(functions: Vec<Subprogram>) -> Result<Outcome, Fault> {
    let spec = collection(ProgramKind::RawTracepoint, Vec::new(), link(functions).unwrap());
    Machine::new(&spec).unwrap().run("main", Context::default())
}

#[test]
fn a_subprogram_gets_arguments_and_keeps_the_callers_registers() {
    let main = function("main", Prototype::Main, |asm| {
        asm.emit(alu::mov_imm(R6, 100));
        asm.emit(alu::mov_imm(R1, 20));
        asm.emit(alu::mov_imm(R2, 3));
        asm.call_subprogram("difference");
        asm.emit(alu::add_reg(R0, R6));
        asm.emit(jump::exit());
    });
    let callee = function("difference", Prototype::Static { arguments: 2 }, |asm| {
        asm.emit(alu::mov_reg(R6, R1));
        asm.emit(alu::reg(AluOp::Sub, R6, R2));
        asm.emit(alu::mov_reg(R0, R6));
        asm.emit(jump::exit());
    });
    let outcome = run_linked(vec![main, callee]).unwrap();
    assert_eq!((outcome.r0, outcome.steps), (117, 10));
}

#[test]
fn a_callee_starts_with_a_frame_of_its_own_and_may_write_the_callers() {
    let main = function("main", Prototype::Main, |asm| {
        asm.emit(memory::store_imm(Size::Double, R10, -8, 1));
        asm.emit(alu::mov_reg(R1, R10));
        asm.emit(alu::add_imm(R1, -8));
        asm.call_subprogram("callee");
        asm.emit(memory::load(Size::Double, R0, R10, -8));
        asm.emit(jump::exit());
    });
    let writes = function("callee", Prototype::Static { arguments: 1 }, |asm| {
        asm.emit(memory::store_imm(Size::Double, R10, -8, 7));
        asm.emit(memory::store_imm(Size::Double, R1, 0, 9));
        return_constant(asm, 0);
    });
    let reads = function("callee", Prototype::Static { arguments: 1 }, |asm| {
        asm.emit(memory::load(Size::Double, R0, R10, -8));
        asm.emit(jump::exit());
    });
    assert_eq!(run_linked(vec![main.clone(), writes]).unwrap().r0, 9);
    let fault = run_linked(vec![main, reads]).unwrap_err();
    assert_eq!(fault.kind, FaultKind::UnsetStack { offset: -8 });
    assert_eq!(fault.at.function, "callee");
}

#[test]
fn calls_lose_the_argument_registers() {
    for register in [R1, R2, R3, R4, R5] {
        let main = function("main", Prototype::Main, |asm| {
            asm.emit(alu::mov_imm(R6, 0));
            asm.emit(alu::mov_imm(register, 0));
            asm.call_subprogram("nothing");
            // a path that sets it keeps the assembler from knowing
            let set = asm.label();
            asm.jump_if(Width::Bits64, Condition::Eq, R6, 0, set);
            asm.emit(alu::mov_imm(register, 0));
            asm.bind(set);
            asm.emit(alu::mov_reg(R0, register));
            asm.emit(jump::exit());
        });
        let nothing = function("nothing", Prototype::Static { arguments: 0 }, |asm| return_constant(asm, 0));
        let fault = run_linked(vec![main, nothing]).unwrap_err();
        assert_eq!(fault.kind, FaultKind::UnsetRegister { register });
    }
}

#[test]
fn more_than_eight_functions_deep_is_a_fault() {
    let main = function("main", Prototype::Main, |asm| {
        asm.call_subprogram("deeper");
        asm.emit(jump::exit());
    });
    let deeper = function("deeper", Prototype::Static { arguments: 0 }, |asm| {
        asm.call_subprogram("deeper");
        asm.emit(jump::exit());
    });
    assert_eq!(run_linked(vec![main, deeper]).unwrap_err().kind, FaultKind::CallDepth);
}

#[test]
fn frames_share_the_stack_of_512_bytes_also_on_paths_that_are_not_taken() {
    let chain = |bytes: i16| {
        let main = function("main", Prototype::Main, |asm| {
            asm.emit(memory::store_imm(Size::Double, R10, -256, 0));
            asm.call_subprogram("callee");
            asm.emit(jump::exit());
        });
        let callee = function("callee", Prototype::Static { arguments: 0 }, |asm| {
            let end = asm.label();
            asm.emit(alu::mov_imm(R0, 0));
            asm.jump_if(Width::Bits64, Condition::Eq, R0, 0, end);
            asm.emit(memory::store_imm(Size::Double, R10, bytes, 0));
            asm.bind(end);
            asm.emit(jump::exit());
        });
        run_linked(vec![main, callee])
    };
    assert!(chain(-256).is_ok());
    assert_eq!(chain(-264).unwrap_err().kind, FaultKind::StackDepth { bytes: 544 });
}

/// `bpf_loop(iterations, callback, &sum, flags)`; the callback adds its index to the sum and stops after `last`.
fn looping(iterations: u64, flags: i32, last: i32) -> Vec<Subprogram> {
    let main = function("main", Prototype::Main, |asm| {
        asm.emit(memory::store_imm(Size::Double, R10, -8, 0));
        asm.load_constant(R1, iterations);
        asm.load_subprogram(R2, "callback");
        asm.emit(alu::mov_reg(R3, R10));
        asm.emit(alu::add_imm(R3, -8));
        asm.emit(alu::mov_imm(R4, flags));
        asm.call(Helper::Loop);
        asm.emit(alu::imm(AluOp::Lsh, R0, 32));
        asm.emit(memory::load(Size::Double, R1, R10, -8));
        asm.emit(alu::reg(AluOp::Or, R0, R1));
        asm.emit(jump::exit());
    });
    let callback = function("callback", Prototype::LoopCallback, |asm| {
        let go_on = asm.label();
        asm.emit(memory::load(Size::Double, R3, R2, 0));
        asm.emit(alu::add_reg(R3, R1));
        asm.emit(memory::store(Size::Double, R2, 0, R3));
        asm.emit(alu::mov_imm(R0, 0));
        asm.jump_if(Width::Bits64, Condition::Ne, R1, last, go_on);
        asm.emit(alu::mov_imm(R0, 1));
        asm.bind(go_on);
        asm.emit(jump::exit());
    });
    vec![main, callback]
}

#[test]
fn a_loop_calls_until_its_count_or_until_told_to_stop() {
    let done = |iterations, flags, last| run_linked(looping(iterations, flags, last)).unwrap().r0;
    let both = |count: u64, sum: u64| count << 32 | sum;
    assert_eq!(done(10, 0, 100), both(10, 45));
    assert_eq!(done(10, 0, 4), both(5, 10));
    assert_eq!(done(0, 0, 0), 0);
    let error = |errno: i64| (-errno << 32).cast_unsigned();
    assert_eq!(done(3, 1, 9), error(22));
    assert_eq!(done((8 << 20) + 1, 0, 9), error(7));
    assert_eq!(done(1 << 32 | 2, 0, 9), error(7), "the count is compared whole");
}

#[test]
fn a_callback_may_return_nothing_but_zero_and_one() {
    let mut functions = looping(3, 0, 9);
    functions[1] = function("callback", Prototype::LoopCallback, |asm| return_constant(asm, 2));
    assert_eq!(run_linked(functions).unwrap_err().kind, FaultKind::CallbackResult { value: 2 });
}

/// Tail-calls entry `R6` of `next` and returns `r0` if that fails.
fn tail_caller(index: i32, r0: i32) -> Code {
    code(|asm| {
        asm.load_map(R2, "next");
        asm.emit(alu::mov_imm(R3, index));
        asm.call(Helper::TailCall);
        return_constant(asm, r0);
    })
}

fn tail_calls() -> Machine {
    let mut spec = collection(
        ProgramKind::RawTracepoint,
        vec![map("next", MapKind::ProgArray, 4, 4, 3)],
        tail_caller(1, 1),
    );
    spec.programs.push(program("second", ProgramKind::RawTracepoint, tail_caller(2, 2)));
    spec.programs.push(program("again", ProgramKind::RawTracepoint, tail_caller(2, 3)));
    spec.programs.push(program("other", ProgramKind::Kprobe, code(|asm| return_constant(asm, 4))));
    Machine::new(&spec).unwrap()
}

#[test]
fn a_tail_call_goes_on_with_what_the_slot_holds_now() {
    let mut machine = tail_calls();
    let result = |machine: &mut Machine| machine.run("main", Context::default()).unwrap().r0;
    assert_eq!(result(&mut machine), 1, "an empty slot falls through");
    machine.set_program("next", 1, "second").unwrap();
    assert_eq!(result(&mut machine), 2);
    machine.clear_program("next", 1);
    assert_eq!(result(&mut machine), 1);
    assert!(machine.set_program("next", 3, "second").is_err());
    assert!(machine.set_program("next", 1, "nobody").is_err());
}

#[test]
fn thirty_three_tail_calls_are_all_and_types_must_agree() {
    let mut machine = tail_calls();
    machine.set_program("next", 1, "second").unwrap();
    machine.set_program("next", 2, "again").unwrap();
    let outcome = machine.run("main", Context::default()).unwrap();
    assert_eq!((outcome.r0, outcome.calls), (3, 34));
    machine.set_program("next", 1, "other").unwrap();
    let fault = machine.run("main", Context::default()).unwrap_err();
    assert_eq!(fault.kind, FaultKind::TailCallKind { callee: "other".to_owned() });
}

#[test]
fn a_tail_call_keeps_the_caller_of_a_subprogram() {
    let main = function("main", Prototype::Main, |asm| {
        asm.emit(alu::mov_imm(R6, 40));
        asm.call_subprogram("jumper");
        asm.emit(alu::add_reg(R0, R6));
        asm.emit(jump::exit());
    });
    let jumper = function("jumper", Prototype::Static { arguments: 1 }, |asm| {
        asm.emit(alu::mov_imm(R6, 1));
        asm.load_map(R2, "next");
        asm.emit(alu::mov_imm(R3, 0));
        asm.call(Helper::TailCall);
        return_constant(asm, 1);
    });
    let maps = vec![map("next", MapKind::ProgArray, 4, 4, 1)];
    let mut spec = collection(ProgramKind::RawTracepoint, maps, link(vec![main, jumper]).unwrap());
    spec.programs.push(program("end", ProgramKind::RawTracepoint, code(|asm| return_constant(asm, 2))));
    let mut machine = Machine::new(&spec).unwrap();
    machine.set_program("next", 0, "end").unwrap();
    assert_eq!(machine.run("main", Context::default()).unwrap().r0, 42);
}

#[test]
fn sections_must_be_closed_and_kernel_functions_known() {
    let with = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        run(move |asm| {
            for name in &names {
                asm.call_kfunc(name);
            }
            return_constant(asm, 0);
        })
        .map(|outcome| outcome.calls)
        .map_err(|fault| fault.kind)
    };
    assert_eq!(with(&["bpf_preempt_disable", "bpf_preempt_enable"]), Ok(2));
    let call = "bpf_preempt_disable";
    assert_eq!(with(&[call]), Err(FaultKind::UnbalancedSection { call }));
    let call = "bpf_preempt_enable";
    assert_eq!(with(&[call]), Err(FaultKind::UnbalancedSection { call }));
    let call = "bpf_rcu_read_lock";
    assert_eq!(with(&[call]), Err(FaultKind::UnbalancedSection { call }));
    assert_eq!(with(&["bpf_x"]), Err(FaultKind::UnknownKfunc { name: "bpf_x".to_owned() }));
}

#[test]
fn an_unknown_program_or_helper_is_named() {
    let mut machine = machine(ProgramKind::Kprobe, Vec::new(), |asm| {
        asm.emit(crate::insn::Insn { imm: 9999, ..crate::insn::call::helper(Helper::Loop) });
        return_constant(asm, 0);
    });
    let kind =
        |program: &str, machine: &mut Machine| machine.run(program, Context::default()).unwrap_err().kind;
    assert_eq!(kind("x", &mut machine), FaultKind::UnknownProgram { name: "x".to_owned() });
    assert_eq!(kind("main", &mut machine), FaultKind::UnknownHelper { number: 9999 });
}
