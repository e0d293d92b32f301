//! Denial of a system call: by overriding its return where the kernel allows, else by a hook on its way.

use super::deferral::Deferral;
use super::error::PlanError;
use super::hook::{Duties, Duty};
use super::mechanism::{Mechanism, Role};
use super::plan::{Plan, function_entry, function_return, trampoline, trampolines_are_exact, without};
use super::reason::Reason;
use super::security::{fmod_ret_mechanism, has_hook, lsm_mechanism};
use crate::kernel::{Feature, KernelView, SyscallName, function_of_hook};

/// Plans a system call with an override among its duties.
pub(super) fn plan_override(
    plan: &mut Plan,
    name: &SyscallName,
    due: Duties,
    kernel: &KernelView,
) -> Result<(), PlanError> {
    let wrapper = name.symbol();
    let can_inject = kernel.has(Feature::OverrideReturn)
        && kernel.has(Feature::Kprobe)
        // Every wrapper is on the list of a kernel that has one (ALLOW_ERROR_INJECTION in SYSCALL_DEFINE).
        && kernel.is_error_injectable(&wrapper) != Some(false);
    if can_inject && due.contains(Duty::AvoidErrorInjection) {
        let mut other = plan.clone();
        if plan_otherwise(&mut other, &wrapper, name, kernel).is_ok() {
            other.because(Reason::ErrorInjectionAvoided);
            *plan = other;
            return Ok(());
        }
    }
    if can_inject {
        plan.because(Reason::ErrorInjectable { function: wrapper.clone() });
        plan.because(Reason::KprobeIsExact);
        plan.attach(Mechanism::KprobeOverride { function: wrapper }, Role::DecideAndDeny);
        return Ok(());
    }
    without(plan, kernel, &[Feature::OverrideReturn]);
    plan_otherwise(plan, &wrapper, name, kernel)
}

/// By `fmod_ret` on the wrapper, else by a hook on the way.
fn plan_otherwise(
    plan: &mut Plan,
    wrapper: &str,
    name: &SyscallName,
    kernel: &KernelView,
) -> Result<(), PlanError> {
    if let Some(btf_id) = kernel.function_btf(wrapper).filter(|_| kernel.has(Feature::FmodRetSyscall)) {
        trampoline_only_if_exact(plan, kernel);
        if trampolines_are_exact(kernel) {
            plan.attach(Mechanism::FmodRet { function: wrapper.to_owned(), btf_id }, Role::DecideAndDeny);
            return Ok(());
        }
    } else {
        without(plan, kernel, &[Feature::FmodRetSyscall]);
    }
    defer(plan, wrapper, name, kernel)
}

/// Says why `fmod_ret` on the wrapper is or is not taken, without marking the plan as one that may miss.
fn trampoline_only_if_exact(plan: &mut Plan, kernel: &KernelView) {
    let preemption = kernel.preemption();
    plan.because(if trampolines_are_exact(kernel) {
        Reason::TrampolineIsExact { preemption }
    } else {
        Reason::TrampolineMisses { preemption }
    });
}

/// Entry notes the errno, the hooks on the way return it, the exit clears it.
fn defer(plan: &mut Plan, wrapper: &str, name: &SyscallName, kernel: &KernelView) -> Result<(), PlanError> {
    let known = name.known().map_or("", |known| known.wrapper);
    let Some(deferral) = Deferral::of(known) else {
        return Err(PlanError::no_hook_on_the_way(wrapper, plan));
    };
    // The entry first: where nothing can be traced, that is what to say.
    let entry = function_entry(plan, wrapper, kernel)?;
    let hooks = close_all_ways(plan, wrapper, deferral, kernel)?;
    plan.because(Reason::Deferred { hooks: hooks.iter().map(|hook| hook.target().to_owned()).collect() });
    let can_be_missed = hooks.iter().any(Mechanism::is_trampoline) && !trampolines_are_exact(kernel);
    let at_exit = if can_be_missed || deferral.gap.is_some() { Role::KillEscaped } else { Role::ClearNoted };
    if can_be_missed {
        trampoline(plan, kernel);
        plan.because(Reason::KillsEscaped);
    }
    if let Some(what) = deferral.gap {
        plan.because(Reason::Gap { what });
    }
    plan.attach(entry, Role::NoteDenial);
    for hook in hooks {
        plan.attach(hook, Role::ReturnNoted);
    }
    let exit = function_return(plan, wrapper, kernel)?;
    plan.attach(exit, at_exit);
    Ok(())
}

/// One mechanism for each way the call may go on this kernel.
fn close_all_ways(
    plan: &mut Plan,
    wrapper: &str,
    deferral: &Deferral,
    kernel: &KernelView,
) -> Result<Vec<Mechanism>, PlanError> {
    let mut hooks: Vec<Mechanism> = Vec::new();
    for way in deferral.ways {
        // The first hook of the list that this kernel has is passed by every call that goes this way.
        let Some(hook) = way.iter().find(|hook| has_hook(hook, kernel)) else { continue };
        let mechanism = lsm_mechanism(plan, hook, kernel)
            .or_else(|| fmod_ret_mechanism(&function_of_hook(hook), kernel))
            .ok_or_else(|| {
                without(plan, kernel, &[Feature::FmodRet]);
                PlanError::no_denial(wrapper, plan, kernel)
            })?;
        hooks.push(mechanism);
    }
    if hooks.is_empty() {
        return Err(PlanError::no_hook_on_the_way(wrapper, plan));
    }
    Ok(hooks)
}
