//! What stays in the kernel when the daemon ends, and what an earlier one left there.
//!
//! All that keeps a program running has a name in a directory of this run, `BPF-DIR/run-N`: the links, and the slots behind stubs (the kernel empties an array of programs
//! that nobody holds or names). So a daemon that ends, however that may be, leaves its programs as they are. The next one brings up its own beside them and then
//! takes the names away: for some moments there are both, so that nothing is let through. Nobody reads the rings of the old ones, so that nothing
//! is told twice; and nothing of an old one is read or changed, so that its version does not matter.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use bpf_probes::kernel::{Feature, KernelView};
use bpf_probes::load::{
    BPF_FS_MAGIC, Link, Map, Pin, PinError, PinFolder, replaced_trampolines, wait_for_programs,
};
use nix::sys::statfs::statfs;
use nix::time::{ClockId, clock_gettime};

use super::setup::mount_kernel_fs;
use crate::config::KeepSettings;

/// Where BPF file systems are mounted.
const BPF_FS: &str = "/sys/fs/bpf";

/// Links that hooks hang on; the first to go, for they ask what the base programs know.
const HOOKS: &str = "hooks";
/// Links of programs that change registers of user code, which would be changed twice.
const REWRITES: &str = "rewrites";
/// Links of base programs.
const BASE: &str = "base";

/// A directory that a run has once it does all that it is to do.
const COMPLETE: &str = "complete";
/// Begins the names of runs.
const RUN: &str = "run-";

/// Ends the names of slots behind stubs.
const SLOTS: &str = "_slots";
/// How long to wait for threads in trampolines: longer than one that can run waits for a CPU. One that sleeps in a function goes on past the program that would have judged it.
const IN_TRAMPOLINES: Duration = Duration::from_mins(1);
/// Between the first two looks at the trampolines; each pause is twice the one before, for a look reads all symbols of the kernel.
const LOOK: Duration = Duration::from_millis(250);
/// A list of symbols that changes while it is read can lack one: so many looks must agree.
const LOOKS: u32 = 2;
/// How long to wait for programs on a machine that cannot tell when they have ended.
const UNWAITED: Duration = Duration::from_secs(1);

/// Why nothing can be kept.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// There is no BPF file system.
    #[error("--keep-sensors-on-exit needs a BPF file system at {BPF_FS}: {source}")]
    NoFileSystem {
        /// Why not.
        source: io::Error,
    },
    /// A pin failed.
    #[error("--keep-sensors-on-exit: {0}")]
    Pin(#[from] PinError),
}

/// The names of this run, and the place where others may have left theirs.
#[derive(Debug)]
pub struct Keep {
    /// `None`: there is no such file system, so that nobody left anything.
    root: Option<PathBuf>,
    /// `None`: everything ends with the daemon.
    folder: Option<Arc<PinFolder>>,
}

/// What a link is for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Keeping {
    /// Base programs and what records for policies.
    Base,
    /// A hook of policies.
    Hook,
    /// A hook that changes registers of user code.
    Rewrite,
}

impl Keep {
    /// Makes the directory of this run if programs are to stay.
    ///
    /// # Errors
    /// See [`KeepError`]; a kernel whose kprobes cannot stay is no error but a warning, and nothing stays.
    pub fn open(settings: &KeepSettings, view: &KernelView) -> Result<Self, KeepError> {
        let there = bpf_fs(Path::new(BPF_FS), settings.sensors);
        let root = there.as_ref().ok().map(|path| path.join(&settings.folder));
        if !settings.sensors {
            return Ok(Self { root, folder: None });
        }
        let path = there.map_err(|source| KeepError::NoFileSystem { source })?;
        if !view.facts().features.get(Feature::PerfEventLink).is_yes() {
            tracing::warn!(
                "--keep-sensors-on-exit has no effect: kprobes of this kernel end with the daemon (before 5.15), and denials without the programs that tell processes apart would be wrong"
            );
            return Ok(Self { root, folder: None });
        }
        let folder = PinFolder::create(path.join(&settings.folder).join(run_name()))?;
        for part in [HOOKS, REWRITES, BASE] {
            folder.make_folder(part)?;
        }
        let keep = Self { root, folder: Some(folder) };
        keep.release_superseded(wait_for_callers);
        Ok(keep)
    }

