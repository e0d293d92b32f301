//! One process, in the middle of the event path: seldom, and never for long.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use bpf_probes::sensor::Environment;

use super::patience::Patience;
use super::process::RunningProcess;
use crate::pipeline::identify::table::Incarnation;

/// Look-ups that can be made at once, and are made good in a second.
const BUDGET: u32 = 100;
/// How long one look-up may wait for what the process can hold up.
const PATIENCE: Duration = Duration::from_millis(20);
/// Procfs rounds starts down to the tick; a process that started later than this after its record's time is another one.
const SLACK: u64 = 10_000_000;

/// Numbers about look-ups.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct LookupStats {
    /// Look-ups made.
    pub made: u64,
    /// Those that found the process.
    pub found: u64,
    /// Those that were not made, because there had been too many.
    pub refused: u64,
}

/// Looks processes up within a budget.
#[derive(Debug)]
pub(in crate::pipeline::identify) struct Lookup {
    root: PathBuf,
    patience: Patience,
    left: u32,
    renewed: Instant,
    stats: LookupStats,
}

impl Lookup {
    pub(in crate::pipeline::identify) fn new(root: &Path, environment: Environment) -> Self {
        Self {
            root: root.to_owned(),
            patience: Patience::new(environment),
            left: BUDGET,
            renewed: Instant::now(),
            stats: LookupStats::default(),
        }
    }

    pub(in crate::pipeline::identify) const fn stats(&self) -> LookupStats {
        self.stats
    }

    /// The process that `id` names (with time 0: whichever has the pid), if it still runs.
    pub(in crate::pipeline::identify) fn find(&mut self, id: Incarnation) -> Option<RunningProcess> {
        if self.renewed.elapsed() >= Duration::from_secs(1) {
            self.renewed = Instant::now();
            self.left = BUDGET;
        }
        let Some(left) = self.left.checked_sub(1) else {
            self.stats.refused += 1;
            return None;
        };
        self.left = left;
        self.stats.made += 1;
        let process = RunningProcess::read(&self.root, id.tgid, &mut self.patience, PATIENCE)?;
        if id.ktime != 0 && process.ktime > id.ktime.saturating_add(SLACK) {
            return None;
        }
        self.stats.found += 1;
        Some(process)
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use bpf_probes::sensor::Environment;

    use super::{BUDGET, Lookup};
    use crate::pipeline::identify::table::Incarnation;

    #[test]
    fn another_process_with_the_same_pid_is_not_taken() {
        let mut lookup = Lookup::new(Path::new("/proc"), Environment::Unread);
        let tgid = std::process::id();
        assert!(lookup.find(Incarnation { tgid, ktime: 0 }).is_some());
        assert!(lookup.find(Incarnation { tgid, ktime: u64::MAX }).is_some());
        assert!(lookup.find(Incarnation { tgid, ktime: 1 }).is_none(), "it started after that time");
        assert_eq!((lookup.stats().made, lookup.stats().found), (3, 2));
    }

    #[test]
    fn a_flood_of_unknown_processes_is_refused() {
        let mut lookup = Lookup::new(Path::new("/nonexistent"), Environment::Unread);
        for tgid in 0..10 * BUDGET {
            assert!(lookup.find(Incarnation { tgid, ktime: 0 }).is_none());
        }
        assert!(lookup.stats().refused > 0);
    }
}
