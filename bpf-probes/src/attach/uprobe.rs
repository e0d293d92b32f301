//! Places in programs and libraries: uprobes.

use super::error::PlanError;
use super::hook::{Duties, Duty};
use super::mechanism::{Mechanism, Role};
use super::plan::{Exactness, Plan, without};
use super::reason::Reason;
use super::user::{CallEnd, UserLinks, UserPlace};
use crate::kernel::{Feature, KernelView};

/// Plans a hook on a place in a file. Whoever gets there can be watched and signalled, and sent elsewhere where programs may write registers.
pub(super) fn plan_user(
    plan: &mut Plan,
    place: &UserPlace,
    links: UserLinks,
    due: Duties,
    kernel: &KernelView,
) -> Result<(), PlanError> {
    let point = place.to_string();
    if due.contains(Duty::Override) && !kernel.has(Feature::UprobeRegisterWrite) {
        without(plan, kernel, &[Feature::UprobeRegisterWrite]);
        return Err(PlanError::no_rewrite(&point, plan, kernel));
    }
    if links == UserLinks::Single {
        plan.because(Reason::SingleUprobe);
    } else {
        without(plan, kernel, &[Feature::UprobeMulti]);
    }
    let is_multi = links != UserLinks::Single && kernel.has(Feature::UprobeMulti);
    if !is_multi && !kernel.has(Feature::Uprobe) {
        return Err(PlanError::no_uprobe(&point, kernel));
    }
    let mechanism = |end| {
        let place = place.clone();
        if is_multi { Mechanism::UprobeMulti { place, end } } else { Mechanism::Uprobe { place, end } }
    };
    plan.because(Reason::UprobeIsExact);
    if due.contains(Duty::ReportReturn) {
        plan.because(Reason::UretprobeIsBounded);
        plan.exactness = Exactness::MayMiss;
        plan.attach(mechanism(CallEnd::Return), Role::ReportReturn);
    }
    let decides = if due.contains(Duty::Override) { Role::DecideAndDeny } else { Role::Decide };
    plan.attach(mechanism(CallEnd::Entry), decides);
    if due.contains(Duty::ReadUserMemory) {
        without(plan, kernel, &[Feature::UprobeSleepable]);
        if kernel.has(Feature::UprobeSleepable) {
            plan.because(Reason::FaultsIn);
            plan.attach(mechanism(CallEnd::Entry), Role::FaultIn);
        }
    }
    Ok(())
}
