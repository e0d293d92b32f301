//! The daemon as its servers see it: counters of all parts, without a lock that a part would wait for.

use std::sync::Arc;

use api::event::Node;
use bpf_probes::abi::Loss;
use bpf_probes::attach::Exactness;
use bpf_probes::load::Collection;
use export::sink::Counters;
use tracing_policy::policy::HookSection;

use crate::kernel::Cells;
use crate::pipeline::{Hub, Inspector, PipelineCounters};
use crate::policy::{Board, Cost};
use crate::requests::Requests;

/// Everything that can be looked at.
#[derive(Clone, Debug)]
pub struct Observed {
    /// The policies.
    pub board: Board,
    /// Listeners and what they lost.
    pub hub: Hub,
    /// What programs count.
    pub cells: Arc<Cells>,
    /// The base programs.
    pub base: Arc<Collection>,
    /// Whether they can miss calls under contention.
    pub base_exactness: Exactness,
    /// The event path.
    pub pipeline: Arc<PipelineCounters>,
    /// Who asks the event path what processes it knows.
    pub inspector: Inspector,
    /// Sinks by name.
    pub sinks: Vec<(String, Arc<Counters>)>,
    /// Bytes of the two rings.
    pub ring_bytes: [(&'static str, u64); 2],
    /// Most processes in the daemon's table.
    pub process_capacity: usize,
    /// Most processes in the kernel's table.
    pub kernel_processes: u32,
    /// Most long values that may be incomplete at a time.
    pub long_values: usize,
    /// What events say of this node.
    pub node: Arc<Node>,
    /// What the metrics of events say.
    pub event_labels: EventLabels,
    /// Who makes the requests of policies, where that is allowed.
    pub requests: Option<Requests>,
}

/// Which labels of the metrics of events are filled.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct EventLabels {
    /// The program.
    pub binary: bool,
}

/// A program, what it missed, and what it cost.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct ProgramMisses {
    /// Its name.
    pub program: String,
    /// Where it is attached.
    pub attach: String,
    /// The policies that need it, joined by commas; empty for a base program.
    pub policy: String,
    /// Calls that passed unseen because the program was running on that CPU.
    pub misses: u64,
    /// Those that the kernel did not hand to its link.
    pub link_misses: u64,
    /// Why that can happen, where the mechanism is known not to be exact.
    pub reason: Option<String>,
    /// Namespace of the first of the policies.
    pub policy_namespace: String,
    /// What kind of program it is, as upstream calls it.
    pub sensor: &'static str,
    /// What its runs cost.
    pub cost: Cost,
}

impl Observed {
    /// Records that programs could not write, by kind, in order.
    pub fn losses(&self) -> [(Loss, u64); Loss::ALL.len()] {
        Loss::ALL.map(|kind| (kind, self.cells.lost(kind)))
    }

    /// Events and calls that are missing, of all kinds together: a number that should not grow.
    pub fn missing(&self) -> u64 {
        let in_kernel: u64 = self.losses().into_iter().map(|(_, lost)| lost).sum();
        let in_sinks: u64 = self.sinks.iter().map(|(_, counters)| counters.counts().dropped).sum();
        let unseen: u64 = self.misses().into_iter().map(|program| program.misses + program.link_misses).sum();
        in_kernel + in_sinks + unseen + self.hub.lost()
    }

    /// Every program and the calls it missed, base programs first.
    pub fn misses(&self) -> Vec<ProgramMisses> {
        let reason = match self.base_exactness {
            Exactness::Exact => None,
            Exactness::MayMiss => Some("this kernel offers no exact mechanism for it".to_owned()),
        };
        let base = self.base.programs().iter().map(|program| ProgramMisses {
            program: program.name().to_owned(),
            attach: program.target().to_string(),
            policy: String::new(),
            misses: program.info().map_or(0, |info| info.recursion_misses),
            // the kernel counts those of kprobes only
            link_misses: 0,
            reason: reason.clone(),
            policy_namespace: String::new(),
            sensor: "__base__",
            cost: program.info().map_or_else(
                |_gone| Cost::default(),
                |info| Cost { runs: info.run_count, time: info.run_time, verified: info.verified_insns },
            ),
        });
        base.chain(self.hook_misses()).collect()
    }

    /// The stubs, each once however many policies share it.
    fn hook_misses(&self) -> Vec<ProgramMisses> {
        let mut found: Vec<ProgramMisses> = Vec::new();
        let policies = self.board.policies();
        for policy in policies.iter() {
            for hook in &policy.hooks {
                for attachment in &hook.attachments {
                    let attach = attachment.target.to_string();
                    let name = &policy.identity.name;
                    let known = found
                        .iter_mut()
                        .find(|known| known.attach == attach && known.program == hook.function);
                    if let Some(known) = known {
                        if known.policy.split(',').all(|other| other != name) {
                            known.policy.push(',');
                            known.policy.push_str(name);
                        }
                        continue;
                    }
                    found.push(ProgramMisses {
                        program: hook.function.clone(),
                        attach,
                        policy: name.clone(),
                        misses: attachment.figures.recursion_misses(),
                        link_misses: attachment.figures.link_misses(),
                        reason: attachment.can_miss.clone(),
                        policy_namespace: policy.identity.namespace.clone(),
                        sensor: sensor(hook.place.section),
                        cost: attachment.figures.cost(),
                    });
                }
            }
        }
        found
    }
}

/// Upstream's name for the programs of a part of a policy.
pub(super) const fn sensor(section: HookSection) -> &'static str {
    match section {
        HookSection::Kprobes => "generic_kprobe",
        HookSection::Fentries => "generic_fentry",
        HookSection::Tracepoints => "generic_tracepoint",
        HookSection::Uprobes => "generic_uprobe",
        HookSection::Usdts => "generic_usdt",
        HookSection::LsmHooks => "generic_lsm",
        HookSection::Loader => "__loader__",
        HookSection::Enforcers => "__enforcer__",
    }
}
