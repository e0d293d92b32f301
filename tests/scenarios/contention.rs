//! Eight threads on two CPUs: the moment at which a kernel skips programs that are not exact.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::thread;
use std::time::{Duration, Instant};

use e2e::ensure;
use e2e::expect::{Failure, Outcome};
use e2e::load::{Limit, opens};
use e2e::scenario::{Guest, Settings, run};

use crate::policies::{Action, file_open};
use crate::processes::{ROOM, expect_nothing_lost};

const THREADS: usize = 8;
const TIME: Duration = Duration::from_secs(10);
/// Half as many events as a file in memory can take; each is one to two kilobytes.
const REPORTED: u64 = 20_000;

/// Override: no open succeeds, and each is counted.
pub(crate) fn deny(guest: &Guest) -> Outcome {
    let path = target(guest)?;
    let policy = file_open("denied", "Equal", &[&path.display().to_string()], Action::DenySilently);
    let mut daemon = Settings::default().policy(&policy).start(guest)?;
    let mut events = daemon.events()?;
    let limit = Limit { time: TIME, calls: u64::MAX };
    let counted = opens(&path, THREADS, limit, &Arc::new(AtomicBool::new(false)))?;
    ensure!(counted.opened == 0, "{} of {} denied opens succeeded", counted.opened, counted.calls);
    ensure!(counted.denied == counted.calls && counted.calls > 1000, "{counted:?}");
    let acted = daemon.acted("denied", "override")?;
    ensure!(acted == counted.calls, "the policy counts {acted} denials, the callers {}", counted.calls);
    let seen = daemon.settle(&mut events)?;
    let reported = seen.iter().filter(|event| event.of_policy("denied").is_some()).count();
    ensure!(reported == 0, "{reported} events in spite of NoPost");
    Ok(())
}

/// Sigkill: no thread reads a byte, and each process dies.
pub(crate) fn kill(guest: &Guest) -> Outcome {
    let path = target(guest)?;
    let policy = file_open("killed", "Equal", &[&path.display().to_string()], Action::Kill);
    let daemon = Settings::default().policy(&policy).start(guest)?;
    let end = Instant::now() + TIME;
    let killer = |path: &Path| -> Outcome<u64> {
        let mut rounds = 0;
        let words = ["/usr/bin/e2e-guest", "load", "read", &path.display().to_string(), &THREADS.to_string()];
        while Instant::now() < end {
            let reader = run(&words)?;
            ensure!(reader.stdout.is_empty(), "round {rounds}: read {:?}", reader.text());
            ensure!(reader.killed(), "round {rounds}: ended with {}; {}", reader.status, reader.stderr);
            rounds += 1;
        }
        Ok(rounds)
    };
    let rounds = thread::scope(|scope| {
        let both = [scope.spawn(|| killer(&path)), scope.spawn(|| killer(&path))];
        let mut sum = 0;
        for one in both {
            sum += one.join().map_err(|_panic| Failure("a thread panicked".to_owned()))??;
        }
        Ok::<u64, Failure>(sum)
    })?;
    ensure!(rounds > 10, "only {rounds} processes were killed");
    let acted = daemon.acted("killed", "signal")?;
    ensure!(acted >= rounds, "the policy counts {acted} kills of {rounds} processes");
    Ok(())
}

/// Post: as many events as calls, when the ring can hold them.
pub(crate) fn post(guest: &Guest) -> Outcome {
    let path = target(guest)?;
    let policy = file_open("reported", "Equal", &[&path.display().to_string()], Action::Post);
    let mut daemon = Settings::default().policy(&policy).flags(&ROOM).start(guest)?;
    let mut events = daemon.events()?;
    let limit = Limit { time: TIME, calls: REPORTED };
    let counted = opens(&path, THREADS, limit, &Arc::new(AtomicBool::new(false)))?;
    ensure!(counted.opened == counted.calls, "{counted:?}");
    let seen = daemon.settle(&mut events)?;
    expect_nothing_lost(&daemon)?;
    let reported = seen.iter().filter(|event| event.of_policy("reported").is_some()).count() as u64;
    ensure!(reported == counted.calls, "{reported} events of {} calls", counted.calls);
    let acted = daemon.acted("reported", "post")?;
    ensure!(acted == counted.calls, "the policy counts {acted} of {} calls", counted.calls);
    Ok(())
}

fn target(guest: &Guest) -> Outcome<PathBuf> {
    let path = guest.folder.join("target");
    std::fs::write(&path, "secret")?;
    Ok(path)
}
