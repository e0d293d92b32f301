//! What something takes: time, and time of CPUs in commands, those of what runs beside it included.

use std::fmt;
use std::time::{Duration, Instant};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// Runs since it was started.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Clock {
    begin: Instant,
    cpu: Duration,
}

impl Clock {
    /// Starts it.
    pub(crate) fn start() -> Self {
        Self { begin: Instant::now(), cpu: of_commands() }
    }
}

impl fmt::Display for Clock {
    /// Whole seconds: `312 s (CPUs: 540 s)`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let cpu = of_commands().saturating_sub(self.cpu);
        write!(formatter, "{} s (CPUs: {} s)", self.begin.elapsed().as_secs(), cpu.as_secs())
    }
}

/// CPU time of all commands that have ended, and of theirs.
fn of_commands() -> Duration {
    let Ok(usage) = getrusage(UsageWho::RUSAGE_CHILDREN) else { return Duration::ZERO };
    let milliseconds = usage.user_time().num_milliseconds() + usage.system_time().num_milliseconds();
    Duration::from_millis(u64::try_from(milliseconds).unwrap_or(0))
}
