#![expect(clippy::unwrap_used, reason = "tests")]

use super::super::fake::{FakeCompiler, FakeKernel, hook};
use super::*;

fn passenger(function: &str, policy: u32) -> Passenger {
    Passenger {
        hook: Arc::new(hook(function, Vec::new())),
        policy_number: policy,
        layout_number: policy,
        first_selector: policy,
        class_numbers: Vec::new(),
    }
}

fn join(hooks: &mut Hooks<FakeKernel>, kernel: &FakeKernel, joining: &[Passenger]) {
    let prepared = hooks.prepare(joining, &[], &FakeCompiler::default(), kernel).map_err(drop).unwrap();
    hooks.commit(prepared, kernel);
}

fn leave(hooks: &mut Hooks<FakeKernel>, kernel: &FakeKernel, leaving: &[u32]) {
    let prepared = hooks.prepare(&[], leaving, &FakeCompiler::default(), kernel).map_err(drop).unwrap();
    hooks.commit(prepared, kernel);
}

fn running(kernel: &FakeKernel) -> Vec<String> {
    kernel.running().into_iter().map(|(_, body)| body).collect()
}

#[test]
fn nothing_runs_before_the_hand_over() {
    let (mut hooks, kernel) = (Hooks::new(), FakeKernel::default());
    let prepared =
        hooks.prepare(&[passenger("f", 1)], &[], &FakeCompiler::default(), &kernel).map_err(drop).unwrap();
    assert_eq!((running(&kernel).len(), kernel.objects()), (0, (1, 1)));
    hooks.commit(prepared, &kernel);
    assert_eq!(running(&kernel), ["f Report {1}"]);
}

#[test]
fn all_policies_on_a_hook_are_one_program() {
    let (mut hooks, kernel) = (Hooks::new(), FakeKernel::default());
    for policy in 0..50 {
        join(&mut hooks, &kernel, &[passenger("f", policy)]);
    }
    assert_eq!((running(&kernel).len(), kernel.objects()), (1, (1, 1)));
    assert!(running(&kernel)[0].contains("49"));
    assert_eq!(hooks.attachments(&passenger("f", 0).hook.key, &kernel)[0].riders, 50);
}

#[test]
fn the_old_program_runs_until_the_next_one_does() {
    let (mut hooks, kernel) = (Hooks::new(), FakeKernel::default());
    join(&mut hooks, &kernel, &[passenger("f", 1)]);
    let prepared =
        hooks.prepare(&[passenger("f", 2)], &[], &FakeCompiler::default(), &kernel).map_err(drop).unwrap();
    assert_eq!(running(&kernel), ["f Report {1}"]);
    assert_eq!(kernel.objects(), (2, 1), "beside each other behind one stub");
    hooks.commit(prepared, &kernel);
    assert_eq!(running(&kernel), ["f Report {1, 2}"]);
    assert_eq!(kernel.objects(), (1, 1));
    leave(&mut hooks, &kernel, &[1]);
    assert_eq!(running(&kernel), ["f Report {2}"]);
}

#[test]
fn the_last_policy_takes_the_stub_with_it() {
    let (mut hooks, kernel) = (Hooks::new(), FakeKernel::default());
    join(&mut hooks, &kernel, &[passenger("f", 1), passenger("g", 1)]);
    leave(&mut hooks, &kernel, &[1]);
    assert_eq!((kernel.objects(), hooks.len()), ((0, 0), 0));
}

#[test]
fn what_returns_errors_is_there_before_and_after_what_notes_them() {
    let (mut hooks, kernel) = (Hooks::new(), FakeKernel::default());
    let joining = [passenger("a+note", 1), passenger("b+note", 1)];
    let prepared = hooks.prepare(&joining, &[], &FakeCompiler::default(), &kernel).map_err(drop).unwrap();
    kernel.0.order.borrow_mut().clear();
    hooks.commit(prepared, &kernel);
    let kinds = || -> Vec<String> {
        let order = kernel.0.order.take();
        order.iter().filter_map(|target| target.split(' ').next().map(str::to_owned)).collect()
    };
    assert_eq!(kinds(), ["LSM", "LSM", "kretprobe", "kretprobe", "kprobe", "kprobe"]);
    leave(&mut hooks, &kernel, &[1]);
    let stopped = ["kprobe", "kprobe", "kretprobe", "kretprobe", "LSM", "LSM"];
    let gone = ["-kprobe", "-kretprobe", "-LSM", "-kprobe", "-kretprobe", "-LSM"];
    assert_eq!(kinds(), [stopped, gone].concat());
}

