//! What programs count, and what the kernel counts of them.

use bpf_probes::abi::{Loss, Withheld};

use super::super::catalogue::{
    BPF_ERRORS, BPF_MISSED, CGROUP_RATE, LOST, MAP_CAPACITY, MAP_DELETE_ERRORS, MAP_ENTRIES,
    MAP_UPDATE_ERRORS, MISSED_LINK, MISSED_PROG, OVERHEAD_RUNS, OVERHEAD_SECONDS, RECURSION_MISSES,
    RING_LOST, UNTOLD, VERIFIED, WITHHELD,
};
use super::super::page::Page;
use crate::server::Observed;

/// Upstream's name of the table of processes.
const PROCESS_MAP: &str = "execve_map";

/// Upstream's number of a message, by what of it is lost.
const fn op_code(loss: Loss) -> Option<&'static str> {
    match loss {
        Loss::Exec => Some("5"),
        Loss::Exit => Some("7"),
        Loss::Hook | Loss::Enforcement => Some("13"),
        Loss::Fork => Some("23"),
        Loss::Data => Some("24"),
        Loss::Throttle => Some("27"),
        Loss::Process | Loss::Scratch | Loss::Note | Loss::Return => None,
    }
}

/// Which helper of the kernel failed, with which error, and in which program text: what each loss is counted for.
const fn failure(loss: Loss) -> (&'static str, &'static str, &'static str, &'static str) {
    match loss {
        Loss::Exec
        | Loss::Exit
        | Loss::Fork
        | Loss::Data
        | Loss::Hook
        | Loss::Enforcement
        | Loss::Throttle => ("11", "EAGAIN", "ringbuf_output", "bpf-probes/src/routine/output.rs"),
        Loss::Process => ("7", "E2BIG", "map_update_elem", "bpf-probes/src/sensor/exec.rs"),
        Loss::Scratch => ("12", "ENOMEM", "map_update_elem", "tracing-policy/src/emit/program.rs"),
        Loss::Note => ("7", "E2BIG", "map_update_elem", "tracing-policy/src/emit/note.rs"),
        Loss::Return => ("7", "E2BIG", "map_update_elem", "tracing-policy/src/emit/call.rs"),
    }
}

pub(super) fn collect(observed: &Observed, page: &mut Page) {
    let mut in_rings = 0;
    for (loss, lost) in observed.losses() {
        page.add(&LOST, &[loss.name()], lost);
        if let Some(op) = op_code(loss) {
            page.add(&BPF_MISSED, &["ENOSPC", op], lost);
            in_rings += lost;
        }
        let (error, name, helper, file) = failure(loss);
        if lost > 0 {
            page.add(&BPF_ERRORS, &[error, name, file, helper, "0"], lost);
        }
        if loss == Loss::Process {
            page.add(&MAP_UPDATE_ERRORS, &[PROCESS_MAP], lost);
        }
    }
    page.set(&RING_LOST, in_rings);
    page.add(&MAP_DELETE_ERRORS, &[PROCESS_MAP], 0);
    page.add(&MAP_CAPACITY, &[PROCESS_MAP], u64::from(observed.kernel_processes));
    page.add(&MAP_ENTRIES, &[PROCESS_MAP], observed.pipeline.totals().table.running as u64);
    throttling(observed, page);
    programs(observed, page);
}

fn throttling(observed: &Observed, page: &mut Page) {
    let throttle = observed.pipeline.totals().throttle;
    page.add(&CGROUP_RATE, &["throttle_start"], throttle.started);
    page.add(&CGROUP_RATE, &["throttle_stop"], throttle.stopped);
    page.set(&UNTOLD, throttle.untold);
    for kind in Withheld::ALL {
        page.add(&WITHHELD, &[kind.name()], observed.cells.withheld(kind));
    }
}

fn programs(observed: &Observed, page: &mut Page) {
    for program in observed.misses() {
        let (attach, policy) = (program.attach.as_str(), program.policy.as_str());
        page.add(&RECURSION_MISSES, &[&program.program, attach, policy], program.misses);
        page.add(&MISSED_LINK, &[attach, policy], program.link_misses);
        page.add(&MISSED_PROG, &[attach, policy], program.misses);
        let labels = [attach, policy, &program.policy_namespace, attach, program.sensor];
        page.add(&OVERHEAD_RUNS, &labels, program.cost.runs);
        page.add(&OVERHEAD_SECONDS, &labels, program.cost.time);
        page.add(&VERIFIED, &[attach, policy], u64::from(program.cost.verified));
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn the_text_of_a_program_that_failed_is_where_the_failure_is_counted() {
        let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for loss in Loss::ALL {
            let (.., file) = failure(loss);
            let text = fs::read_to_string(workspace.join(file)).unwrap();
            let counts = ["count_loss(f, loss)".to_owned(), format!("Loss::{loss:?}")];
            assert!(counts.iter().any(|count| text.contains(count)), "{loss:?} in {file}");
        }
    }
}
