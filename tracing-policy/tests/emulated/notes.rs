//! Deferred override: the entry notes the error, a hook on the way returns it, the exit forgets it.

use std::mem::offset_of;

use bpf_probes::abi::{Action, Counter, Counters, Loss, NOTES, Note, NoteKey, map_name};
use bpf_probes::emulate::{Context, Machine, Outcome};
use bpf_probes::kernel::{Answer, Feature, KernelView};
use bpf_probes::sensor::STUB;
use bpf_probes::spec::AttachSpec;
use tracing_policy::policy::Role;
use zerocopy::{FromBytes, IntoBytes};

use crate::kernel::{on_stack, other_task, recorded};
use crate::run::{Emulated, policy, resolved};

/// `sys_symlinkat`
const SYMLINKAT: u64 = 266;
const ENOENT: i64 = -2;

fn denied(target: &str, errno: i32) -> String {
    let selector = format!(
        "{{matchArgs: [{{index: 0, operator: Equal, values: [{target}]}}], matchActions: [{{action: Override, argError: {errno}}}]}}"
    );
    policy("sys_symlinkat", "{index: 0, type: string}", &selector)
}

fn kernels() -> Vec<KernelView> {
    ["5.10", "6.1", "6.12", "7.2"].map(recorded).into()
}

fn emulated<'k>(texts: &[String], view: &'k KernelView) -> Emulated<'k> {
    let policies: Vec<_> = texts.iter().map(|text| resolved(text, view)).collect();
    let mut it = Emulated::new(&policies, view);
    on_stack(&mut it.machine, view, SYMLINKAT, [0; 6]);
    it
}

/// Runs the program with that role.
fn run(it: &mut Emulated<'_>, role: Role, context: Context) -> Outcome {
    let body = it.compiled.bodies.iter().find(|body| body.role == role).unwrap();
    it.machine.load(&body.collection).unwrap();
    it.run(context)
}

fn enter(it: &mut Emulated<'_>, target: &str) -> Outcome {
    let target = it.machine.world_mut().user.string(target);
    let registers = on_stack(&mut it.machine, it.view, SYMLINKAT, [target, 0, 0, 0, 0, 0]);
    run(it, Role::ReportAndNote, Context::kprobe([registers, 0, 0, 0, 0, 0]))
}

/// What the hook on the way returns.
fn pass(it: &mut Emulated<'_>) -> i32 {
    run(it, Role::DenyNoted, Context::arguments(&[0; 8])).result()
}

fn leave(it: &mut Emulated<'_>, role: Role, value: i64) -> Outcome {
    let body = it.compiled.bodies.iter().find(|body| body.role == role).unwrap();
    let value = value.cast_unsigned();
    let is_fexit = matches!(body.target, AttachSpec::Fexit { .. });
    let context = if is_fexit { Context::arguments(&[0, value]) } else { Context::kretprobe(value) };
    run(it, role, context)
}

fn notes(machine: &Machine) -> usize {
    machine.map(map_name::NOTES).unwrap().len()
}

fn lost(it: &Emulated<'_>, loss: Loss) -> u64 {
    let counters = it.machine.map(map_name::COUNTERS).unwrap().lookup(&[0; 4]).unwrap();
    let at = offset_of!(Counters, lost) + 8 * loss as usize;
    u64::read_from_bytes(&counters[at..at + 8]).unwrap()
}

// proves: ACT-03 (deferred)
#[test]
fn a_denied_system_call_returns_its_error_on_the_way_and_leaves_nothing_behind() {
    for view in kernels() {
        let mut it = emulated(&[denied("/etc/shadow", -121)], &view);
        let roles: Vec<_> = it.compiled.bodies.iter().map(|body| body.role).collect();
        assert_eq!(roles, [Role::ReportAndNote, Role::DenyNoted, Role::Forget]);
        enter(&mut it, "/etc/shadow");
        let reports = it.reports();
        assert_eq!((reports.len(), reports[0].record.action), (1, Action::Override as u8));
        assert_eq!((it.count(0, 0, Counter::Override), notes(&it.machine)), (1, 1));
        assert_eq!([pass(&mut it), pass(&mut it)], [-121; 2], "every time that the call passes a hook");
        assert_eq!(leave(&mut it, Role::Forget, -121).signals.len(), 0);
        assert_eq!((notes(&it.machine), pass(&mut it)), (0, 0));

        enter(&mut it, "/etc/hosts");
        assert_eq!((notes(&it.machine), pass(&mut it), it.reports().len()), (0, 0, 0));
    }
}

