//! Returns: the entry's half of an event, what it leaves, and the half that the return adds.

use std::mem::offset_of;

use bpf_probes::abi::{
    Action, Call, CallKey, Counter, Counters, HookRecord, Loss, RecordKind, ReturnRecord, ValueHeader,
    hook_flag, map_name,
};
use bpf_probes::emulate::{Context, Outcome, Registers};
use bpf_probes::kernel::{KernelView, Preemption};
use bpf_probes::spec::AttachSpec;
use tracing_policy::policy::{Mode, Role};
use tracing_policy::source::SourceText;
use zerocopy::FromBytes;

use crate::kernel::{on_stack, other_task, recorded};
use crate::run::{Emulated, resolved};

pub(crate) const EVERY_KERNEL: [&str; 5] = ["5.10", "6.1", "6.12", "6.18", "7.2"];
pub(crate) const WITH_FUNCTIONS: [&str; 4] = ["5.10", "6.1", "6.12", "7.2"];
/// `sys_openat`
const OPENAT: u64 = 257;
/// Where the stack ends at a function's entry.
pub(crate) const STACK: u64 = 0xffff_c900_0001_0000;

/// One half of an event.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Half {
    pub(crate) kind: RecordKind,
    /// Time of the entry.
    pub(crate) entered: u64,
    pub(crate) layout: u32,
    pub(crate) tid: u32,
    pub(crate) action: u8,
    pub(crate) flags: u8,
    pub(crate) selector: u16,
    pub(crate) enforced: bool,
    pub(crate) values: Vec<Vec<u8>>,
    /// Frames of the kernel's stack and of the program's, where it has them.
    pub(crate) stacks: Vec<Vec<u8>>,
}

pub(crate) fn policy(call: &str, returned: &str, selectors: &str) -> String {
    let syscall = call.starts_with("sys_");
    format!(
        "apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {{name: p}}
spec:
  kprobes:
  - call: {call}
    syscall: {syscall}
    return: true
    returnArg: {{index: 0, type: {returned}}}
    args: [{{index: 0, type: int}}]
    selectors: [{selectors}]
"
    )
}

/// Matches calls with that first argument, and what else is given.
pub(crate) fn selector(first: i32, more: &str) -> String {
    format!("{{matchArgs: [{{index: 0, operator: Equal, values: ['{first}']}}]{more}}}")
}

pub(crate) fn emulated<'k>(texts: &[String], view: &'k KernelView) -> Emulated<'k> {
    let policies: Vec<_> = texts.iter().map(|text| resolved(text, view)).collect();
    Emulated::new(&policies, view)
}

pub(crate) fn run(
    it: &mut Emulated<'_>,
    is_return: bool,
    context: impl FnOnce(&AttachSpec) -> Context,
) -> Outcome {
    let body = it.compiled.bodies.iter().find(|body| (body.role == Role::Return) == is_return).unwrap();
    let context = context(&body.target);
    it.machine.load(&body.collection).unwrap();
    it.run(context)
}

pub(crate) fn enter_at(it: &mut Emulated<'_>, sp: u64, argument: u64) -> Outcome {
    let registers = on_stack(&mut it.machine, it.view, OPENAT, [argument, 0, 0, 0, 0, 0]);
    run(it, false, |target| {
        if let AttachSpec::Kprobe { symbol } = target {
            if symbol.starts_with("__x64_sys_") {
                return Context::kprobe([registers, 0, 0, 0, 0, 0]);
            }
            return Context::registers(Registers { sp, ..Registers::call([argument, 0, 0, 0, 0, 0]) });
        }
        if matches!(target, AttachSpec::RawTracepoint { .. }) {
            return Context::arguments(&[registers, OPENAT]);
        }
        assert!(matches!(target, AttachSpec::Fentry { .. }), "{target}");
        let of_call = target.to_string().contains("__x64_sys_");
        Context::arguments(&[if of_call { registers } else { argument }, 0, 0, 0, 0, 0])
    })
}

