//! Enforcement that goes on without the daemon, and through the start of the next one.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use e2e::bpf::{self, Object};
use e2e::ensure;
use e2e::expect::{Failure, Outcome, PATIENCE, eventually};
use e2e::kernels::Feature;
use e2e::load::{Call, Limit, lowest_priority, opens};
use e2e::scenario::{Daemon, Guest, Settings, must, run};
use nix::sys::signal::Signal;

use crate::policies::{Action, file_open, named};

pub(crate) const KEEP: &str = "--keep-sensors-on-exit";
const PINS: &str = "/sys/fs/bpf/tetragon";
const THREADS: usize = 8;
/// How often a daemon is killed at some moment.
const KILLS: u32 = 100;
/// The same on the kernels that do not have to be the first to show it.
const FEWER_KILLS: u32 = 10;
/// One in so many is killed right after it has taken over.
const READY: u64 = 10;
/// The same where fewer are killed.
const OFTEN_READY: u64 = 3;
/// Milliseconds within which the others are.
const MOMENTS: u64 = 1500;

/// What was done when, for the report of a gap.
#[derive(Debug)]
struct Diary(Mutex<Vec<(Instant, String)>>);

impl Diary {
    const fn new() -> Self {
        Self(Mutex::new(Vec::new()))
    }

    fn note(&self, what: impl Into<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), what.into()));
    }

    /// What was noted in the last half minute before the call ended, and how long before.
    fn before(&self, call: &Call) -> String {
        let end = call.began + call.lasted;
        let notes = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let near = notes.iter().filter_map(|(when, what)| Some((end.checked_duration_since(*when)?, what)));
        let told: Vec<String> = near
            .filter(|(before, _)| before.as_secs() < 30)
            .map(|(before, what)| format!("{what} {} ms before", before.as_millis()))
            .collect();
        format!("the last such call took {} ms; {}", call.lasted.as_millis(), told.join(", "))
    }
}

/// A denied file, hammered all the time, and a file that only one program may read.
struct Scene {
    denied: PathBuf,
    settings: Settings,
    guarded: PathBuf,
}

impl Scene {
    fn new(guest: &Guest) -> Outcome<Self> {
        let file = |name: &str| -> Outcome<PathBuf> {
            let path = guest.folder.join(name);
            fs::write(&path, "x")?;
            Ok(path)
        };
        let (denied, guarded) = (file("denied")?, file("guarded")?);
        let kill_others = named(
            "guard",
            &format!(
                "  kprobes:
  - call: security_file_open
    syscall: false
    args: [{{index: 0, type: file}}]
    selectors:
    - matchArgs: [{{index: 0, operator: Equal, values: ['{}']}}]
      matchBinaries: [{{operator: NotPostfix, values: [/tac]}}]
      matchActions: [{{action: Sigkill}}]
",
                guarded.display()
            ),
        );
        let settings = Settings::default()
            .policy(&file_open("denied", "Equal", &[&denied.display().to_string()], Action::Deny))
            .policy(&kill_others)
            .flags(&[KEEP]);
        Ok(Self { denied, settings, guarded })
    }

    /// Programs that start now are told apart: one may read, the other is killed.
    fn guard_holds(&self) -> Outcome {
        let path = self.guarded.display().to_string();
        let allowed = run(&["tac", &path])?;
        ensure!(allowed.success(), "tac may read the file, and ended with {}", allowed.status);
        let other = run(&["cat", &path])?;
        ensure!(other.killed() && other.stdout.is_empty(), "cat may not, and ended with {}", other.status);
        Ok(())
    }

    /// Does `what` while threads open the denied file and one program after the other reads the guarded one; none of it may be answered wrongly.
    fn under_load(&self, what: impl FnOnce(&Diary) -> Outcome) -> Outcome {
        let diary = Diary::new();
        let stop = Arc::new(AtomicBool::new(false));
        let limit = Limit { time: Duration::from_mins(20), calls: u64::MAX };
        thread::scope(|scope| {
            let hammer = scope.spawn(|| -> Outcome<_> {
                lowest_priority()?;
                Ok(opens(&self.denied, THREADS, limit, &stop)?)
            });
            let guard = scope.spawn(|| -> Outcome<u32> {
                let mut rounds = 0;
                while !stop.load(Ordering::Relaxed) {
                    self.guard_holds()?;
                    rounds += 1;
                }
                Ok(rounds)
            });
            let done = what(&diary);
            stop.store(true, Ordering::Relaxed);
            let panicked = |_| Failure("a thread panicked".to_owned());
            let counted = hammer.join().map_err(panicked)??;
            let rounds = guard.join().map_err(panicked)?;
            done?;
            ensure!(rounds? > 3, "the guarded file was hardly read");
            ensure!(
                counted.opened == 0,
                "{} of {} denied opens succeeded; {}",
                counted.opened,
                counted.calls,
                counted.last_opened.map(|call| diary.before(&call)).unwrap_or_default()
            );
            ensure!(counted.calls > 100, "{counted:?}");
            Ok(())
        })
    }
}

fn kill(daemon: Daemon) -> Outcome {
    daemon.signal(Signal::SIGKILL)?;
    drop(daemon);
    Ok(())
}

/// Directories of runs.
fn runs() -> Outcome<Vec<PathBuf>> {
    if !Path::new(PINS).exists() {
        return Ok(Vec::new());
    }
    Ok(fs::read_dir(PINS)?.map(|entry| Ok(entry?.path())).collect::<std::io::Result<_>>()?)
}