#[test]
fn a_note_is_good_for_its_thread_only() {
    for view in kernels() {
        let mut it = emulated(&[denied("x", -1)], &view);
        enter(&mut it, "x");
        let first = it.machine.world().task.address;
        other_task(&mut it.machine, &view);
        on_stack(&mut it.machine, &view, SYMLINKAT, [0; 6]);
        assert_eq!(pass(&mut it), 0);
        enter(&mut it, "y");
        assert_eq!((pass(&mut it), notes(&it.machine)), (0, 1));
        leave(&mut it, Role::Forget, 0);
        it.machine.world_mut().task.address = first;
        assert_eq!(pass(&mut it), -1);
    }
}

#[test]
fn a_note_whose_call_ended_unseen_denies_no_other_call() {
    for view in kernels() {
        let mut it = emulated(&[denied("x", -1)], &view);
        enter(&mut it, "x");
        // the end is missed; the thread makes a call that passes the same hook
        on_stack(&mut it.machine, &view, 88, [0; 6]);
        assert_eq!(pass(&mut it), 0);
        // and then the same call with something else
        enter(&mut it, "y");
        assert_eq!((pass(&mut it), notes(&it.machine)), (0, 0));
        // a call that was interrupted begins again
        enter(&mut it, "x");
        enter(&mut it, "x");
        assert_eq!((pass(&mut it), notes(&it.machine)), (-1, 1));
    }
}

#[test]
fn monitor_mode_leaves_no_note() {
    let view = recorded("6.12");
    let mut it = emulated(&[denied("x", -1)], &view);
    it.monitor(0);
    enter(&mut it, "x");
    assert_eq!((notes(&it.machine), pass(&mut it)), (0, 0));
    assert_eq!((it.count(0, 0, Counter::MonitorOverride), it.reports().len()), (1, 1));
}

#[test]
fn of_several_policies_the_first_that_denies_says_with_which_error() {
    let view = recorded("6.12");
    let post = policy("sys_symlinkat", "{index: 0, type: string}", "{matchActions: [{action: Post}]}");
    let texts = [post, denied("a", -5), denied("b", -6), denied("a", -7)];
    let mut it = emulated(&texts, &view);
    assert_eq!(it.compiled.bodies.len(), 3, "who only reports rides along");
    for (target, errno, reporters) in [("a", -5, vec![0, 1, 3]), ("b", -6, vec![0, 2]), ("c", 0, vec![0])] {
        enter(&mut it, target);
        assert_eq!((pass(&mut it), it.reporters()), (errno, reporters), "{target}");
    }
    it.monitor(1);
    enter(&mut it, "a");
    assert_eq!(pass(&mut it), -7);
}

#[test]
fn where_no_note_can_be_left_the_caller_is_killed_and_stopped_on_the_way() {
    for view in kernels() {
        let mut it = emulated(&[denied("x", -1)], &view);
        let map = it.machine.map_mut(map_name::NOTES).unwrap();
        for task in 0..u64::from(NOTES) {
            let key = NoteKey { task, hook: 1 };
            map.update(key.as_bytes(), Note::default().as_bytes()).unwrap();
        }
        let outcome = enter(&mut it, "x");
        assert_eq!(outcome.signals.iter().map(|signal| signal.number).collect::<Vec<_>>(), [9]);
        assert_eq!((lost(&it, Loss::Note), pass(&mut it)), (1, 0), "not yet being killed");
        crate::kernel::pending_kill(&mut it.machine, &view);
        assert_eq!(pass(&mut it), -1);
        other_task(&mut it.machine, &view);
        on_stack(&mut it.machine, &view, SYMLINKAT, [0; 6]);
        assert_eq!(pass(&mut it), 0);
    }
}