    /// Names a link, if links are to stay. `name` is unlike that of any other of its kind.
    ///
    /// # Errors
    /// See [`PinError`].
    pub(super) fn link(&self, link: &mut Link, what: Keeping, name: &str) -> Result<(), PinError> {
        let Some(folder) = &self.folder else { return Ok(()) };
        let place = match what {
            Keeping::Base => BASE,
            Keeping::Hook => HOOKS,
            Keeping::Rewrite => REWRITES,
        };
        link.pin(folder, &format!("{place}/{name}"))
    }

    /// Names the slots behind a stub, if links are to stay.
    ///
    /// # Errors
    /// See [`PinError`].
    pub(super) fn slots(&self, map: &Map, name: &str) -> Result<Option<Pin>, PinError> {
        self.folder.as_ref().map(|folder| folder.pin_map(map, &format!("{HOOKS}/{name}{SLOTS}"))).transpose()
    }

    /// The daemon ends: from here on its programs stay whatever is dropped. If nothing is to stay, nothing of earlier ones does.
    pub fn leave(&self) {
        match &self.folder {
            Some(folder) => folder.keep(),
            None => {
                release(&self.others());
            }
        }
    }

    /// Ends what earlier daemons left running, now that this one does all that they did: not at once, but when no thread can be on its way past the programs of this
    /// one any more. That is waited for on a thread of its own.
    pub fn release_others(&self) {
        if let Some(folder) = &self.folder
            && let Err(error) = folder.make_folder(COMPLETE)
        {
            tracing::warn!("{error}");
        }
        let others = self.others();
        if others.is_empty() {
            return;
        }
        let waits = thread::Builder::new().name("take-over".to_owned()).spawn(move || {
            wait_for_callers();
            let names = release(&others);
            tracing::info!(
                names,
                "took over from an earlier daemon: what it had left in the kernel is released"
            );
        });
        if let Err(error) = waits {
            tracing::warn!("what an earlier daemon left in the kernel stays beside this one: {error}");
        }
    }

    /// Ends runs of earlier daemons that add nothing to a later one: a daemon that is started and killed again and again leaves two at most.
    ///
    /// The latest that came up goes on, and if none did, the latest. One that changes registers of user code may have ended what an earlier one changed there: it goes on too.
    /// Calls `wait` before anything that came up ends.
    fn release_superseded(&self, wait: impl FnOnce()) {
        let mut runs: Vec<PathBuf> = self.others();
        runs.retain(|path| moment_of(path).is_some());
        runs.sort_by_key(|path| moment_of(path));
        let latest = runs.iter().rposition(|run| run.join(COMPLETE).exists());
        let Some(latest) = latest.or_else(|| runs.len().checked_sub(1)) else { return };
        runs.remove(latest);
        runs.retain(|run| count(&run.join(REWRITES)) == 0);
        if runs.iter().any(|run| run.join(COMPLETE).exists()) {
            wait();
        }
        release(&runs);
    }

    /// Ends those programs of earlier daemons that change registers, right before ones of this daemon do.
    pub(super) fn release_rewrites_of_others(&self) {
        for other in self.others() {
            remove(&other.join(REWRITES));
        }
    }

    /// What is in the directory and not ours; the base programs of the other make come last.
    fn others(&self) -> Vec<PathBuf> {
        let Some(root) = &self.root else { return Vec::new() };
        let Ok(entries) = fs::read_dir(root) else { return Vec::new() };
        let ours = self.folder.as_ref().map(|folder| folder.path());
        let mut others: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
        others.retain(|path| Some(path.as_path()) != ours);
        others.sort_by_key(|path| (!path.is_dir(), path.ends_with("__base__"), path.clone()));
        others
    }
}

