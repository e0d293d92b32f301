//! Places in programs and libraries: uprobes.

use super::error::PlanError;
use super::hook::{Duties, Duty};
use super::mechanism::{Mechanism, Role};
use super::plan::{Plan, without};
use super::reason::Reason;
use super::user::{UserLinks, UserPlace};
use crate::kernel::{Feature, KernelView};

/// Plans a hook on a place in a file. Whoever gets there can be watched and signalled.
pub(super) fn plan_user(
    plan: &mut Plan,
    place: &UserPlace,
    links: UserLinks,
    due: Duties,
    kernel: &KernelView,
) -> Result<(), PlanError> {
    let point = place.to_string();
    if due.contains(Duty::Override) {
        return Err(PlanError::no_denial(&point, plan, kernel));
    }
    let mechanism = if links == UserLinks::Single {
        plan.because(Reason::SingleUprobe);
        None
    } else {
        without(plan, kernel, &[Feature::UprobeMulti]);
        kernel.has(Feature::UprobeMulti).then(|| Mechanism::UprobeMulti { place: place.clone() })
    };
    let mechanism = match mechanism {
        Some(mechanism) => mechanism,
        None if kernel.has(Feature::Uprobe) => Mechanism::Uprobe { place: place.clone() },
        None => return Err(PlanError::no_uprobe(&point, kernel)),
    };
    plan.because(Reason::UprobeIsExact);
    plan.attach(mechanism.clone(), Role::Decide);
    if due.contains(Duty::ReadUserMemory) {
        without(plan, kernel, &[Feature::UprobeSleepable]);
        if kernel.has(Feature::UprobeSleepable) {
            plan.because(Reason::FaultsIn);
            plan.attach(mechanism, Role::FaultIn);
        }
    }
    Ok(())
}
