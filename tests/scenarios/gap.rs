//! Enforcement without a gap: a hundred threads open denied files while policies come, go and switch between monitor and enforce.
//!
//! Two files, a policy for each, on the same hook. The first policy enforces all the time. The second is added, switched and
//! removed. What a thread saw counts when the whole call lay inside one period: a period in which the policy was reported as enforcing begins after
//! the answer to the request that made it so, and ends before the next request.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use e2e::ensure;
use e2e::expect::{Failure, Outcome, PATIENCE, eventually};
use e2e::load::lowest_priority;
use e2e::scenario::{Daemon, Guest, Settings};
use nix::errno::Errno;

use crate::policies::named;
use crate::processes::ROOM;
use crate::syscalls::open;

const THREADS: usize = 100;
const ROUNDS: usize = 2;
/// Calls that end inside a period before the next one begins.
const CALLS: u64 = 400;
const SWITCHED: &str = "switched";
const ERROR: Errno = Errno::EDOM;

/// What opens of a file must come to, and for how long: changes are counted, so that one word tells periods apart.
#[derive(Debug, Default)]
struct Periods {
    /// Number of the period, times four, and what it demands.
    word: AtomicU64,
    /// Calls that lay wholly inside the present period.
    inside: AtomicU64,
}

/// What a period demands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Demand {
    /// A request is under way.
    Nothing = 0,
    /// Every call fails.
    Denial = 1,
    /// Every call succeeds.
    Success = 2,
}

impl Periods {
    fn begin(&self, demand: Demand) {
        let number = self.word.load(Ordering::SeqCst) / 4 + 1;
        self.word.store(number * 4 + demand as u64, Ordering::SeqCst);
        self.inside.store(0, Ordering::SeqCst);
    }

    /// Waits until threads made enough calls inside the present period.
    fn fill(&self) -> Outcome {
        let enough = || Ok((self.inside.load(Ordering::SeqCst) >= CALLS).then_some(()));
        eventually("calls inside a period", PATIENCE, enough)
    }

    /// One call; whether it was right, if it lay in a period.
    fn call(&self, path: &Path) -> Outcome {
        let before = self.word.load(Ordering::SeqCst);
        let result = open(path);
        let after = self.word.load(Ordering::SeqCst);
        if before == after {
            let expected = match before % 4 {
                1 => Err(ERROR),
                2 => Ok(()),
                _ => return Ok(()),
            };
            let (number, demand) = (before / 4, if before % 4 == 1 { "denied" } else { "allowed" });
            ensure!(result == expected, "{}: {result:?} in period {number}, {demand}", path.display());
            self.inside.fetch_add(1, Ordering::SeqCst);
        }
        Ok(())
    }
}

/// A hook on the security function that every open passes.
pub(crate) fn of_a_function(guest: &Guest) -> Outcome {
    without_gap(guest, "security_file_open, syscall: false", "0, type: file")
}

/// A hook on the system call.
pub(crate) fn of_a_system_call(guest: &Guest) -> Outcome {
    without_gap(guest, "sys_openat", "1, type: string")
}

fn without_gap(guest: &Guest, call: &str, argument: &str) -> Outcome {
    let path = |name: &str| -> Outcome<PathBuf> {
        let path = guest.folder.join(name);
        std::fs::write(&path, "x")?;
        Ok(path)
    };
    let (steady, switched) = (path("steady")?, path("switched")?);
    let policy = |name: &str, path: &Path| {
        let spec = format!(
            "  kprobes:
  - {{call: {call}, args: [{{index: {argument}}}], selectors: [{{matchArgs: [{{index: {}, operator: Equal, values: ['{}']}}],
      matchActions: [{{action: Override, argError: -{}}}, {{action: NoPost}}]}}]}}
",
            argument.split(',').next().unwrap_or_default(),
            path.display(),
            ERROR as i32
        );
        named(name, &spec)
    };
    let daemon = Settings::default().policy(&policy("steady", &steady)).flags(&ROOM).start(guest)?;
    let text = policy(SWITCHED, &switched);
    let [always, sometimes] = [(); 2].map(|()| Periods::default());
    always.begin(Demand::Denial);
    sometimes.begin(Demand::Success);
    let stop = AtomicBool::new(false);
    let hammer = |index: usize| -> Outcome {
        lowest_priority()?;
        while !stop.load(Ordering::Relaxed) {
            if index.is_multiple_of(2) { always.call(&steady)? } else { sometimes.call(&switched)? }
        }
        Ok(())
    };
    thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|index| {
                let (hammer, stop) = (&hammer, &stop);
                scope.spawn(move || hammer(index).inspect_err(|_| stop.store(true, Ordering::Relaxed)))
            })
            .collect();
        let changed = change(&daemon, &text, &sometimes, &stop);
        stop.store(true, Ordering::Relaxed);
        for thread in threads {
            thread.join().map_err(|_panic| Failure("a thread panicked".to_owned()))??;
        }
        changed
    })?;
    let acted = daemon.acted("steady", "override")?;
    ensure!(acted >= always.inside.load(Ordering::SeqCst), "the policy counts {acted} denials only");
    Ok(())
}

/// Adds, switches and removes the policy; each time calls fill the period that follows.
fn change(daemon: &Daemon, text: &str, periods: &Periods, stop: &AtomicBool) -> Outcome {
    let period = |demand, mode: Option<&str>| -> Outcome {
        if let Some(mode) = mode {
            let reported = daemon.policy(SWITCHED)?;
            ensure!(reported.to_string().contains(&format!("_{mode}\"")), "{reported}, not {mode}");
        }
        periods.begin(demand);
        // A thread that saw something wrong has the better reason.
        let filled = periods.fill();
        if stop.load(Ordering::Relaxed) {
            return Err(Failure("a thread ended".to_owned()));
        }
        periods.begin(Demand::Nothing);
        filled
    };
    period(Demand::Success, None)?;
    for _ in 0..ROUNDS {
        daemon.add(SWITCHED, text)?;
        period(Demand::Denial, Some("ENFORCE"))?;
        daemon.tetra_must(&["tracingpolicy", "set-mode", SWITCHED, "monitor"])?;
        period(Demand::Success, Some("MONITOR"))?;
        daemon.tetra_must(&["tracingpolicy", "set-mode", SWITCHED, "enforce"])?;
        period(Demand::Denial, Some("ENFORCE"))?;
        daemon.delete(SWITCHED)?;
        period(Demand::Success, None)?;
    }
    Ok(())
}