/// Waits until no thread can come back into what was there before the programs of this run were attached: into a program, or into a trampoline that calls only older ones.
///
/// On 7.2 a thread that is preempted in such a trampoline passes by a program that is detached meanwhile, and never meets the new one: 10 of 1 323 790 denied opens succeeded so in 60
/// restarts under 16 threads.
fn wait_for_callers() {
    if let Err(error) = wait_for_programs() {
        tracing::debug!("{error}");
        thread::sleep(UNWAITED);
    }
    let begun = Instant::now();
    let (mut looks, mut pause) = (0, LOOK);
    while looks < LOOKS && begun.elapsed() < IN_TRAMPOLINES {
        let left = IN_TRAMPOLINES.saturating_sub(begun.elapsed());
        match replaced_trampolines() {
            Ok(Some(0)) => looks += 1,
            Ok(Some(_)) => {
                looks = 0;
                thread::sleep(pause.min(left));
                pause *= 2;
            }
            // the kernel does not say, and will not
            Ok(None) => thread::sleep(left),
            Err(error) => {
                tracing::debug!("/proc/kallsyms: {error}");
                thread::sleep(left);
            }
        }
    }
    tracing::debug!(
        milliseconds = begun.elapsed().as_millis(),
        clear = looks == LOOKS,
        "waited for threads in trampolines"
    );
}

/// Takes the names of runs away; how many that were. Base programs go after the hooks that ask them.
fn release(runs: &[PathBuf]) -> usize {
    let mut released = 0;
    for run in runs {
        for part in [HOOKS, REWRITES] {
            released += remove(&run.join(part));
        }
        released += remove(run);
    }
    released
}

/// When a run began, in nanoseconds since the machine was started; `None` for what is no run of ours.
fn moment_of(run: &Path) -> Option<u128> {
    run.file_name()?.to_str()?.strip_prefix(RUN)?.split('-').next()?.parse().ok()
}

/// Unlike the name of any other run since the machine was started.
fn run_name() -> String {
    format!("{RUN}{}-{}", moment(), std::process::id())
}

/// Nanoseconds since the machine was started.
fn moment() -> u128 {
    clock_gettime(ClockId::CLOCK_BOOTTIME).map(Duration::from).unwrap_or_default().as_nanos()
}

/// Removes all names below `path`, and itself; how many. Names of links and maps are the only files there can be in such a file system.
fn remove(path: &Path) -> usize {
    let names = count(path);
    let removed = if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) };
    match removed {
        Ok(()) => names,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => {
            tracing::warn!("{} of an earlier daemon stays: {error}", path.display());
            0
        }
    }
}

/// Names below a path; directories are at most five deep, so is upstream's layout.
fn count(path: &Path) -> usize {
    fn below(path: &Path, deep: u32) -> usize {
        match fs::read_dir(path) {
            Ok(entries) if deep > 0 => entries.flatten().map(|entry| below(&entry.path(), deep - 1)).sum(),
            Ok(_) => 0,
            Err(_no_directory) => usize::from(path.symlink_metadata().is_ok()),
        }
    }
    below(path, 6)
}

