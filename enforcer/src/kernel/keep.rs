//! What stays in the kernel when the daemon ends, and what an earlier one left there.
//!
//! All that keeps a program running has a name in a directory of this run, `BPF-DIR/run-N`: the links, and the slots behind stubs (the kernel empties an array of programs
//! that nobody holds or names). So a daemon that ends, however that may be, leaves its programs as they are. The next one brings up its own beside them and then
//! takes the names away: for some moments there are both, so that nothing is let through. Nobody reads the rings of the old ones, so that nothing
//! is told twice; and nothing of an old one is read or changed, so that its version does not matter.

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use bpf_probes::kernel::{Feature, KernelView};
use bpf_probes::load::{BPF_FS_MAGIC, Link, Map, Pin, PinError, PinFolder, hold_pinned, wait_for_programs};
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

/// Slots of earlier runs that stay a while longer.
const OUTLASTING: &str = "outlasting";

/// Ends the names of slots behind stubs.
const SLOTS: &str = "_slots";
/// How long slots of an earlier run stay filled once their names are gone: longer than a thread that can run waits for a CPU.
const OUTLAST: Duration = Duration::from_secs(10);
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
        Ok(Self { root, folder: Some(folder) })
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

    /// From here on the programs stay whatever is dropped: the daemon ends.
    pub fn leave(&self) {
        if let Some(folder) = &self.folder {
            folder.keep();
        }
    }

    /// Ends what earlier daemons left running, once this one does all that they did. Returns how many names that were.
    pub fn release_others(&self) -> usize {
        let others = self.others();
        let slots: Vec<PathBuf> = others.iter().flat_map(|other| slots_of(other)).collect();
        let mut released = self.outlast(&slots);
        for other in others {
            // what asks the base programs goes before them
            for part in [HOOKS, REWRITES] {
                released += remove(&other.join(part));
            }
            released += remove(&other);
        }
        released
    }

    /// Lets calls that met the old stubs alone be judged by what is behind them; how many names it took from where they were.
    ///
    /// A thread can be preempted in a stub, or right before it, and come back when the name of the slots is gone, which empties them: it would pass unjudged (10 of
    /// 1 323 790 denied opens on 7.2, in 60 restarts under 16 threads, before this was here). Those inside a program are waited for. Those in the few instructions before it
    /// nobody can wait for, so the slots stay a while longer, under other names: a daemon that is killed in that time leaves them to the next.
    fn outlast(&self, slots: &[PathBuf]) -> usize {
        if slots.is_empty() {
            return 0;
        }
        if let Err(error) = wait_for_programs() {
            tracing::debug!("{error}");
            thread::sleep(UNWAITED);
        }
        let (outlasting, taken) = self.take(slots);
        let waits = thread::Builder::new().name("outlast".to_owned()).spawn(move || {
            thread::sleep(OUTLAST);
            outlasting.end();
        });
        if let Err(error) = waits {
            tracing::warn!("the slots of an earlier daemon are not kept as long as they should be: {error}");
        }
        taken
    }

    /// Takes slots over from the runs that are about to go; how many names that were.
    fn take(&self, slots: &[PathBuf]) -> (Outlasting, usize) {
        let folder = self.folder.as_ref().map(|folder| folder.path().join(OUTLASTING));
        let named = folder.filter(|folder| match fs::create_dir(folder) {
            Ok(()) => true,
            Err(error) => {
                tracing::warn!("{}: {error}", folder.display());
                false
            }
        });
        let mut outlasting = Outlasting { named, held: Vec::new() };
        let mut taken = 0;
        for path in slots {
            let name = format!("{}-{taken}{SLOTS}", moment());
            let renamed = outlasting.named.as_ref().is_some_and(|to| fs::rename(path, to.join(name)).is_ok());
            taken += usize::from(renamed);
            if !renamed {
                outlasting.held.extend(hold_pinned(path).ok());
            }
        }
        (outlasting, taken)
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

/// The names of slots behind stubs of another run, and of those that it took from earlier ones.
fn slots_of(other: &Path) -> Vec<PathBuf> {
    let names =
        [HOOKS, REWRITES, OUTLASTING].into_iter().filter_map(|part| fs::read_dir(other.join(part)).ok());
    let paths = names.flatten().flatten().map(|name| name.path());
    paths.filter(|path| path.as_os_str().as_bytes().ends_with(SLOTS.as_bytes())).collect()
}

/// What keeps slots of earlier runs filled.
#[derive(Debug, Default)]
struct Outlasting {
    /// Where they have names: also if the daemon is killed meanwhile.
    named: Option<PathBuf>,
    /// Those without, where nothing is to stay behind this daemon.
    held: Vec<OwnedFd>,
}

impl Outlasting {
    fn end(self) {
        drop(self.held);
        if let Some(folder) = self.named {
            remove(&folder);
        }
    }
}

/// Unlike the name of any other run since the machine was started.
fn run_name() -> String {
    format!("run-{}-{}", moment(), std::process::id())
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
        assert_eq!(keep.release_others(), 6);
        assert!(ours.exists());
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
        assert_eq!(keep.release_others(), 0);
    }

    #[test]
    fn slots_of_a_daemon_that_took_over_and_was_killed_are_taken_over_once_more() {
        let root = tempfile::tempdir().unwrap();
        let first = root.path().join("run-1/hooks");
        fs::create_dir_all(&first).unwrap();
        fs::write(first.join("1_slots"), "of the first").unwrap();
        let names = |keep: &Keep| -> Vec<PathBuf> {
            let folder = keep.folder.as_ref().unwrap().path().join(OUTLASTING);
            fs::read_dir(folder).unwrap().map(|name| name.unwrap().path()).collect()
        };
        let second = keep(root.path());
        assert_eq!(second.release_others(), 1);
        assert!(!first.exists() && names(&second).len() == 1);
        let third = keep(root.path());
        assert_eq!(third.release_others(), 1);
        let kept = names(&third);
        assert_eq!(fs::read_to_string(&kept[0]).unwrap(), "of the first");
        assert_eq!(fs::read_dir(root.path()).unwrap().count(), 1);
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
