//! Enforcers: a match tells them, and the next call of theirs that the thread makes fails or kills.

use bpf_probes::abi::{Action, Counter, map_name};
use bpf_probes::emulate::{Context, Outcome};
use bpf_probes::kernel::KernelView;
use bpf_probes::spec::AttachSpec;
use tracing_policy::policy::{Resolved, Role};
use tracing_policy::{CompiledHook, Rider, compile_hook};

use crate::kernel::{began, on_stack, other_task, recorded};
use crate::run::{Emulated, resolved};

/// `sys_symlinkat`
const SYMLINKAT: u64 = 266;

fn kernels() -> Vec<KernelView> {
    ["5.10", "6.1", "6.12", "7.2"].map(recorded).into()
}

/// Notifies the enforcer of `call` at every `symlinkat`, and does `more` at every `dup`.
fn policy(call: &str, action: &str) -> String {
    format!(
        "apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {{name: p}}
spec:
  lists: [{{name: calls, type: syscalls, values: [sys_symlinkat]}}]
  enforcers: [{{calls: ['{call}']}}]
  tracepoints:
  - subsystem: raw_syscalls
    event: sys_enter
    raw: true
    args: [{{index: 1, type: syscall64}}]
    selectors:
    - matchArgs: [{{index: 1, operator: InMap, values: ['list:calls']}}]
      matchActions: [{{action: NotifyEnforcer, {action}}}]
    - matchArgs: [{{index: 1, operator: Equal, values: ['32']}}]
      matchActions: [{{action: CleanupEnforcerNotification}}]
"
    )
}

struct Bench<'k> {
    it: Emulated<'k>,
    enforcer: CompiledHook,
}

fn bench<'k>(policy: &'k Resolved, view: &'k KernelView) -> Bench<'k> {
    let it = Emulated::new(std::slice::from_ref(policy), view);
    let rider = Rider {
        hook: &policy.hooks[1],
        policy_number: 0,
        layout_number: 200,
        first_selector: 2,
        class_numbers: &[],
    };
    let enforcer = compile_hook(&[rider], view).unwrap();
    Bench { it, enforcer }
}

impl Bench<'_> {
    fn roles(&self) -> Vec<Role> {
        self.enforcer.bodies.iter().map(|body| body.role).collect()
    }

    /// The thread enters a system call.
    fn enter(&mut self, number: u64) {
        let registers = on_stack(&mut self.it.machine, self.it.view, number, [0; 6]);
        let body = self.it.compiled.bodies[0].collection.clone();
        self.it.machine.load(&body).unwrap();
        self.it.run(Context::arguments(&[registers, number]));
    }

    fn run(&mut self, role: Role, context: Context) -> Outcome {
        let body = self.enforcer.bodies.iter().find(|body| body.role == role).unwrap();
        self.it.machine.load(&body.collection).unwrap();
        self.it.run(context)
    }

    /// It comes to the call's function, and to the hook on its way: the signals, and what the hook returns.
    fn symlink(&mut self) -> (usize, i32) {
        let registers = on_stack(&mut self.it.machine, self.it.view, SYMLINKAT, [0; 6]);
        let at_entry = self.run(Role::ReportAndNote, Context::kprobe([registers, 0, 0, 0, 0, 0]));
        let on_its_way = self.run(Role::DenyNoted, Context::arguments(&[0; 8])).result();
        let at_end = self.enforcer.bodies.iter().find(|body| body.role == Role::Forget).unwrap();
        let is_fexit = matches!(at_end.target, AttachSpec::Fexit { .. });
        let context = if is_fexit { Context::arguments(&[0, 0]) } else { Context::kretprobe(0) };
        self.run(Role::Forget, context);
        (at_entry.signals.len(), on_its_way)
    }

    fn pending(&self) -> usize {
        self.it.machine.map(map_name::PENDING).unwrap().len()
    }
}

// proves: ACT-11 (NotifyEnforcer), POL-09 (system calls), HOOK-18
#[test]
fn a_call_of_the_enforcer_fails_once_for_each_time_that_it_was_told() {
    for view in &kernels() {
        let policy = resolved(&policy("sys_symlinkat", "argError: -121, argSig: 12"), view);
        let mut it = bench(&policy, view);
        assert_eq!(it.roles(), [Role::ReportAndNote, Role::DenyNoted, Role::Forget]);
        assert_eq!(it.symlink(), (0, 0), "nothing was told yet");
        it.enter(SYMLINKAT);
        let reports = it.it.reports();
        assert_eq!((reports.len(), reports[0].record.action), (1, Action::NotifyEnforcer as u8));
        assert_eq!((it.it.count(0, 0, Counter::NotifyEnforcer), it.pending()), (1, 1));
        assert_eq!(it.symlink(), (1, -121));
        assert_eq!((it.symlink(), it.pending()), ((0, 0), 0));
        assert!(it.it.reports().is_empty(), "an enforcer reports nothing itself");
    }
}