pub(crate) fn leave_at(it: &mut Emulated<'_>, sp: u64, value: i64) -> Outcome {
    let registers = on_stack(&mut it.machine, it.view, OPENAT, [0; 6]);
    let (value, view) = (value.cast_unsigned(), it.view);
    run(it, true, |target| {
        if let AttachSpec::Fexit { function } = target {
            let prototype = view.btf().prototype(view.function_btf(function).unwrap()).unwrap();
            let mut arguments = vec![0; prototype.parameters().len()];
            arguments.push(value);
            return Context::arguments(&arguments);
        }
        if matches!(target, AttachSpec::RawTracepoint { .. }) {
            return Context::arguments(&[registers, value]);
        }
        assert!(matches!(target, AttachSpec::Kretprobe { .. }), "{target}");
        Context::registers(Registers { sp: sp + 8, ax: value, ..Registers::default() })
    })
}

pub(crate) fn enter(it: &mut Emulated<'_>, argument: u64) -> Outcome {
    enter_at(it, STACK, argument)
}

pub(crate) fn leave(it: &mut Emulated<'_>, value: i64) -> Outcome {
    leave_at(it, STACK, value)
}

pub(crate) fn halves(it: &mut Emulated<'_>) -> Vec<Half> {
    let mut halves = Vec::new();
    for (ring, enforced) in [(map_name::EVENTS, false), (map_name::ENFORCEMENT, true)] {
        for record in it.machine.ring_mut(ring).unwrap().drain() {
            assert_eq!(record.unwritten, 0);
            let (hook, mut rest) = HookRecord::read_from_prefix(&record.bytes).unwrap();
            let kind = RecordKind::from_number(hook.header.kind).unwrap();
            assert_eq!(hook.header.size as usize, record.bytes.len());
            let returned = ReturnRecord::read_from_prefix(&record.bytes).unwrap().0;
            let mut values = Vec::new();
            let stacks = [hook_flag::KERNEL_STACK, hook_flag::USER_STACK];
            let stacks = stacks.iter().filter(|flag| hook.flags & **flag != 0).count();
            for _ in 0..hook.values as usize + stacks {
                let (header, tail) = ValueHeader::read_from_prefix(rest).unwrap();
                let length = header.len as usize;
                values.push(tail[..length].to_vec());
                rest = &tail[length.next_multiple_of(8)..];
            }
            assert!(rest.is_empty());
            let stacks = values.split_off(hook.values as usize);
            halves.push(Half {
                kind,
                entered: if kind == RecordKind::Return { returned.entered } else { hook.header.ktime },
                layout: hook.layout,
                tid: hook.tid,
                action: hook.action,
                flags: hook.flags & !hook_flag::PROCESS_NOT_FOUND,
                selector: hook.selector,
                enforced,
                values,
                stacks,
            });
        }
    }
    halves
}

/// What the return added: for each call reported at its entry, the value or that it is dismissed.
pub(crate) fn outcomes(it: &mut Emulated<'_>) -> Vec<Option<i64>> {
    let halves = halves(it);
    let (entries, returns): (Vec<_>, Vec<_>) = halves.iter().partition(|half| half.kind == RecordKind::Hook);
    let keys = |halves: &[&Half]| {
        let mut keys: Vec<_> = halves.iter().map(|half| (half.entered, half.layout, half.tid)).collect();
        keys.sort_unstable();
        keys
    };
    assert_eq!(keys(&entries), keys(&returns), "each entry has its return");
    let value = |half: &&Half| {
        let is_dismissed = half.flags & hook_flag::DISMISSED != 0;
        assert_eq!(half.values.len(), usize::from(!is_dismissed));
        half.values.first().map(|bytes| i64::read_from_bytes(bytes).unwrap())
    };
    returns.iter().map(value).collect()
}

pub(crate) fn left(it: &Emulated<'_>) -> usize {
    it.machine.map(map_name::CALLS).unwrap().len()
}

pub(crate) fn lost(it: &Emulated<'_>) -> u64 {
    let counters = it.machine.map(map_name::COUNTERS).unwrap().lookup(&[0; 4]).unwrap();
    let at = offset_of!(Counters, lost) + 8 * Loss::Return as usize;
    u64::read_from_bytes(&counters[at..at + 8]).unwrap()
}

/// System calls on all kernels, functions where there is a way to hook them, and both on preemptible ones.
pub(crate) fn every_way() -> Vec<(KernelView, &'static str)> {
    let mut ways: Vec<_> = EVERY_KERNEL.map(|folder| (recorded(folder), "sys_openat")).into();
    ways.extend(WITH_FUNCTIONS.map(|folder| (recorded(folder), "security_file_open")));
    let preemptible = recorded("6.12").changed(|facts| facts.preemption = Preemption::Full);
    ways.push((preemptible.clone(), "sys_openat"));
    ways.push((preemptible, "security_file_open"));
    ways
}