#[test]
fn who_opens_past_all_hooks_is_killed() {
    let selector = "{matchArgs: [{index: 1, operator: Equal, values: [x]}], matchActions: [{action: Override, argError: -1}]}";
    let text = policy("sys_openat", "{index: 1, type: string}", selector);
    for view in kernels() {
        let mut it = Emulated::new(&[resolved(&text, &view)], &view);
        let path = it.machine.world_mut().user.string("x");
        for (returned, kills) in [(3, 1), (0, 1), (-1, 0), (ENOENT, 0), (-4095, 0), (-115, 1)] {
            let registers = on_stack(&mut it.machine, &view, 257, [0, path, 0, 0, 0, 0]);
            run(&mut it, Role::ReportAndNote, Context::kprobe([registers, 0, 0, 0, 0, 0]));
            assert_eq!(notes(&it.machine), 1);
            let outcome = leave(&mut it, Role::ForgetAndKill, returned);
            assert_eq!((outcome.signals.len(), notes(&it.machine)), (kills, 0), "{returned}");
            // a call that was not denied
            assert_eq!(leave(&mut it, Role::ForgetAndKill, returned).signals.len(), 0);
        }
    }
}

// proves: ACT-05 (hooks with other parameters)
#[test]
fn a_function_whose_hook_has_other_parameters_tells_it_what_to_return() {
    let view = recorded("6.12");
    let selector = "{matchActions: [{action: Override, argError: -30}]}";
    let text = policy("security_inode_rename", "{index: 4, type: uint32}", selector);
    let mut it = Emulated::new(&[resolved(&text, &view)], &view);
    run(&mut it, Role::ReportAndNote, Context::kprobe([0; 6]));
    assert_eq!((pass(&mut it), notes(&it.machine), pass(&mut it)), (-30, 0, 0));
    let earlier = Context::arguments(&[0, 0, 0, 0, (-13_i64).cast_unsigned()]);
    run(&mut it, Role::ReportAndNote, Context::kprobe([0; 6]));
    assert_eq!(run(&mut it, Role::DenyNoted, earlier).result(), -13, "what was denied stays so");
}

/// The recorded kernel as if it were built with `CONFIG_BPF_KPROBE_OVERRIDE`.
fn with_override(view: &KernelView) -> KernelView {
    view.clone().changed(|facts| facts.features.set(Feature::OverrideReturn, Answer::Yes))
}

// proves: ACT-03 (emulated)
#[test]
fn a_kernel_that_can_override_returns_the_value_itself_whatever_it_is() {
    for view in kernels() {
        let view = with_override(&view);
        let post = policy("sys_symlinkat", "{index: 0, type: string}", "{matchActions: [{action: Post}]}");
        let texts = [post, denied("a", -13), denied("b", 7), denied("c", 0), denied("d", i32::MIN)];
        let mut it = emulated(&texts, &view);
        let roles: Vec<_> = it.compiled.bodies.iter().map(|body| body.role).collect();
        assert_eq!(roles, [Role::Override, Role::ReportAndOverride], "who only reports rides ahead");
        for (target, value) in
            [("a", Some(-13)), ("b", Some(7)), ("c", Some(0)), ("d", Some(i64::from(i32::MIN))), ("e", None)]
        {
            let text = it.machine.world_mut().user.string(target);
            let registers = on_stack(&mut it.machine, &view, SYMLINKAT, [text, 0, 0, 0, 0, 0]);
            let context = Context::kprobe([registers, 0, 0, 0, 0, 0]);
            run(&mut it, Role::ReportAndOverride, context.clone());
            assert_eq!(it.reporters().len(), 1 + usize::from(value.is_some()));
            let body = it.compiled.bodies.iter().find(|body| body.role == Role::Override).unwrap();
            it.machine.load(&body.collection).unwrap();
            let outcome = it.machine.run(STUB, context).unwrap();
            assert_eq!((outcome.override_errno, notes(&it.machine)), (value, 0), "{target}");
        }
    }
}