/// The BPF file system at `place`, mounted there if need be and `wanted`.
fn bpf_fs(place: &Path, wanted: bool) -> io::Result<PathBuf> {
    let is_there = || statfs(place).is_ok_and(|fs| fs.filesystem_type().0 == i64::from(BPF_FS_MAGIC));
    if !is_there() {
        if !wanted {
            return Err(io::ErrorKind::NotFound.into());
        }
        mount_kernel_fs("bpf", place, Some("mode=0700"))?;
    }
    Ok(place.to_owned())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn keep(root: &Path) -> Keep {
        Keep { root: Some(root.to_owned()), folder: Some(PinFolder::create(root.join(run_name())).unwrap()) }
    }

    #[test]
    fn what_others_left_is_released_and_nothing_of_ours() {
        let root = tempfile::tempdir().unwrap();
        for path in [
            "run-1/hooks/1",
            "run-1/hooks/1_slots",
            "run-1/base/0",
            "policy/sensor/program/link",
            "__base__/exec/prog",
        ] {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        fs::write(root.path().join("execve_map"), "").unwrap();
        let keep = keep(root.path());
        let ours = keep.folder.as_ref().unwrap().path().join("pin");
        fs::write(&ours, "").unwrap();
        assert_eq!(release(&keep.others()), 6);
        assert!(ours.exists());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
        assert_eq!(release(&keep.others()), 0);
    }

    /// Runs that are there, of those that `names` says, `+` those that came up and `*` those that change registers.
    fn remaining(names: &[&str]) -> (Vec<String>, bool) {
        let root = tempfile::tempdir().unwrap();
        for name in names {
            let run = root.path().join(name.trim_end_matches(['+', '*']));
            fs::create_dir_all(run.join(REWRITES)).unwrap();
            if name.contains('+') {
                fs::create_dir(run.join(COMPLETE)).unwrap();
            }
            if name.contains('*') {
                fs::write(run.join(REWRITES).join("0"), "").unwrap();
            }
        }
        let keep = keep(root.path());
        let mut waited = false;
        keep.release_superseded(|| waited = true);
        let mut left: Vec<String> =
            keep.others().iter().map(|path| path.file_name().unwrap().to_str().unwrap().to_owned()).collect();
        left.sort();
        (left, waited)
    }

    #[test]
    fn of_runs_that_were_killed_the_latest_that_came_up_goes_on() {
        let at_once = |names: &[&str], left: &[&str]| {
            assert_eq!(remaining(names), (left.iter().map(|&name| name.to_owned()).collect(), false));
        };
        at_once(&[], &[]);
        at_once(&["run-9-1", "run-10-1"], &["run-10-1"]);
        at_once(&["run-9-1", "run-10-1+", "run-11-1", "run-100-1"], &["run-10-1"]);
        at_once(&["run-9-1+", "run-11-1*", "policy", "run-x"], &["policy", "run-11-1", "run-9-1", "run-x"]);
    }

    #[test]
    fn of_two_runs_that_came_up_the_later_goes_on_and_the_other_is_waited_for() {
        assert_eq!(remaining(&["run-9-1+", "run-10-1+"]), (vec!["run-10-1".to_owned()], true));
    }

    #[test]
    fn a_daemon_that_keeps_nothing_leaves_nothing() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("run-1-1/hooks")).unwrap();
        Keep { root: Some(root.path().to_owned()), folder: None }.leave();
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
    }

    #[test]
    fn the_base_of_the_other_make_goes_last() {
        let root = tempfile::tempdir().unwrap();
        for path in ["__base__", "policy"] {
            fs::create_dir(root.path().join(path)).unwrap();
        }
        fs::write(root.path().join("a_map"), "").unwrap();
        let others = keep(root.path()).others();
        let names: Vec<_> = others.iter().map(|path| path.file_name().unwrap().to_str().unwrap()).collect();
        assert_eq!(names, ["policy", "__base__", "a_map"]);
    }

    #[test]
    fn rewrites_alone_can_be_released() {
        let root = tempfile::tempdir().unwrap();
        for path in ["run-1/hooks", "run-1/rewrites"] {
            fs::create_dir_all(root.path().join(path)).unwrap();
        }
        keep(root.path()).release_rewrites_of_others();
        assert!(!root.path().join("run-1/rewrites").exists());
        assert!(root.path().join("run-1/hooks").exists());
    }

    #[test]
    fn a_directory_of_a_run_goes_with_it_unless_it_is_kept() {
        let root = tempfile::tempdir().unwrap();
        drop(keep(root.path()));
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 0);
        let kept = keep(root.path());
        kept.leave();
        drop(kept);
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
    }

    #[test]
    fn where_no_such_file_system_is_nothing_was_left() {
        let place = tempfile::tempdir().unwrap();
        assert!(bpf_fs(place.path(), false).is_err());
    }
}