#[test]
fn what_is_to_run_first_at_a_place_is_attached_last_whoever_comes_and_goes() {
    let (mut hooks, kernel) = (Hooks::new(), FakeKernel::default());
    let reporting = ["text FaultIn { arguments: 1 } {1}", "text Report {1}"];
    join(&mut hooks, &kernel, &[passenger("text", 1)]);
    assert_eq!(kernel.in_turn(), reporting);
    join(&mut hooks, &kernel, &[passenger("text", 2)]);
    let roles = ["FaultIn { arguments: 1 }", "ReportAndOverride", "Override"];
    assert_eq!(kernel.in_turn(), roles.map(|role| format!("text {role} {{1, 2}}")));
    join(&mut hooks, &kernel, &[passenger("text", 3)]);
    assert_eq!(kernel.in_turn(), roles.map(|role| format!("text {role} {{1, 2, 3}}")));
    leave(&mut hooks, &kernel, &[2, 3]);
    assert_eq!((kernel.in_turn(), kernel.objects()), (reporting.map(str::to_owned).into(), (2, 2)));
    let prepared =
        hooks.prepare(&[passenger("text", 2)], &[], &FakeCompiler::default(), &kernel).map_err(drop).unwrap();
    hooks.abandon(prepared, &kernel);
    assert_eq!((kernel.in_turn(), kernel.objects()), (reporting.map(str::to_owned).into(), (2, 2)));
    leave(&mut hooks, &kernel, &[1]);
    let numbers = std::iter::from_fn(|| hooks.numbers.take()).count();
    assert_eq!((kernel.objects(), numbers), ((0, 0), HANDOVER_CELLS));
}

#[test]
fn a_failure_at_any_step_leaves_what_runs_and_nothing_else() {
    let (mut hooks, kernel) = (Hooks::new(), FakeKernel::default());
    join(&mut hooks, &kernel, &[passenger("a", 1), passenger("b+deny", 1)]);
    let before = (running(&kernel), kernel.objects());
    let joining = [passenger("a", 2), passenger("b+deny", 2), passenger("c+deny", 2)];
    let mut failures = 0;
    loop {
        kernel.0.failure.arm(failures);
        match hooks.prepare(&joining, &[], &FakeCompiler::default(), &kernel) {
            Ok(prepared) => {
                assert!(kernel.0.failure.disarm());
                hooks.commit(prepared, &kernel);
                break;
            }
            Err(error) => assert!(matches!(error, HookError::Refused(_))),
        }
        assert_eq!((running(&kernel), kernel.objects()), before, "after failure {failures}");
        failures += 1;
    }
    // Two calls for each of the three programs behind existing stubs, four for each of the two with new ones.
    assert_eq!(failures, 14);
    assert_eq!(running(&kernel).len(), 5);
}

#[test]
fn a_hook_that_does_not_compile_takes_nothing_with_it() {
    let (mut hooks, kernel) = (Hooks::new(), FakeKernel::default());
    let joining = [passenger("a", 1), passenger("uncompilable", 1), passenger("z", 1)];
    let error = hooks.prepare(&joining, &[], &FakeCompiler::default(), &kernel);
    assert!(matches!(error, Err(HookError::Compile(_))));
    assert_eq!(kernel.objects(), (0, 0));
}

#[test]
fn hooks_that_do_not_change_are_not_compiled_again() {
    let (mut hooks, kernel) = (Hooks::new(), FakeKernel::default());
    join(&mut hooks, &kernel, &[passenger("a", 1)]);
    let compiler = FakeCompiler::default();
    let prepared = hooks.prepare(&[passenger("b", 2)], &[], &compiler, &kernel).map_err(drop).unwrap();
    hooks.commit(prepared, &kernel);
    assert_eq!(compiler.compiled.get(), 1);
}

#[test]
fn cells_that_are_all_in_use_are_an_error_and_come_back() {
    let (mut hooks, kernel) = (Hooks::new(), FakeKernel::default());
    let all: Vec<Passenger> = (0..u32::try_from(HANDOVER_CELLS).unwrap())
        .map(|number| passenger(&format!("f{number}"), number))
        .collect();
    join(&mut hooks, &kernel, &all);
    let more = [passenger("more", 5000)];
    let compiler = FakeCompiler::default();
    assert!(matches!(hooks.prepare(&more, &[], &compiler, &kernel), Err(HookError::Exhausted)));
    assert_eq!(compiler.compiled.get(), 0, "what cannot end well is not begun");
    leave(&mut hooks, &kernel, &[7]);
    join(&mut hooks, &kernel, &more);
    assert_eq!(hooks.len(), HANDOVER_CELLS);
}
