//! Functions of programs that are seen to return.

use bpf_probes::abi::{Action, Counter, RecordKind, hook_flag};
use bpf_probes::attach::CallEnd;
use bpf_probes::emulate::{Context, Outcome, Registers};
use bpf_probes::kernel::Feature;
use bpf_probes::spec::AttachSpec;
use tracing_policy::diagnostic::Code;
use tracing_policy::policy::{Exactness, Role};

use crate::kernel::recorded;
use crate::returns::{Half, STACK, halves, left, lost, run};
use crate::run::Emulated;
use crate::uprobes::{hooked, kernels, resolve};

const ASKED: &str = "args: [{index: 0, type: int}], return: true, returnArg: {index: 0, type: int}";

fn enter_at(it: &mut Emulated<'_>, sp: u64, argument: u64) -> Outcome {
    run(it, false, |_| Context::registers(Registers { sp, ..Registers::call([argument, 0, 0, 0, 0, 0]) }))
}

fn leave_at(it: &mut Emulated<'_>, sp: u64, value: i64) -> Outcome {
    let ax = value.cast_unsigned();
    run(it, true, |_| Context::registers(Registers { sp: sp + 8, ax, ..Registers::default() }))
}

fn values(halves: &[Half]) -> Vec<i64> {
    let of = |half: &Half| i64::from_le_bytes(half.values[0].as_slice().try_into().unwrap());
    halves.iter().map(of).collect()
}

// proves: HOOK-11 (emulated)
#[test]
fn a_call_becomes_two_halves_that_name_each_other() {
    for view in &kernels() {
        let policy = hooked(view, ASKED);
        let targets: Vec<_> =
            policy.hooks[0].attachments.iter().map(|it| (it.target.clone(), it.role)).collect();
        let [(exit, Role::Return), (entry, Role::Report)] = targets.as_slice() else { panic!("{targets:?}") };
        let multi = view.has(Feature::UprobeMulti);
        let ends = |target: &AttachSpec| {
            if let AttachSpec::UprobeMulti { end, .. } = target {
                return (true, *end);
            }
            let AttachSpec::Uprobe { end, .. } = target else { panic!("{target}") };
            (false, *end)
        };
        assert_eq!((ends(entry), ends(exit)), ((multi, CallEnd::Entry), (multi, CallEnd::Return)));
        assert!(matches!(policy.hooks[0].attachments[0].exactness, Exactness::CanMiss(_)));
        assert_eq!(policy.hooks[0].attachments[1].exactness, Exactness::Exact);
        let mut it = Emulated::new(&[policy], view);
        it.machine.world_mut().clock.step = 10;
        enter_at(&mut it, STACK, 7);
        assert_eq!(left(&it), 1);
        leave_at(&mut it, STACK, -13);
        let both = halves(&mut it);
        assert_eq!((both[0].kind, both[1].kind, both.len()), (RecordKind::Hook, RecordKind::Return, 2));
        assert_eq!((both[0].entered, both[0].layout), (both[1].entered, both[1].layout));
        assert_eq!(values(&both), [7, -13], "{}", view.release());
        assert_eq!((left(&it), lost(&it), it.count(0, 0, Counter::Post)), (0, 0, 1));
    }
}

// proves: HOOK-11 (recursion)
#[test]
fn a_function_that_calls_itself_returns_to_each_of_its_calls() {
    for view in &kernels() {
        let mut it = Emulated::new(&[hooked(view, ASKED)], view);
        it.machine.world_mut().clock.step = 10;
        for depth in 0..3 {
            enter_at(&mut it, STACK - 64 * depth, depth);
        }
        for depth in (0..3).rev() {
            leave_at(&mut it, STACK - 64 * depth, 100 + depth.cast_signed());
        }
        let all = halves(&mut it);
        assert_eq!(values(&all), [0, 1, 2, 102, 101, 100]);
        let entered: Vec<_> = all.iter().map(|half| half.entered).collect();
        assert_eq!(entered[..3], [entered[5], entered[4], entered[3]]);
        // a call whose return was not seen is counted, and taken for no other
        enter_at(&mut it, STACK, 1);
        enter_at(&mut it, STACK, 2);
        leave_at(&mut it, STACK, 3);
        leave_at(&mut it, STACK, 4);
        assert_eq!((values(&halves(&mut it)), lost(&it)), (vec![1, 2, 3], 1));
    }
}

// proves: HOOK-11 (matchReturnArgs, matchReturnActions), ACT-12 (uprobe)
#[test]
fn what_was_returned_is_tested_and_acted_on() {
    let selectors = "selectors: [{matchReturnArgs: [{index: 0, operator: LT, values: ['0']}], matchReturnActions: [{action: Sigkill}]}]";
    for view in &kernels() {
        let mut it = Emulated::new(&[hooked(view, &format!("{ASKED}, {selectors}"))], view);
        assert!(enter_at(&mut it, STACK, 7).signals.is_empty());
        assert!(leave_at(&mut it, STACK, 0).signals.is_empty());
        let both = halves(&mut it);
        assert!(both[1].flags & hook_flag::DISMISSED != 0, "{both:?}");
        enter_at(&mut it, STACK, 7);
        assert_eq!(leave_at(&mut it, STACK, -1).signals.len(), 1);
        let both = halves(&mut it);
        assert_eq!((both[1].action, both[1].enforced), (Action::Sigkill as u8, true), "{both:?}");
    }
}

// proves: HOOK-11 (text)
#[test]
fn a_text_that_is_returned_is_read_from_user_space() {
    let asked = "args: [], return: true, returnArg: {index: 0, type: string}";
    let selectors = "selectors: [{matchReturnArgs: [{index: 0, operator: Prefix, values: [he]}]}]";
    for view in &kernels() {
        let mut it = Emulated::new(&[hooked(view, &format!("{asked}, {selectors}"))], view);
        for (text, expected) in [("hello", Some(b"hello".as_slice())), ("no", None)] {
            let text = it.machine.world_mut().user.string(text);
            enter_at(&mut it, STACK, 0);
            leave_at(&mut it, STACK, text.cast_signed());
            let both = halves(&mut it);
            assert_eq!(both[1].values.first().map(Vec::as_slice), expected, "{}", view.release());
        }
    }
}

// proves: HOOK-11 (places without a return address)
#[test]
fn a_place_in_the_midst_of_a_function_has_no_return_to_look_at() {
    let view = recorded("6.12");
    let at = |place: &str| resolve(&view, "", &format!("path: /bin/elf, symbols: [{place}], {ASKED}"));
    assert!(at("main").is_ok());
    // behind an endbr64 the stack is as at the beginning
    assert!(at("main+0x4").is_ok());
    assert_eq!(at("main+0x8").unwrap_err(), [Code::NoSuchFunction]);
}
