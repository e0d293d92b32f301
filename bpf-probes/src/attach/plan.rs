//! From a hook and a kernel to the mechanisms, and why. Pure: the same facts give the same plan.
//!
//! *Exact before cheap*: a mechanism that sees every call is taken before one that costs less and may skip some.

use super::deferred;
use super::error::PlanError;
use super::hook::{Duties, Duty, Hook, Point, Sensor};
use super::mechanism::{Mechanism, Role};
use super::reason::Reason;
use super::{returning, security, uprobe};
use crate::btf::TypeId;
use crate::kernel::{Feature, KernelView, SyscallName, Traceable, TracepointContext, function_of_hook};

/// One program to attach.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attachment {
    /// How.
    pub mechanism: Mechanism,
    /// What for.
    pub role: Role,
}

/// Whether a plan can miss calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exactness {
    /// Every call is seen, and every call to be denied is denied.
    Exact,
    /// Some calls may be missed under contention; the reasons say which. `recursion_misses` counts them.
    MayMiss,
}

/// How a hook is served on one kernel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// Programs to attach, in this order; to be detached in the reverse order.
    pub attachments: Vec<Attachment>,
    /// Whether calls can be missed.
    pub exactness: Exactness,
    /// Why this way.
    pub reasons: Vec<Reason>,
}

impl Plan {
    pub(super) fn new() -> Self {
        Self { attachments: Vec::new(), exactness: Exactness::Exact, reasons: Vec::new() }
    }

    pub(super) fn attach(&mut self, mechanism: Mechanism, role: Role) {
        self.attachments.push(Attachment { mechanism, role });
    }

    pub(super) fn because(&mut self, reason: Reason) {
        if !self.reasons.contains(&reason) {
            self.reasons.push(reason);
        }
    }

    /// The attachment with that role.
    pub fn with_role(&self, role: Role) -> Option<&Mechanism> {
        self.attachments.iter().find(|attachment| attachment.role == role).map(|found| &found.mechanism)
    }
}

/// Plans a hook on a kernel.
///
/// # Errors
/// [`PlanError`], which says what this kernel lacks or refuses, and what would do instead.
pub fn plan(hook: &Hook, kernel: &KernelView) -> Result<Plan, PlanError> {
    let mut plan = Plan::new();
    match &hook.point {
        Point::Function(function) => plan_function(&mut plan, function, hook.due, kernel)?,
        Point::Syscall(name) => plan_syscall(&mut plan, name, hook.due, kernel)?,
        Point::Fentry { function, call } => {
            plan_fentry(&mut plan, function, call.as_ref(), hook.due, kernel)?;
        }
        Point::Sensor(sensor) => plan_sensor(&mut plan, *sensor, kernel)?,
        Point::LsmHook(lsm) => plan_lsm_hook(&mut plan, lsm, hook.due, kernel)?,
        Point::Tracepoint { subsystem, event, raw } => {
            let mechanism =
                Mechanism::Tracepoint { subsystem: subsystem.clone(), event: event.clone(), raw: *raw };
            plan_tracepoint(&mut plan, hook, mechanism, kernel)?;
        }
        Point::User { place, links } => uprobe::plan_user(&mut plan, place, *links, hook.due, kernel)?,
    }
    Ok(plan)
}

fn plan_function(plan: &mut Plan, function: &str, due: Duties, kernel: &KernelView) -> Result<(), PlanError> {
    if kernel.traceable(function) == Traceable::Absent {
        return Err(PlanError::no_function(function, kernel));
    }
    if due.contains(Duty::ReportReturn) {
        returning::plan_function(plan, function, due, kernel)?;
    } else if due.contains(Duty::Override) {
        security::plan_override(plan, function, due, kernel)?;
    } else {
        let entry = function_entry(plan, function, kernel)?;
        plan.attach(entry, Role::Decide);
    }
    Ok(())
}

