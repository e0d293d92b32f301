//! Everything that is counted.

use std::collections::BTreeMap;
use std::time::Duration;

use api::event::{Event, EventKind, Throttle};
use api::name::ThrottleType;
use bpf_probes::load::RunningProgram;

use super::programs::Costs;
use super::tally::Tally;
use super::tree::Tree;

/// Throttled cgroups that are remembered at most.
const MAX_THROTTLED: usize = 1000;

/// The counts, and why some may be missing.
#[derive(Debug, Default)]
pub(super) struct Board {
    /// Events by policy.
    pub(super) policies: Tally,
    /// Events by pod, `NAMESPACE/NAME`.
    pub(super) pods: Tally,
    /// Processes with their events.
    pub(super) processes: Tree,
    /// Programs with their cost.
    pub(super) programs: Costs,
    /// All events, under one name.
    pub(super) all: Tally,
    /// Names of cgroups of which events are withheld, and of how many of each name.
    pub(super) throttled: BTreeMap<String, u32>,
    /// Why the cost of programs is not known.
    pub(super) no_programs: Option<String>,
    /// What is wrong with the stream of events.
    pub(super) trouble: Option<String>,
}

impl Board {
    /// Counts an event.
    pub(super) fn add(&mut self, event: &Event) {
        self.all.add("");
        if let Some(policy) = event.policy_name().filter(|name| !name.is_empty()) {
            self.policies.add(policy);
        }
        if let Some(pod) = event.process().and_then(|process| process.pod.as_ref()) {
            self.pods.add(&format!("{}/{}", pod.namespace, pod.name));
        }
        self.processes.add(event);
        if let EventKind::Throttle(throttle) = &event.kind {
            self.throttle(throttle);
        }
    }

    fn throttle(&mut self, throttle: &Throttle) {
        let name = &*throttle.cgroup;
        match throttle.kind {
            ThrottleType::Start
                if self.throttled.contains_key(name) || self.throttled.len() < MAX_THROTTLED =>
            {
                *self.throttled.entry(name.to_owned()).or_default() += 1;
            }
            ThrottleType::Stop => {
                if let Some(count) = self.throttled.get_mut(name) {
                    *count -= 1;
                }
                self.throttled.retain(|_, count| *count > 0);
            }
            ThrottleType::Start | ThrottleType::Unknown => {}
        }
    }

    /// Ends an interval; `programs` are those of the kernel, or why they are not known.
    pub(super) fn tick(&mut self, programs: Result<Vec<RunningProgram>, String>, interval: Duration) {
        for tally in [&mut self.all, &mut self.policies, &mut self.pods] {
            tally.tick(interval);
        }
        self.processes.tick(interval);
        match programs {
            Ok(programs) => {
                self.programs.tick(programs, interval);
                self.no_programs = None;
            }
            Err(reason) => self.no_programs = Some(reason),
        }
    }
}
