//! Policies come and go on a hook that others use.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use e2e::ensure;
use e2e::expect::{Failure, Outcome};
use e2e::load::{Limit, Opens, opens};
use e2e::scenario::{Daemon, Guest, Settings};

use crate::policies::{Action, file_open};
use crate::processes::{ROOM, expect_nothing_lost};

const ROUNDS: u32 = 10;
/// Half as many events as a file in memory can take.
const REPORTED: u64 = 20_000;

/// One policy denies, one reports, a third is added and removed; the first two do not notice.
pub(crate) fn under_load(guest: &Guest) -> Outcome {
    let path = |name: &str| -> Outcome<PathBuf> {
        let path = guest.folder.join(name);
        std::fs::write(&path, "x")?;
        Ok(path)
    };
    let (denied, watched, third) = (path("denied")?, path("watched")?, path("third")?);
    let text = |path: &PathBuf| path.display().to_string();
    let mut daemon = Settings::default()
        .policy(&file_open("denied", "Equal", &[&text(&denied)], Action::DenySilently))
        .policy(&file_open("watched", "Equal", &[&text(&watched)], Action::Post))
        .flags(&ROOM)
        .start(guest)?;
    let mut events = daemon.events()?;

    let third_policy = file_open("third", "Equal", &[&text(&third)], Action::Post);
    let stop = Arc::new(AtomicBool::new(false));
    let forever = |calls| Limit { time: Duration::from_hours(1), calls };
    let (denials, reports) = thread::scope(|scope| {
        let denials = scope.spawn(|| opens(&denied, 2, forever(u64::MAX), &stop));
        let reports = scope.spawn(|| opens(&watched, 2, forever(REPORTED), &stop));
        let churned = churn(&daemon, &third_policy, &third);
        stop.store(true, Ordering::Relaxed);
        let joined = |thread: thread::ScopedJoinHandle<'_, std::io::Result<Opens>>| -> Outcome<Opens> {
            Ok(thread.join().map_err(|_panic| Failure("a thread panicked".to_owned()))??)
        };
        let both = (joined(denials)?, joined(reports)?);
        churned.map(|()| both)
    })?;

    ensure!(denials.opened == 0, "{} of {} denied opens succeeded meanwhile", denials.opened, denials.calls);
    let seen = daemon.settle(&mut events)?;
    expect_nothing_lost(&daemon)?;
    let count = |policy: &str| seen.iter().filter(|event| event.of_policy(policy).is_some()).count() as u64;
    ensure!(reports.opened == reports.calls && reports.calls > u64::from(ROUNDS), "{reports:?}");
    ensure!(count("watched") == reports.calls, "{} events of {} calls", count("watched"), reports.calls);
    ensure!(count("denied") == 0, "{} events in spite of NoPost", count("denied"));
    // While it was there the third policy saw each open, otherwise none.
    ensure!(
        count("third") == u64::from(ROUNDS),
        "{} events of the third policy, not {ROUNDS}",
        count("third")
    );
    let acted = daemon.acted("denied", "override")?;
    ensure!(acted == denials.calls, "the policy counts {acted} denials, the callers {}", denials.calls);
    Ok(())
}

fn churn(daemon: &Daemon, policy: &str, file: &PathBuf) -> Outcome {
    for _ in 0..ROUNDS {
        daemon.add("third", policy)?;
        drop(std::fs::File::open(file)?);
        daemon.delete("third")?;
        drop(std::fs::File::open(file)?);
    }
    Ok(())
}
