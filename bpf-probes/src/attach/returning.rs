//! Calls that are to be seen to return: which two mechanisms go together.
//!
//! The return has to know its call again. A system call does not call itself, so the thread is enough there. Elsewhere both ends name the call's frame on the
//! stack, which they do alike only in pairs: fentry and fexit of one trampoline, a kprobe and a kretprobe.

use super::error::PlanError;
use super::hook::{Duties, Duty};
use super::mechanism::{Mechanism, Role};
use super::plan::{
    Exactness, Plan, fentry_target, function_entry, tracepoint, trampoline, trampolines_are_exact, without,
};
use super::reason::Reason;
use super::security;
use crate::kernel::{Feature, KernelView, TracepointContext};

/// Plans a function whose return is to be seen.
pub(super) fn plan_function(
    plan: &mut Plan,
    function: &str,
    due: Duties,
    kernel: &KernelView,
) -> Result<(), PlanError> {
    if due.contains(Duty::Override) {
        // what overrides is decided at a kprobe wherever there are any
        security::plan_override(plan, function, due, kernel)?;
        let exit = if kernel.has(Feature::Kprobe) {
            kretprobe(plan, function)
        } else {
            by_trampoline(plan, function, kernel)?.1
        };
        plan.attach(exit, Role::ReportReturn);
        return Ok(());
    }
    let can_trampoline = fentry_target(function, kernel).is_some();
    let is_better = trampolines_are_exact(kernel) && !due.contains(Duty::ReadRegisters);
    let (entry, exit) = if can_trampoline && (is_better || !kernel.has(Feature::Kprobe)) {
        by_trampoline(plan, function, kernel)?
    } else {
        (function_entry(plan, function, kernel)?, kretprobe(plan, function))
    };
    plan.attach(entry, Role::Decide);
    plan.attach(exit, Role::ReportReturn);
    Ok(())
}

/// fentry and fexit.
fn by_trampoline(
    plan: &mut Plan,
    function: &str,
    kernel: &KernelView,
) -> Result<(Mechanism, Mechanism), PlanError> {
    let Some(btf_id) = fentry_target(function, kernel) else {
        return Err(PlanError::no_tracing(function, kernel, &[Feature::Kprobe, Feature::Fentry]));
    };
    trampoline(plan, kernel);
    let function = function.to_owned();
    Ok((Mechanism::Fentry { function: function.clone(), btf_id }, Mechanism::Fexit { function, btf_id }))
}

/// The kernel keeps a bounded number of calls under way for a kretprobe (`kernel/kprobes.c: register_kretprobe`; perf leaves the bound at its default).
fn kretprobe(plan: &mut Plan, function: &str) -> Mechanism {
    plan.because(Reason::KretprobeIsBounded);
    plan.exactness = Exactness::MayMiss;
    Mechanism::Kretprobe { function: function.to_owned() }
}

/// Plans the return of a system call, whatever its entry is.
pub(super) fn plan_syscall_return(
    plan: &mut Plan,
    wrapper: &str,
    kernel: &KernelView,
) -> Result<(), PlanError> {
    let fexit = fentry_target(wrapper, kernel).filter(|_| trampolines_are_exact(kernel));
    let raw = kernel.has(Feature::RawTracepoint);
    let exact_tracepoint = raw && kernel.tracepoint_context() == TracepointContext::PreemptionOff;
    if let Some(btf_id) = fexit {
        trampoline(plan, kernel);
        plan.attach(Mechanism::Fexit { function: wrapper.to_owned(), btf_id }, Role::ReportReturn);
    } else if exact_tracepoint {
        without(plan, kernel, &[Feature::Kprobe, Feature::Fentry]);
        tracepoint(plan, "sys_exit", Role::ReportReturn, kernel);
    } else if kernel.has(Feature::Kprobe) {
        let exit = kretprobe(plan, wrapper);
        plan.attach(exit, Role::ReportReturn);
    } else if raw {
        tracepoint(plan, "sys_exit", Role::ReportReturn, kernel);
    } else {
        return Err(PlanError::no_tracing(wrapper, kernel, &[Feature::Kprobe, Feature::RawTracepoint]));
    }
    Ok(())
}