// proves: HOOK-02 (emulated)
#[test]
fn a_call_becomes_two_halves_that_name_each_other() {
    for (view, call) in every_way() {
        let mut it = emulated(&[policy(call, "int", &selector(7, ""))], &view);
        it.process(5, &[]);
        it.machine.world_mut().clock.step = 10;
        enter(&mut it, 7);
        assert_eq!(left(&it), 1, "{} {call}", view.release());
        leave(&mut it, -13);
        let both = halves(&mut it);
        let [entry, returned] = both.as_slice() else { panic!("{both:?}") };
        assert_eq!((entry.kind, returned.kind), (RecordKind::Hook, RecordKind::Return));
        assert_eq!((entry.entered, entry.layout, entry.tid), (returned.entered, 100, returned.tid));
        assert_eq!(returned.values, [(-13_i64).to_le_bytes()]);
        assert_eq!((returned.action, returned.flags, returned.enforced), (Action::Post as u8, 0, false));
        assert_eq!(left(&it), 0);
        // what does not match at the entry does not matter at the return
        enter(&mut it, 8);
        leave(&mut it, 3);
        assert_eq!((halves(&mut it).len(), left(&it), lost(&it)), (0, 0, 0));
        assert_eq!(it.count(0, 0, Counter::Post), 1);
    }
}

// proves: SEL-04 (emulated)
#[test]
fn what_was_returned_is_tested() {
    let cases = [
        ("int", "Equal, values: ['-2', '5']", [(-2, true), (5, true), (0, false)]),
        ("int", "NotEqual, values: ['0']", [(-2, true), (1 << 32, false), (0, false)]),
        ("int", "LT, values: ['0']", [(-1, true), (0, false), (i64::from(u32::MAX), true)]),
        ("long", "GT, values: ['0']", [(1 << 40, true), (-1, false), (0, false)]),
        ("size_t", "GT, values: ['4096']", [(-1, true), (4096, false), (4097, true)]),
        ("uint64", "InRange, values: ['1:3']", [(1, true), (3, true), (4, false)]),
        ("int", "NotInRange, values: ['-4095:-1']", [(-13, false), (0, true), (-4096, true)]),
        ("uint32", "Mask, values: ['0x6']", [(4, true), (1, false), (8, false)]),
        ("int", "InMap, values: ['-13', '-1']", [(-1, true), (-13, true), (-2, false)]),
        ("int", "NotInMap, values: ['-13', '-1']", [(-1, false), (-13, false), (-2, true)]),
    ];
    // the tests are those of arguments: one way of each kind will do
    let ways = [
        (recorded("6.18"), "sys_openat"),
        (recorded("7.2"), "security_file_open"),
        (recorded("5.10"), "security_file_open"),
    ];
    for (view, call) in ways {
        for (ty, operator, values) in cases {
            let filter = format!(", matchReturnArgs: [{{index: 0, operator: {operator}}}]");
            let mut it = emulated(&[policy(call, ty, &selector(7, &filter))], &view);
            for (value, matches) in values {
                enter(&mut it, 7);
                leave(&mut it, value);
                let shown = outcomes(&mut it).iter().map(Option::is_some).collect::<Vec<_>>();
                assert_eq!(shown, [matches], "{} {call}: {ty} {operator}: {value}", view.release());
            }
        }
    }
}

#[test]
fn the_selector_that_matched_at_the_entry_says_what_is_asked_of_the_return() {
    let failed = ", matchReturnArgs: [{index: 0, operator: LT, values: ['0']}]";
    let fine = ", matchReturnArgs: [{index: 0, operator: Equal, values: ['0']}]";
    for (view, call) in every_way() {
        let both = format!("{}, {}", selector(1, failed), selector(2, fine));
        let other = policy(call, "int", &selector(2, failed));
        let mut it = emulated(&[policy(call, "int", &both), other], &view);
        let mut of = |argument, value| {
            enter(&mut it, argument);
            leave(&mut it, value);
            outcomes(&mut it)
        };
        assert_eq!(of(1, -1), [Some(-1)]);
        assert_eq!(of(1, 0), [None]);
        assert_eq!(of(2, 0), [Some(0), None]);
        assert_eq!(of(2, -1), [None, Some(-1)]);
        assert_eq!(of(3, 0), []);
    }
}