/// A daemon that is killed, one that ends, and two that follow: no open succeeds, nobody is killed wrongly, no event comes twice.
pub(crate) fn without_gap(guest: &Guest) -> Outcome {
    let scene = Scene::new(guest)?;
    let first = scene.settings.start(guest)?;
    if !guest.variant.has(Feature::PerfEventLink) {
        return nothing_is_kept(&scene, first);
    }
    scene.guard_holds()?;
    let mut last = None;
    scene.under_load(|diary| {
        kill(first)?;
        diary.note("the first was killed");
        ensure!(runs()?.len() == 1, "{:?}", runs()?);
        thread::sleep(Duration::from_secs(1));
        let second = scene.settings.start(guest)?;
        diary.note("the second had started");
        taken_over(&second)?;
        let ended = second.stop()?;
        diary.note("the second had ended");
        ensure!(ended.status.code() == Some(0), "the daemon ended with {}; {}", ended.status, ended.stderr);
        ensure!(runs()?.len() == 1, "{:?}", runs()?);
        thread::sleep(Duration::from_secs(1));
        last = Some(scene.settings.start(guest)?);
        Ok(())
    })?;
    let mut last = last.ok_or_else(|| Failure("no daemon runs".to_owned()))?;
    let mut events = last.events()?;
    last.settle(&mut events)?;
    run(&["cat", &scene.denied.display().to_string()])?;
    let seen = last.settle(&mut events)?;
    let reported = seen.iter().filter(|event| event.of_policy("denied").is_some()).count();
    ensure!(reported == 1, "{reported} events of one denial");
    // one that keeps nothing leaves nothing, whatever was there before
    last.stop()?;
    let words = scene.settings.flags(&["--keep-sensors-on-exit=false"]);
    let closing = words.start(guest)?;
    scene_denies(&scene.denied)?;
    closing.stop()?;
    ensure!(runs()?.is_empty(), "{:?}", runs()?);
    must(&["cat", &scene.denied.display().to_string()])?;
    Ok(())
}

/// Waits until the daemon has released what an earlier one left.
pub(crate) fn taken_over(daemon: &Daemon) -> Outcome {
    eventually("end of the earlier daemon's programs", PATIENCE, || {
        Ok(daemon.log().contains("took over from an earlier daemon").then_some(()))
    })?;
    ensure!(runs()?.len() == 1, "{:?}", runs()?);
    Ok(())
}

fn scene_denies(path: &Path) -> Outcome {
    let reader = run(&["cat", &path.display().to_string()])?;
    ensure!(!reader.success() && reader.stdout.is_empty(), "cat ended with {}", reader.status);
    Ok(())
}

/// On a kernel whose kprobes end with their process the option says that it does nothing.
fn nothing_is_kept(scene: &Scene, daemon: Daemon) -> Outcome {
    ensure!(daemon.log().contains("--keep-sensors-on-exit has no effect"), "{}", daemon.log());
    scene.guard_holds()?;
    kill(daemon)?;
    ensure!(runs()?.is_empty(), "{:?}", runs()?);
    let path = scene.denied.display().to_string();
    eventually("end of the denial", PATIENCE, || Ok(run(&["cat", &path])?.success().then_some(())))
}

/// Daemons that are killed at any moment, also of their start: what was enforced is, and the next start is clean.
pub(crate) fn killed_at_any_moment(guest: &Guest) -> Outcome {
    let scene = Scene::new(guest)?;
    let programs = || Ok::<_, Failure>(bpf::ids(Object::Program)?.len());
    let first = scene.settings.start(guest)?;
    let usual = programs()?;
    kill(first)?;
    let (kills, ready) =
        if guest.variant.name == "6.12" { (KILLS, READY) } else { (FEWER_KILLS, OFTEN_READY) };
    let round = |diary: &Diary, number: u64| -> Outcome {
        diary.note(format!("{number} began"));
        if number.is_multiple_of(ready) {
            let daemon = scene.settings.start(guest)?;
            diary.note(format!("{number} had started"));
            return kill(daemon);
        }
        let mut command = scene.settings.command(&guest.folder)?;
        let mut child = command.stderr(std::process::Stdio::null()).spawn()?;
        // moments that are spread over the time, in an order of their own
        thread::sleep(Duration::from_millis(number * 7919 % MOMENTS));
        diary.note(format!("{number} is killed"));
        child.kill()?;
        child.wait()?;
        Ok(())
    };
    let rounds = |diary: &Diary| (0..u64::from(kills)).try_for_each(|number| round(diary, number));
    if guest.variant.has(Feature::PerfEventLink) {
        scene.under_load(rounds)?;
    } else {
        rounds(&Diary::new())?;
    }
    let last = scene.settings.start(guest)?;
    scene.guard_holds()?;
    eventually("as many programs as at first", PATIENCE, || Ok((programs()? == usual).then_some(())))?;
    let expected = usize::from(guest.variant.has(Feature::PerfEventLink));
    eventually("end of all earlier runs", PATIENCE, || Ok((runs()?.len() == expected).then_some(())))?;
    last.stop()?;
    // for the scenarios that follow
    scene.settings.flags(&["--keep-sensors-on-exit=false"]).start(guest)?.stop()?;
    eventually("end of all programs", PATIENCE, || Ok((programs()? == 0).then_some(())))
}