// proves: ACT-11 (missed notifications)
#[test]
fn what_is_told_anew_or_taken_back_is_counted_as_missed() {
    for view in &kernels() {
        let policy = resolved(&policy("sys_symlinkat", "argError: -1"), view);
        let mut it = bench(&policy, view);
        it.enter(SYMLINKAT);
        it.enter(SYMLINKAT);
        assert_eq!(it.it.count(0, 0, Counter::NotifyOverwritten), 1);
        it.enter(32);
        assert_eq!((it.it.count(0, 1, Counter::NotifyUnused), it.pending()), (1, 0));
        it.enter(32);
        assert_eq!(it.it.count(0, 1, Counter::NotifyUnused), 1, "there was nothing to take back");
        assert_eq!(it.symlink(), (0, 0));
        let actions: Vec<_> = it.it.reports().iter().map(|report| report.record.action).collect();
        // observations first, then enforcement
        assert_eq!(actions, [14, 14, 13, 13]);
    }
}

// proves: ACT-11 (threads)
#[test]
fn what_is_told_about_a_thread_is_done_to_it_and_to_nobody_who_has_its_memory_later() {
    for view in &kernels() {
        let policy = resolved(&policy("sys_symlinkat", "argError: -1"), view);
        let mut it = bench(&policy, view);
        began(&mut it.it.machine, view, 7);
        it.enter(SYMLINKAT);
        let first = it.it.machine.world().task.address;
        other_task(&mut it.it.machine, view);
        assert_eq!(it.symlink(), (0, 0), "another thread");
        it.it.machine.world_mut().task.address = first;
        began(&mut it.it.machine, view, 8);
        assert_eq!((it.symlink(), it.pending()), ((0, 0), 0), "a thread that began later");
        it.enter(SYMLINKAT);
        assert_eq!(it.symlink(), (0, -1));
    }
}

// proves: ACT-11 (monitor)
#[test]
fn in_monitor_mode_nobody_is_told_and_what_was_told_is_not_done() {
    for view in &kernels() {
        let policy = resolved(&policy("sys_symlinkat", "argError: -1, argSig: 9"), view);
        let mut it = bench(&policy, view);
        it.enter(SYMLINKAT);
        it.it.monitor(0);
        assert_eq!((it.symlink(), it.pending()), ((0, 0), 0));
        it.enter(SYMLINKAT);
        assert_eq!((it.it.count(0, 0, Counter::MonitorNotifyEnforcer), it.pending()), (1, 0));
        assert_eq!(it.symlink(), (0, 0));
    }
}

// proves: POL-09 (security_*), ACT-11 (security_*)
#[test]
fn a_function_of_security_modules_returns_what_its_enforcer_was_told() {
    for view in &kernels() {
        let policy = resolved(&policy("security_path_symlink", "argError: -13, argSig: 10"), view);
        let mut it = bench(&policy, view);
        it.enter(SYMLINKAT);
        if it.roles() == [Role::Report, Role::Deny] {
            assert!(it.run(Role::Report, Context::kprobe([0; 6])).signals.is_empty());
        } else {
            assert_eq!(it.roles(), [Role::Deny]);
        }
        let outcome = it.run(Role::Deny, Context::arguments(&[0; 8]));
        assert_eq!((outcome.result(), outcome.signals.len(), it.pending()), (-13, 1, 0));
        let again = it.run(Role::Deny, Context::arguments(&[0; 8]));
        assert_eq!((again.result(), again.signals.len()), (0, 0));
        it.enter(SYMLINKAT);
        it.it.monitor(0);
        assert_eq!((it.run(Role::Deny, Context::arguments(&[0; 8])).result(), it.pending()), (0, 0));
    }
}

#[test]
fn an_enforcer_needs_a_place_behind_the_one_that_tells_it() {
    let source = tracing_policy::source::SourceText::new("test", policy("sys_dup", "argSig: 9"));
    let (checked, _) = tracing_policy::read(&source).unwrap();
    assert!(tracing_policy::resolve(checked, &recorded("6.18")).is_err());
}

// proves: POL-09 (calls that cannot be made to fail)
#[test]
fn a_call_that_cannot_be_made_to_fail_is_let_through_to_its_death_or_refused() {
    let dup = |action: &str| policy("sys_dup", action);
    for view in &kernels() {
        for (action, warnings) in [("argError: -1, argSig: 9", 1), ("argSig: 15", 0)] {
            let policy = resolved(&dup(action), view);
            assert_eq!(policy.warnings.len(), warnings, "{action}");
            let mut it = bench(&policy, view);
            it.enter(SYMLINKAT);
            let registers = on_stack(&mut it.it.machine, view, 32, [0; 6]);
            let outcome = it.run(Role::Report, Context::kprobe([registers, 0, 0, 0, 0, 0]));
            assert_eq!((outcome.signals.len(), it.pending()), (1, 0));
        }
        let source = tracing_policy::source::SourceText::new("test", dup("argError: -1"));
        let (checked, _) = tracing_policy::read(&source).unwrap();
        assert!(tracing_policy::resolve(checked, view).is_err());
    }
}