#[test]
fn threads_are_told_apart() {
    for (view, call) in every_way() {
        let mut it = emulated(&[policy(call, "int", &selector(7, ""))], &view);
        enter(&mut it, 7);
        let first = it.machine.world().task.clone();
        other_task(&mut it.machine, &view);
        leave(&mut it, 1);
        assert_eq!((halves(&mut it).len(), left(&it)), (1, 1), "the entry's only");
        enter(&mut it, 7);
        it.machine.world_mut().task = first;
        leave(&mut it, 2);
        let of_first = halves(&mut it);
        assert_eq!(of_first.last().map(|half| half.values.clone()), Some(vec![2_i64.to_le_bytes().to_vec()]));
        assert_eq!(left(&it), 1);
    }
}

#[test]
fn a_function_that_calls_itself_returns_to_each_of_its_calls() {
    let view = recorded("7.2");
    let mut it = emulated(&[policy("security_file_open", "int", &selector(7, ""))], &view);
    it.machine.world_mut().clock.step = 10;
    enter_at(&mut it, STACK, 7);
    enter_at(&mut it, STACK - 64, 8);
    enter_at(&mut it, STACK - 128, 7);
    assert_eq!(left(&it), 2);
    leave_at(&mut it, STACK - 128, 3);
    leave_at(&mut it, STACK - 64, 2);
    leave_at(&mut it, STACK, 1);
    let all = halves(&mut it);
    let of = |kind| all.iter().filter(move |half| half.kind == kind).map(|half| half.entered);
    let (entries, returns): (Vec<_>, Vec<_>) =
        (of(RecordKind::Hook).collect(), of(RecordKind::Return).collect());
    assert_eq!(returns, [entries[1], entries[0]]);
    assert_eq!((left(&it), lost(&it)), (0, 0));
}

#[test]
fn a_return_that_was_not_seen_is_counted_and_taken_for_no_other() {
    for (view, call) in every_way() {
        let mut it = emulated(&[policy(call, "int", &selector(7, ""))], &view);
        enter(&mut it, 7);
        enter(&mut it, 8);
        assert_eq!((left(&it), lost(&it)), (0, 1), "{} {call}", view.release());
        leave(&mut it, 0);
        assert_eq!(halves(&mut it).iter().map(|half| half.kind).collect::<Vec<_>>(), [RecordKind::Hook]);
    }
}

#[test]
fn policies_may_come_and_go_while_a_call_is_under_way() {
    for (view, call) in every_way() {
        let text = policy(call, "int", &selector(7, ""));
        let mut it = emulated(&[text.clone(), text], &view);
        // what another policy left, whose number nobody else will have
        let task = it.machine.world().task.address;
        for layout in [101, 99] {
            let key = CallKey { task, frame: 0, layout, buffer: 0 };
            let value = Call { ktime: 44, tid: 45, selector: 0, flags: 1 };
            let map = it.machine.map_mut(map_name::CALLS).unwrap();
            map.update(zerocopy::IntoBytes::as_bytes(&key), zerocopy::IntoBytes::as_bytes(&value)).unwrap();
        }
        leave(&mut it, 5);
        let all = halves(&mut it);
        if call.starts_with("sys_") {
            let [only] = all.as_slice() else { panic!("{all:?}") };
            assert_eq!((only.entered, only.tid, only.layout), (44, 45, 101));
            assert_eq!(left(&it), 1, "nobody looks at the other");
        } else {
            assert_eq!((all.len(), left(&it)), (0, 2), "another frame");
        }
    }
}