/// fentry, and fexit where the return is to be seen; where they would miss calls, what a kprobe gets.
fn plan_fentry(
    plan: &mut Plan,
    function: &str,
    call: Option<&SyscallName>,
    due: Duties,
    kernel: &KernelView,
) -> Result<(), PlanError> {
    if trampolines_are_exact(kernel)
        && let Some(btf_id) = fentry_target(function, kernel)
    {
        trampoline(plan, kernel);
        plan.attach(Mechanism::Fentry { function: function.to_owned(), btf_id }, Role::Decide);
        if due.contains(Duty::ReportReturn) {
            plan.attach(Mechanism::Fexit { function: function.to_owned(), btf_id }, Role::ReportReturn);
        }
        return Ok(());
    }
    without(plan, kernel, &[Feature::Fentry]);
    if !trampolines_are_exact(kernel) {
        plan.because(Reason::TrampolineMisses { preemption: kernel.preemption() });
    }
    match call {
        Some(call) => plan_syscall(plan, call, due, kernel),
        None => plan_function(plan, function, due, kernel),
    }
}

/// The LSM program itself, which decides, reports and denies; where such programs do not run, the function that asks the hook.
fn plan_lsm_hook(plan: &mut Plan, hook: &str, due: Duties, kernel: &KernelView) -> Result<(), PlanError> {
    let denies = due.contains(Duty::Override);
    if let Some(lsm) = security::lsm_mechanism_for(plan, hook, denies, kernel) {
        plan.because(Reason::LsmIsExact);
        plan.because(Reason::LsmSeesAllowed);
        plan.attach(lsm, if denies { Role::DecideAndDeny } else { Role::Decide });
        return Ok(());
    }
    plan_function(plan, &function_of_hook(hook), due, kernel)
}

fn plan_syscall(
    plan: &mut Plan,
    name: &SyscallName,
    due: Duties,
    kernel: &KernelView,
) -> Result<(), PlanError> {
    let wrapper = name.symbol();
    if kernel.traceable(&wrapper) == Traceable::Absent {
        return Err(PlanError::no_function(&wrapper, kernel));
    }
    if due.contains(Duty::Override) {
        deferred::plan_override(plan, name, due, kernel)?;
        if due.contains(Duty::ReportReturn) {
            returning::plan_syscall_return(plan, &wrapper, kernel)?;
        }
        return Ok(());
    }
    let can_trace = kernel.has(Feature::Kprobe)
        || (trampolines_are_exact(kernel) && fentry_target(&wrapper, kernel).is_some());
    if can_trace {
        let entry = function_entry(plan, &wrapper, kernel)?;
        plan.attach(entry, Role::Decide);
        if due.contains(Duty::ReportReturn) {
            returning::plan_syscall_return(plan, &wrapper, kernel)?;
        }
        return Ok(());
    }
    if !kernel.has(Feature::RawTracepoint) {
        return Err(PlanError::no_tracing(&wrapper, kernel, &[Feature::RawTracepoint]));
    }
    without(plan, kernel, &[Feature::Kprobe, Feature::Fentry]);
    tracepoint(plan, "sys_enter", Role::Decide, kernel);
    if due.contains(Duty::ReportReturn) {
        returning::plan_syscall_return(plan, &wrapper, kernel)?;
    }
    Ok(())
}

