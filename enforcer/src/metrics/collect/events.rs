//! Events by type, policy, system call and program.

use bpf_probes::kernel::Syscall;

use super::super::catalogue::{EVENTS, POLICY_EVENTS, SERIES_SHARED, SYSCALLS};
use super::super::page::Page;
use crate::pipeline::FOREIGN;
use crate::server::Observed;

pub(super) fn collect(observed: &Observed, page: &mut Page) {
    let node = observed.node.name.as_ref();
    // Nobody tells of pods yet: namespace, workload and pod are empty.
    observed.pipeline.with_series(|series| {
        for (program, counts) in series.programs() {
            let program = if observed.event_labels.binary { program } else { "" };
            for (kind, count) in counts.types() {
                page.add(&EVENTS, &[kind.name(), node, "", "", "", program], count);
            }
            for (policy, hook, count) in counts.policies() {
                page.add(&POLICY_EVENTS, &[policy, hook, node, "", "", "", program], count);
            }
            for (number, count) in counts.syscalls() {
                let name = name(number);
                page.add(&SYSCALLS, &[&name, node, "", "", "", program], count);
            }
        }
        page.set(&SERIES_SHARED, series.shared());
    });
}

/// The name of a system call, or its number where it is one of another ABI or has none here.
fn name(number: u32) -> String {
    if number & FOREIGN != 0 {
        return format!("i386/{}", number & !FOREIGN);
    }
    Syscall::numbered(number).map_or_else(|| number.to_string(), |call| call.name.to_owned())
}