// proves: ACT-12 (emulated), POL-13 (enforcement at the return)
#[test]
fn actions_of_the_return_run_when_it_matches() {
    let kill = ", matchReturnArgs: [{index: 0, operator: GT, values: ['-1']}], matchReturnActions: [{action: Sigkill}]";
    for (view, call) in every_way() {
        let text = policy(call, "int", &selector(7, kill));
        let (policy, _) = tracing_policy::read(&SourceText::new("test", text.clone())).unwrap();
        assert_eq!(policy.initial_mode(), Mode::Enforce);
        let mut it = emulated(&[text], &view);
        enter(&mut it, 7);
        assert_eq!(leave(&mut it, -1).signals.len(), 0);
        assert_eq!(outcomes(&mut it), [None]);
        assert_eq!(enter(&mut it, 7).signals.len(), 0);
        let signals = leave(&mut it, 3).signals;
        assert_eq!(signals.iter().map(|signal| signal.number).collect::<Vec<_>>(), [9]);
        let both = halves(&mut it);
        assert!(both.iter().all(|half| half.enforced), "{both:?}");
        assert_eq!(both.last().map(|half| half.action), Some(Action::Sigkill as u8));
        assert_eq!((it.count(0, 0, Counter::Signal), it.count(0, 0, Counter::Post)), (1, 1));
        it.monitor(0);
        enter(&mut it, 7);
        assert_eq!(leave(&mut it, 3).signals.len(), 0);
        let both = halves(&mut it);
        assert!(both.iter().all(|half| !half.enforced), "{both:?}");
        assert_eq!(both.last().map(|half| half.flags), Some(hook_flag::MONITOR));
        assert_eq!(it.count(0, 0, Counter::MonitorSignal), 1);
    }
}

#[test]
fn a_call_that_is_not_to_be_reported_is_acted_on_all_the_same() {
    let quiet = ", matchActions: [{action: NoPost}], matchReturnActions: [{action: Signal, argSig: 10}]";
    let dropped = ", matchReturnActions: [{action: NoPost}]";
    let nothing = ", matchActions: [{action: NoPost}]";
    for (view, call) in every_way() {
        let text =
            policy(call, "int", &[selector(1, quiet), selector(2, dropped), selector(3, nothing)].join(","));
        let mut it = emulated(&[text], &view);
        enter(&mut it, 1);
        assert_eq!((leave(&mut it, 0).signals.len(), halves(&mut it).len()), (1, 0));
        enter(&mut it, 2);
        assert_eq!(leave(&mut it, 0).signals.len(), 0);
        assert_eq!(outcomes(&mut it), [None]);
        enter(&mut it, 3);
        assert_eq!(left(&it), 0);
        leave(&mut it, 0);
        assert_eq!(halves(&mut it).len(), 0);
    }
}

#[test]
fn who_does_not_ask_for_the_return_rides_along_and_reports_at_the_entry() {
    let view = recorded("7.2");
    let plain = "apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: p}
spec:
  kprobes: [{call: sys_openat, args: [{index: 0, type: int}]}]
";
    let mut it = emulated(&[plain.to_owned(), policy("sys_openat", "int", &selector(7, ""))], &view);
    assert_eq!(
        it.compiled.bodies.iter().map(|body| body.role).collect::<Vec<_>>(),
        [Role::Report, Role::Return]
    );
    enter(&mut it, 7);
    leave(&mut it, 1);
    let layouts: Vec<_> = halves(&mut it).iter().map(|half| (half.kind, half.layout)).collect();
    assert_eq!(layouts, [(RecordKind::Hook, 100), (RecordKind::Hook, 101), (RecordKind::Return, 101)]);
}

// proves: HOOK-06
#[test]
fn a_fentry_reports_as_a_kprobe_does() {
    for call in ["security_file_open", "sys_openat"] {
        for folder in WITH_FUNCTIONS {
            let view = recorded(folder);
            let text = policy(call, "int", &selector(7, "")).replace("kprobes:", "fentries:");
            let mut it = emulated(&[text], &view);
            let by_trampoline = it
                .compiled
                .bodies
                .iter()
                .all(|body| matches!(body.target, AttachSpec::Fentry { .. } | AttachSpec::Fexit { .. }));
            assert_eq!(by_trampoline, folder != "7.2", "{folder}");
            for (argument, expected) in [(7, vec![Some(-13)]), (8, Vec::new())] {
                enter(&mut it, argument);
                leave(&mut it, -13);
                assert_eq!(outcomes(&mut it), expected, "{folder} {call}");
            }
        }
    }
}

