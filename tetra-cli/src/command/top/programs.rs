//! What each BPF program of this kernel costs.

use std::time::Duration;

use bpf_probes::load::RunningProgram;

use crate::command::look::Look;

/// The cost of a program over an interval.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Cost {
    /// The kernel's number for it.
    pub(super) id: u32,
    /// Its name.
    pub(super) name: String,
    /// Runs a second.
    pub(super) runs: f64,
    /// Nanoseconds a run.
    pub(super) nanoseconds: f64,
    /// Share of one CPU, in percent.
    pub(super) share: f64,
}

/// What was counted when the last interval ended.
#[derive(Debug, Default)]
pub(super) struct Costs {
    before: Look,
    costs: Vec<Cost>,
}

impl Costs {
    /// Ends an interval with what is counted now. A program that is new has no cost yet.
    pub(super) fn tick(&mut self, now: Vec<RunningProgram>, interval: Duration) {
        let seconds = interval.as_secs_f64().max(f64::EPSILON);
        let counted = Look::new(&now);
        let one = |program: RunningProgram| {
            let (time, runs) = self.before.since(&program)?;
            #[expect(clippy::cast_precision_loss, reason = "shown with one digit")]
            let (time, runs) = (time.as_secs_f64(), runs as f64);
            let nanoseconds = if runs > 0.0 { time * 1e9 / runs } else { 0.0 };
            let (runs, share) = (runs / seconds, time * 100.0 / seconds);
            Some(Cost { id: program.id, name: program.name, runs, nanoseconds, share })
        };
        self.costs = now.into_iter().filter_map(one).collect();
        self.costs.sort_by(|a, b| {
            b.share.total_cmp(&a.share).then(b.runs.total_cmp(&a.runs)).then(a.id.cmp(&b.id))
        });
        self.before = counted;
    }

    /// All, the dearest first.
    pub(super) fn dearest(&self) -> &[Cost] {
        &self.costs
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn program(id: u32, nanoseconds: u64, run_count: u64) -> RunningProgram {
        let (name, run_time) = (format!("p{id}"), Duration::from_nanos(nanoseconds));
        RunningProgram { id, name, run_time, run_count, ..RunningProgram::default() }
    }

    #[test]
    fn a_program_costs_what_was_added_in_the_interval() {
        let mut costs = Costs::default();
        let second = Duration::from_secs(1);
        costs.tick(vec![program(1, 5_000, 5), program(2, 0, 0)], second);
        assert_eq!(costs.dearest(), []);
        costs.tick(vec![program(1, 6_000, 7), program(2, 10_000_000, 10), program(3, 1, 1)], second);
        let shown: Vec<_> =
            costs.dearest().iter().map(|cost| (cost.id, cost.runs, cost.nanoseconds.round())).collect();
        assert_eq!(shown, [(2, 10.0, 1_000_000.0), (1, 2.0, 500.0)]);
        assert!((costs.dearest()[0].share - 1.0).abs() < 1e-9);
    }
}
