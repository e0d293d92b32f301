//! Denial at a kernel function: `security_*` through LSM or `fmod_ret`, others through error injection.

use super::error::PlanError;
use super::hook::Duties;
use super::mechanism::{Mechanism, Role};
use super::plan::{Exactness, Plan, function_entry, trampoline, trampolines_are_exact, without};
use super::reason::Reason;
use crate::btf::TypeId;
use crate::kernel::{
    Feature, KernelView, function_of_hook, hook_of_function, is_closed_to_bpf, neutral_return,
};

/// Plans a function hook with an override among its duties.
pub(super) fn plan_override(
    plan: &mut Plan,
    function: &str,
    due: Duties,
    kernel: &KernelView,
) -> Result<(), PlanError> {
    let Some(hook) = hook_of_function(function) else {
        return inject_error(plan, function, kernel);
    };
    if let Some(lsm) = lsm_mechanism(plan, hook, kernel) {
        return by_lsm(plan, function, lsm, due, kernel);
    }
    if let Some(fmod_ret) = fmod_ret_mechanism(function, kernel) {
        return by_fmod_ret(plan, function, fmod_ret, kernel);
    }
    without(plan, kernel, &[Feature::FmodRet]);
    Err(PlanError::no_denial(function, plan, kernel))
}

/// LSM for the denial; a kprobe for what the security modules before ours refuse.
fn by_lsm(
    plan: &mut Plan,
    function: &str,
    lsm: Mechanism,
    due: Duties,
    kernel: &KernelView,
) -> Result<(), PlanError> {
    plan.because(Reason::LsmIsExact);
    let hook = lsm.target().to_owned();
    if !have_same_parameters(function, &hook, kernel) {
        plan.because(Reason::ParametersDiffer { function: function.to_owned(), hook });
        let entry = function_entry(plan, function, kernel)?;
        plan.attach(entry, Role::NoteDenial);
        plan.attach(lsm, Role::ReturnNoted);
    } else if !due.observes() {
        plan.attach(lsm, Role::Deny);
    } else if kernel.has(Feature::Kprobe) {
        let entry = function_entry(plan, function, kernel)?;
        plan.attach(entry, Role::Decide);
        plan.attach(lsm, Role::Deny);
    } else {
        without(plan, kernel, &[Feature::Kprobe]);
        plan.attach(lsm, Role::DecideAndDeny);
    }
    Ok(())
}

/// `fmod_ret` alone where it is exact; else with a kprobe that decides and a kretprobe that kills who got through.
fn by_fmod_ret(
    plan: &mut Plan,
    function: &str,
    fmod_ret: Mechanism,
    kernel: &KernelView,
) -> Result<(), PlanError> {
    trampoline(plan, kernel);
    if trampolines_are_exact(kernel) || !kernel.has(Feature::Kprobe) {
        plan.attach(fmod_ret, Role::DecideAndDeny);
        return Ok(());
    }
    let entry = function_entry(plan, function, kernel)?;
    plan.attach(entry, Role::NoteDenial);
    plan.attach(fmod_ret, Role::ReturnNoted);
    plan.attach(Mechanism::Kretprobe { function: function.to_owned() }, Role::KillEscaped);
    plan.because(Reason::KillsEscaped);
    plan.exactness = Exactness::MayMiss;
    Ok(())
}

fn inject_error(plan: &mut Plan, function: &str, kernel: &KernelView) -> Result<(), PlanError> {
    without(plan, kernel, &[Feature::OverrideReturn, Feature::Kprobe]);
    let can = kernel.has(Feature::OverrideReturn) && kernel.has(Feature::Kprobe);
    if can && kernel.is_error_injectable(function) == Some(true) {
        plan.because(Reason::ErrorInjectable { function: function.to_owned() });
        plan.because(Reason::KprobeIsExact);
        plan.attach(Mechanism::KprobeOverride { function: function.to_owned() }, Role::DecideAndDeny);
        return Ok(());
    }
    Err(PlanError::no_denial(function, plan, kernel))
}

/// The LSM program for a hook, if such programs run on this kernel; else the plan is told why not.
pub(super) fn lsm_mechanism(plan: &mut Plan, hook: &str, kernel: &KernelView) -> Option<Mechanism> {
    lsm_mechanism_for(plan, hook, true, kernel)
}

/// The same; a program that is not to deny may sit on a hook that returns nothing too.
pub(super) fn lsm_mechanism_for(
    plan: &mut Plan,
    hook: &str,
    denies: bool,
    kernel: &KernelView,
) -> Option<Mechanism> {
    if !kernel.has(Feature::Lsm) {
        without(plan, kernel, &[Feature::Lsm]);
        return None;
    }
    if !kernel.runs_lsm_programs() {
        plan.because(match kernel.has_active_lsm("bpf") {
            None => Reason::LsmUnknown,
            Some(_) => Reason::LsmNotActive,
        });
        return None;
    }
    let fits = |id| !is_closed_to_bpf(hook) && (!denies || returns_int(id, kernel));
    let btf_id = kernel.lsm_hook(hook).filter(|&id| fits(id));
    let Some(btf_id) = btf_id else {
        plan.because(Reason::NoBpfHook { hook: hook.to_owned() });
        return None;
    };
    Some(Mechanism::Lsm { hook: hook.to_owned(), btf_id, neutral: neutral_return(hook) })
}

/// `fmod_ret` on a `security_*` function that returns an errno, if the kernel takes such programs.
pub(super) fn fmod_ret_mechanism(function: &str, kernel: &KernelView) -> Option<Mechanism> {
    let btf_id = kernel.function_btf(function).filter(|&id| returns_int(id, kernel))?;
    kernel.has(Feature::FmodRet).then(|| Mechanism::FmodRet { function: function.to_owned(), btf_id })
}

/// Whether this kernel asks that hook at all.
pub(super) fn has_hook(hook: &str, kernel: &KernelView) -> bool {
    kernel.has_function(&function_of_hook(hook)) || kernel.lsm_hook(hook).is_some()
}

fn returns_int(function: TypeId, kernel: &KernelView) -> bool {
    let btf = kernel.btf();
    let returns = btf.prototype(function).and_then(|prototype| btf.peel(prototype.returns));
    returns.is_ok_and(|returns| returns != TypeId::VOID)
}

/// Whether an argument has the same place and type in the function and in the hook.
fn have_same_parameters(function: &str, hook: &str, kernel: &KernelView) -> bool {
    let btf = kernel.btf();
    let types = |id: Option<TypeId>| {
        let prototype = btf.prototype(id?).ok()?;
        prototype.parameters().map(|parameter| btf.peel(parameter.type_id).ok()).collect::<Option<Vec<_>>>()
    };
    let of_function = types(kernel.function_btf(function));
    of_function.is_some() && of_function == types(kernel.lsm_hook(hook))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::attach::Duty;
    use crate::kernel::recorded;

    #[test]
    fn parameters_are_compared_by_place_and_type() {
        let kernel = recorded("6.12");
        assert!(have_same_parameters("security_file_open", "file_open", &kernel));
        assert!(!have_same_parameters("security_inode_rename", "inode_rename", &kernel));
        assert!(!have_same_parameters("security_file_open", "frobnicate", &kernel));
        assert!(Duties::of(&[Duty::Signal]).observes());
    }
}
