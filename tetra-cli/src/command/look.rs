//! What programs of the kernel took since somebody looked.

use std::collections::HashMap;
use std::time::Duration;

use bpf_probes::load::RunningProgram;

/// What was counted when somebody looked, by the program's number: its time and its runs.
#[derive(Debug, Default)]
pub(super) struct Look(HashMap<u32, (Duration, u64)>);

impl Look {
    /// What is counted now.
    pub(super) fn new(programs: &[RunningProgram]) -> Self {
        Self(programs.iter().map(|program| (program.id, (program.run_time, program.run_count))).collect())
    }

    /// Time and runs of a program since then; of one that was not there nothing is known.
    pub(super) fn since(&self, program: &RunningProgram) -> Option<(Duration, u64)> {
        let (time, runs) = self.0.get(&program.id)?;
        Some((program.run_time.saturating_sub(*time), program.run_count.saturating_sub(*runs)))
    }
}
