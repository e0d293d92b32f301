//! Many places that share one program: one attachment for all of them, where that sees every call.

use super::plan::Exactness;
use super::reason::Reason;
use crate::kernel::{Feature, KernelView, Traceable, TracepointContext};

/// What the places are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManyPlaces {
    /// Functions.
    Functions,
    /// System calls of one kind of program.
    Syscalls,
    /// Places in one file.
    InFile,
}

/// Whether functions may share an attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// They may.
    Allowed,
    /// They are to be attached one by one, where the kernel can.
    Refused,
}

/// The one attachment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ManyMechanism {
    /// `kprobe.multi`: the cookie tells which function it is.
    KprobeMulti,
    /// The raw tracepoint `sys_enter`: the number tells which call it is.
    SysEnter,
    /// `uprobe.multi`: the cookie tells which place it is.
    UprobeMulti,
}

/// How many places are served together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManyPlan {
    /// By what.
    pub mechanism: ManyMechanism,
    /// Whether calls can be missed.
    pub exactness: Exactness,
    /// Why this way.
    pub reason: String,
}

/// From how many places on they share one `kprobe.multi` or `uprobe.multi`.
const FEWEST_FOR_MULTI: usize = 4;
/// From how many system calls on they share a tracepoint, which every call of every process then passes.
const FEWEST_FOR_TRACEPOINT: usize = 32;

/// Whether a function can be one of those that a `kprobe.multi` is attached to: it takes only what ftrace can trace.
pub fn can_share(symbol: &str, kernel: &KernelView) -> bool {
    matches!(kernel.traceable(symbol), Traceable::Yes | Traceable::Exists)
}

/// Plans `count` places that are only watched; `None` where each is better attached by itself.
pub fn plan_many(
    places: ManyPlaces,
    count: usize,
    sharing: Sharing,
    kernel: &KernelView,
) -> Option<ManyPlan> {
    if places == ManyPlaces::InFile {
        return plan_in_file(count, sharing, kernel);
    }
    let has_kprobes = kernel.has(Feature::Kprobe);
    if has_kprobes && sharing == Sharing::Refused {
        return None;
    }
    if has_kprobes && kernel.has(Feature::KprobeMulti) && count >= FEWEST_FOR_MULTI {
        let reason = format!("{count} functions share one kprobe.multi: {}", Reason::KprobeIsExact);
        return Some(ManyPlan { mechanism: ManyMechanism::KprobeMulti, exactness: Exactness::Exact, reason });
    }
    let can_miss = kernel.tracepoint_context() == TracepointContext::Preemptible;
    let fewest = if has_kprobes { FEWEST_FOR_TRACEPOINT } else { 2 };
    let is_worse = has_kprobes && can_miss;
    if places != ManyPlaces::Syscalls || count < fewest || is_worse || !kernel.has(Feature::RawTracepoint) {
        return None;
    }
    let (exactness, why) = if can_miss {
        (Exactness::MayMiss, Reason::TracepointMisses { preemption: kernel.preemption() })
    } else {
        (Exactness::Exact, Reason::TracepointIsExact)
    };
    let reason = format!("{count} system calls share the tracepoint that every call passes: {why}");
    Some(ManyPlan { mechanism: ManyMechanism::SysEnter, exactness, reason })
}

fn plan_in_file(count: usize, sharing: Sharing, kernel: &KernelView) -> Option<ManyPlan> {
    let can = sharing == Sharing::Allowed && kernel.has(Feature::UprobeMulti);
    (can && count >= FEWEST_FOR_MULTI).then(|| ManyPlan {
        mechanism: ManyMechanism::UprobeMulti,
        exactness: Exactness::Exact,
        reason: format!("{count} places share one uprobe.multi: {}", Reason::UprobeIsExact),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernel::recorded;

    fn mechanism(folder: &str, places: ManyPlaces, count: usize, sharing: Sharing) -> Option<ManyMechanism> {
        plan_many(places, count, sharing, &recorded(folder)).map(|plan| plan.mechanism)
    }

    // proves: HOOK-03 (choice), POL-07 (disable-kprobe-multi)
    #[test]
    fn many_functions_share_a_kprobe_multi_where_the_kernel_has_it_and_the_policy_lets_it() {
        for folder in ["6.12", "7.2"] {
            for places in [ManyPlaces::Functions, ManyPlaces::Syscalls] {
                let multi = Some(ManyMechanism::KprobeMulti);
                assert_eq!(mechanism(folder, places, 300, Sharing::Allowed), multi, "{folder}");
                assert_eq!(mechanism(folder, places, 300, Sharing::Refused), None, "{folder}");
                assert_eq!(mechanism(folder, places, 2, Sharing::Allowed), None, "{folder}");
            }
        }
    }

    #[test]
    fn many_system_calls_share_the_tracepoint_where_there_is_no_kprobe_multi() {
        for folder in ["5.10", "6.1"] {
            let tracepoint = Some(ManyMechanism::SysEnter);
            assert_eq!(
                mechanism(folder, ManyPlaces::Syscalls, 300, Sharing::Allowed),
                tracepoint,
                "{folder}"
            );
            assert_eq!(mechanism(folder, ManyPlaces::Syscalls, 10, Sharing::Allowed), None, "{folder}");
            assert_eq!(mechanism(folder, ManyPlaces::Syscalls, 300, Sharing::Refused), None, "{folder}");
            assert_eq!(mechanism(folder, ManyPlaces::Functions, 300, Sharing::Allowed), None, "{folder}");
        }
        // without kprobes each of them would be a program that every call passes
        for sharing in [Sharing::Allowed, Sharing::Refused] {
            let found = mechanism("6.18", ManyPlaces::Syscalls, 2, sharing);
            assert_eq!(found, Some(ManyMechanism::SysEnter));
        }
    }

    // proves: HOOK-12 (choice for many places)
    #[test]
    fn many_places_in_a_file_share_a_link_where_the_kernel_has_it_and_the_policy_lets_it() {
        for folder in ["6.12", "7.2"] {
            let multi = Some(ManyMechanism::UprobeMulti);
            assert_eq!(mechanism(folder, ManyPlaces::InFile, 4, Sharing::Allowed), multi, "{folder}");
            assert_eq!(mechanism(folder, ManyPlaces::InFile, 3, Sharing::Allowed), None, "{folder}");
            assert_eq!(mechanism(folder, ManyPlaces::InFile, 4, Sharing::Refused), None, "{folder}");
        }
        for folder in ["5.10", "6.1"] {
            assert_eq!(mechanism(folder, ManyPlaces::InFile, 300, Sharing::Allowed), None, "{folder}");
        }
    }
}