fn plan_sensor(plan: &mut Plan, sensor: Sensor, kernel: &KernelView) -> Result<(), PlanError> {
    // fs/exec.c, kernel/fork.c, kernel/exit.c; which of the functions exist depends on the configuration.
    let (functions, raw): (&[&'static str], _) = match sensor {
        Sensor::Exec => (&["finalize_exec"], "sched_process_exec"),
        Sensor::Fork => (&["wake_up_new_task"], "sched_process_fork"),
        Sensor::Exit => (&["acct_process", "taskstats_exit"], "sched_process_exit"),
    };
    if kernel.has(Feature::Kprobe)
        && let Some(&function) = functions.iter().find(|&&name| kernel.traceable(name) != Traceable::Absent)
    {
        plan.because(Reason::SensorPoint { function });
        plan.because(Reason::KprobeIsExact);
        plan.attach(Mechanism::Kprobe { function: function.to_owned() }, Role::Decide);
        return Ok(());
    }
    without(plan, kernel, &[Feature::Kprobe]);
    if !kernel.has(Feature::RawTracepoint) {
        let point = Point::Sensor(sensor).to_string();
        return Err(PlanError::no_tracing(&point, kernel, &[Feature::Kprobe, Feature::RawTracepoint]));
    }
    tracepoint(plan, raw, Role::Decide, kernel);
    Ok(())
}

/// The mechanism for the entry of a function: a kprobe, else fentry.
pub(super) fn function_entry(
    plan: &mut Plan,
    function: &str,
    kernel: &KernelView,
) -> Result<Mechanism, PlanError> {
    if kernel.has(Feature::Kprobe) {
        plan.because(Reason::KprobeIsExact);
        return Ok(Mechanism::Kprobe { function: function.to_owned() });
    }
    let Some(btf_id) = fentry_target(function, kernel) else {
        return Err(PlanError::no_tracing(function, kernel, &[Feature::Kprobe, Feature::Fentry]));
    };
    without(plan, kernel, &[Feature::Kprobe]);
    trampoline(plan, kernel);
    Ok(Mechanism::Fentry { function: function.to_owned(), btf_id })
}

/// The mechanism for the return of a function that nothing has to be joined with. A kretprobe has a bounded number of calls that may be under way at once;
/// where trampolines are exact, fexit has no such bound and costs less.
pub(super) fn function_return(
    plan: &mut Plan,
    function: &str,
    kernel: &KernelView,
) -> Result<Mechanism, PlanError> {
    let fexit = fentry_target(function, kernel)
        .map(|btf_id| Mechanism::Fexit { function: function.to_owned(), btf_id });
    match fexit {
        Some(fexit) if trampolines_are_exact(kernel) || !kernel.has(Feature::Kprobe) => {
            trampoline(plan, kernel);
            Ok(fexit)
        }
        _ if kernel.has(Feature::Kprobe) => {
            plan.because(Reason::KprobeIsExact);
            Ok(Mechanism::Kretprobe { function: function.to_owned() })
        }
        _ => Err(PlanError::no_tracing(function, kernel, &[Feature::Kprobe, Feature::Fentry])),
    }
}

pub(super) fn trampolines_are_exact(kernel: &KernelView) -> bool {
    !kernel.preemption().is_preemptible()
}

/// Number of the function in BTF when fentry and fexit work on it.
pub(super) fn fentry_target(function: &str, kernel: &KernelView) -> Option<TypeId> {
    let can = kernel.has(Feature::Fentry) && kernel.traceable(function) != Traceable::No;
    kernel.function_btf(function).filter(|_| can)
}

/// Notes that the plan uses a trampoline.
pub(super) fn trampoline(plan: &mut Plan, kernel: &KernelView) {
    let preemption = kernel.preemption();
    if trampolines_are_exact(kernel) {
        plan.because(Reason::TrampolineIsExact { preemption });
    } else {
        plan.because(Reason::TrampolineMisses { preemption });
        plan.exactness = Exactness::MayMiss;
    }
}

/// A tracepoint that a policy names. It can be watched, and who passes it can be signalled; it cannot be denied.
fn plan_tracepoint(
    plan: &mut Plan,
    hook: &Hook,
    mechanism: Mechanism,
    kernel: &KernelView,
) -> Result<(), PlanError> {
    let point = hook.point.to_string();
    let needed = if matches!(hook.point, Point::Tracepoint { raw: true, .. }) {
        Feature::RawTracepoint
    } else {
        Feature::Tracepoint
    };
    if !kernel.has(needed) {
        return Err(PlanError::no_tracing(&point, kernel, &[needed]));
    }
    if hook.due.contains(Duty::Override) {
        return Err(PlanError::no_denial(&point, plan, kernel));
    }
    tracepoint_exactness(plan, kernel);
    plan.attach(mechanism, Role::Decide);
    Ok(())
}

pub(super) fn tracepoint(plan: &mut Plan, name: &'static str, role: Role, kernel: &KernelView) {
    tracepoint_exactness(plan, kernel);
    plan.attach(Mechanism::RawTracepoint { name }, role);
}

fn tracepoint_exactness(plan: &mut Plan, kernel: &KernelView) {
    match kernel.tracepoint_context() {
        TracepointContext::PreemptionOff => plan.because(Reason::TracepointIsExact),
        TracepointContext::Preemptible => {
            plan.because(Reason::TracepointMisses { preemption: kernel.preemption() });
            plan.exactness = Exactness::MayMiss;
        }
    }
}

/// Notes features that would have been preferred.
pub(super) fn without(plan: &mut Plan, kernel: &KernelView, features: &[Feature]) {
    for &feature in features {
        let answer = kernel.answer(feature).clone();
        if !answer.is_yes() {
            plan.because(Reason::Without { feature, answer });
        }
    }
}