#[test]
fn a_pointer_that_is_returned_is_read() {
    let text = "apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: p}
spec:
  kprobes:
  - call: do_filp_open
    syscall: false
    return: true
    returnArg: {index: 0, type: file}
    selectors: [{matchReturnArgs: [{index: 0, operator: Prefix, values: [/etc/]}]}]
";
    for folder in WITH_FUNCTIONS {
        let view = recorded(folder);
        if view.function_btf("do_filp_open").is_none() {
            continue;
        }
        let mut it = emulated(&[text.to_owned()], &view);
        for (path, shown) in [("/etc/shadow", true), ("/usr/bin/ls", false)] {
            let file = it.objects.file(&mut it.machine, &view, path, 0o100_644);
            enter(&mut it, 0);
            leave(&mut it, file.cast_signed());
            let returned = halves(&mut it).pop().unwrap();
            let expected = if shown { vec![path.as_bytes().to_vec()] } else { Vec::new() };
            assert_eq!((returned.kind, returned.values), (RecordKind::Return, expected));
        }
        // `ERR_PTR(-2)`
        enter(&mut it, 0);
        leave(&mut it, -2);
        let returned = halves(&mut it).pop().unwrap();
        assert!(returned.flags & hook_flag::DISMISSED != 0, "{folder}: {returned:?}");
    }
}

#[test]
fn other_system_calls_end_without_a_look_but_an_exec_may_have_changed_the_number() {
    let view = recorded("6.18");
    let text = policy("sys_openat", "int", &selector(7, ""));
    let mut it = emulated(&[text], &view);
    enter(&mut it, 7);
    let registers = on_stack(&mut it.machine, &view, 1, [0; 6]);
    run(&mut it, true, |_| Context::arguments(&[registers, 0]));
    assert_eq!((halves(&mut it).len(), left(&it)), (1, 1));
    let exec = policy("sys_execve", "int", "");
    let mut it = emulated(&[exec], &view);
    let registers = on_stack(&mut it.machine, &view, 59, [0; 6]);
    run(&mut it, false, |_| Context::arguments(&[registers, 59]));
    let registers = on_stack(&mut it.machine, &view, 11, [0; 6]);
    run(&mut it, true, |_| Context::arguments(&[registers, 0]));
    assert_eq!(outcomes(&mut it), [Some(0)]);
}

// proves: HOOK-06 (entries, lists)
#[test]
fn a_fentry_without_return_has_filters_and_actions_and_a_list_is_a_fentry_for_each() {
    let selectors = "{matchArgs: [{index: 0, operator: Equal, values: [/etc/shadow]}], matchActions: [{action: Post}]}, {matchArgs: [{index: 0, operator: Postfix, values: [.key]}], matchActions: [{action: NoPost}]}";
    for folder in WITH_FUNCTIONS {
        let view = recorded(folder);
        let text = crate::run::policy("security_file_open", "{index: 0, type: file}", selectors)
            .replace("kprobes:", "fentries:");
        let mut it = emulated(&[text], &view);
        let trampoline = folder != "7.2";
        let expected = if trampoline { "fentry security_file_open" } else { "kprobe security_file_open" };
        let targets: Vec<_> = it.compiled.bodies.iter().map(|body| body.target.to_string()).collect();
        assert_eq!(targets, [expected], "{folder}");
        for (path, reported) in [("/etc/shadow", true), ("/etc/passwd", false), ("/a/b.key", false)] {
            let file = it.objects.file(&mut it.machine, &view, path, 0o100_600);
            it.run(if trampoline {
                Context::arguments(&[file])
            } else {
                Context::kprobe([file, 0, 0, 0, 0, 0])
            });
            let reports = it.reports();
            assert_eq!(!reports.is_empty(), reported, "{folder} {path}");
            assert!(reports.iter().all(|report| report.values[0].1 == path.as_bytes()));
        }
        assert_eq!((it.count(0, 0, Counter::Post), it.count(0, 1, Counter::NoPost)), (1, 1));
        let list = crate::run::policy("'list:l'", "", "").replace(
            "kprobes:",
            "lists: [{name: l, values: [vfs_open, security_file_open, vfs_read, vfs_write]}]\n  fentries:",
        );
        // never one attachment for all
        let hooks = resolved(&list, &view).hooks;
        let kinds: Vec<_> = hooks.iter().map(|hook| hook.attachments[0].target.to_string()).collect();
        assert_eq!(kinds.len(), 4, "{kinds:?}");
        assert!(kinds.iter().all(|kind| kind.starts_with("fentry ") == trampoline), "{kinds:?}");
    }
}
