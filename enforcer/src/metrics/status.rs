//! A line in the log that says how the daemon fares, where no cluster watches its metrics.

use std::time::{Duration, Instant};

use tokio_util::sync::CancellationToken;

use crate::server::Observed;

/// Between two looks.
const PERIOD: Duration = Duration::from_hours(1);
/// The longest time without a line, though nothing was lost.
const QUIET: Duration = Duration::from_hours(24);

/// When a line is due: once a day, and every hour in which something was lost.
#[derive(Debug)]
struct Due {
    last: Instant,
    missing: u64,
}

impl Due {
    fn look(&mut self, now: Instant, missing: u64) -> bool {
        let due = missing > self.missing || now.duration_since(self.last) >= QUIET;
        self.missing = self.missing.max(missing);
        if due {
            self.last = now;
        }
        due
    }
}

/// Writes the line whenever it is due, until `stop`.
pub async fn watch(observed: Observed, stop: CancellationToken) {
    let mut due = Due { last: Instant::now(), missing: 0 };
    while stop.run_until_cancelled(tokio::time::sleep(PERIOD)).await.is_some() {
        let missing = observed.missing();
        if due.look(Instant::now(), missing) {
            line(&observed, missing);
        }
    }
}

fn line(observed: &Observed, missing: u64) {
    let totals = observed.pipeline.totals();
    let policies = observed.board.policies().len();
    let exported: u64 = observed.sinks.iter().map(|(_, counters)| counters.counts().written).sum();
    tracing::info!(
        records = totals.read(),
        events = totals.events(),
        exported,
        missing,
        processes = totals.table.entries,
        policies,
        "status"
    );
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::Due;

    // proves: MET-13
    #[test]
    fn a_line_is_due_once_a_day_and_each_hour_in_which_something_was_lost() {
        let start = Instant::now();
        let mut due = Due { last: start, missing: 0 };
        let lost = |hour| if hour < 5 { 0 } else { 20 };
        let lines: Vec<u64> =
            (1..=60).filter(|hour| due.look(start + Duration::from_hours(*hour), lost(*hour))).collect();
        assert_eq!(lines, [5, 29, 53], "what is lost no more is not told again");
    }
}
