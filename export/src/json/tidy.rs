//! What becomes of files put aside: too many are removed, the others compressed. On a thread of its own, so that events go on.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::backup::{Backup, COMPRESSED, Naming, State, UNFINISHED};
use super::rotation::Rotation;

/// Bytes that are compressed between two looks at whether to stop.
const PIECE: usize = 64 << 10;

/// Keeps the files put aside in order. Dropping it stops a compression, which the next start takes up again.
#[derive(Debug)]
pub(super) struct Tidy {
    naming: Naming,
    shared: Arc<Mutex<Shared>>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Debug, Default)]
struct Shared {
    /// What is to be done, unless it is being done.
    asked: Option<Rotation>,
    running: bool,
    stop: bool,
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Tidy {
    pub(super) fn new(naming: Naming) -> Self {
        Self { naming, shared: Arc::default(), thread: None }
    }

    /// Looks after the files, now or when it has done so for an earlier call.
    ///
    /// # Errors
    ///
    /// Where no thread can be made; what is left undone is done after the next call.
    pub(super) fn start(&mut self, rotation: Rotation) -> io::Result<()> {
        if rotation.backups == 0 && !rotation.compress {
            return Ok(());
        }
        let mut shared = lock(&self.shared);
        shared.asked = Some(rotation);
        if std::mem::replace(&mut shared.running, true) {
            return Ok(());
        }
        drop(shared);
        self.join();
        let (naming, state) = (self.naming.clone(), Arc::clone(&self.shared));
        match thread::Builder::new().name("tidy".to_owned()).spawn(move || run(&naming, &state)) {
            Ok(thread) => self.thread = Some(thread),
            Err(error) => {
                lock(&self.shared).running = false;
                return Err(error);
            }
        }
        Ok(())
    }

    /// Waits until all that was asked for is done.
    fn join(&mut self) {
        if let Some(thread) = self.thread.take() {
            // A panic has left files as they were; the next call takes them up.
            drop(thread.join());
        }
    }

    #[cfg(test)]
    pub(super) fn finish(&mut self) {
        self.join();
    }
}

impl Drop for Tidy {
    fn drop(&mut self) {
        lock(&self.shared).stop = true;
        self.join();
    }
}

fn run(naming: &Naming, shared: &Mutex<Shared>) {
    loop {
        let mut state = lock(shared);
        let Some(rotation) = state.asked.take().filter(|_| !state.stop) else {
            state.running = false;
            return;
        };
        drop(state);
        // What fails now (no room, no right) is tried again after the next rotation; the lines are all there.
        drop(tidy(naming, rotation, &|| lock(shared).stop));
    }
}

/// Removes what is too much, and compresses the rest where that is wanted.
fn tidy(naming: &Naming, rotation: Rotation, stopped: &dyn Fn() -> bool) -> io::Result<()> {
    let (unfinished, backups): (Vec<Backup>, Vec<Backup>) =
        naming.backups()?.into_iter().partition(|backup| backup.state == State::Unfinished);
    let mut result = remove_all(&unfinished);
    let mut stamps: Vec<&str> = backups.iter().map(|backup| backup.stamp.as_str()).collect();
    stamps.dedup();
    let kept = if rotation.backups == 0 { usize::MAX } else { rotation.backups };
    let oldest = stamps.into_iter().take(kept).next_back().unwrap_or_default().to_owned();
    let (kept, too_old): (Vec<Backup>, Vec<Backup>) =
        backups.into_iter().partition(|backup| backup.stamp >= oldest);
    result = result.and(remove_all(&too_old));
    if rotation.compress {
        for backup in kept.iter().filter(|backup| backup.state == State::Plain) {
            result = result.and(compress(&backup.path, stopped));
        }
    }
    result
}

fn remove_all(backups: &[Backup]) -> io::Result<()> {
    backups.iter().map(|backup| fs::remove_file(&backup.path)).fold(Ok(()), Result::and)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Replaces `path` by its compressed form, which is whole on the disk before `path` goes.
fn compress(path: &Path, stopped: &dyn Fn() -> bool) -> io::Result<()> {
    let unfinished = with_suffix(path, UNFINISHED);
    let result = write_compressed(path, &unfinished, stopped);
    if result.is_err() {
        // Where it cannot be removed either, the next run does.
        drop(fs::remove_file(&unfinished));
        return result;
    }
    fs::rename(&unfinished, with_suffix(path, COMPRESSED))?;
    fs::remove_file(path)
}

fn write_compressed(from: &Path, to: &Path, stopped: &dyn Fn() -> bool) -> io::Result<()> {
    let mut source = File::open(from)?;
    let metadata = source.metadata()?;
    let mode = metadata.permissions().mode();
    let target = OpenOptions::new().write(true).create_new(true).mode(mode & 0o600).open(to)?;
    target.set_permissions(PermissionsExt::from_mode(mode))?;
    // Only root can give files away; an own file need not be.
    drop(fchown(&target, Some(metadata.uid()), Some(metadata.gid())));
    let mut encoder = GzEncoder::new(target, Compression::default());
    let mut piece = vec![0; PIECE];
    loop {
        if stopped() {
            return Err(io::ErrorKind::Interrupted.into());
        }
        match source.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => encoder.write_all(&piece[..count])?,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    encoder.finish()?.sync_all()
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::fs::{self, File, Permissions};
    use std::io::Read as _;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;

    use flate2::read::GzDecoder;

    use super::super::backup::Naming;
    use super::super::rotation::Rotation;
    use super::{Tidy, tidy};

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn backups(folder: &Path, count: u32) -> Naming {
        for number in 0..count {
            let path = folder.join(format!("e-2026-11-23T15-37-4{number}.000.log"));
            fs::write(&path, format!("{{\"number\":{number}}}\n").repeat(10_000)).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        }
        Naming::of(&folder.join("e.log"))
    }

    // proves: EXP-02 (backups)
    #[test]
    fn the_newest_backups_are_kept_compressed_or_not() {
        let folder = tempfile::tempdir().unwrap();
        let naming = backups(folder.path(), 4);
        fs::write(folder.path().join("e-2026-11-23T15-37-43.000.log.gz"), "").unwrap();
        let rotation = Rotation { backups: 2, ..Rotation::default() };
        tidy(&naming, rotation, &|| false).unwrap();
        let expected = [
            "e-2026-11-23T15-37-42.000.log",
            "e-2026-11-23T15-37-43.000.log",
            "e-2026-11-23T15-37-43.000.log.gz",
        ];
        assert_eq!(names(folder.path()), expected, "two forms of one file count once");
        tidy(&naming, Rotation { backups: 0, ..rotation }, &|| false).unwrap();
        assert_eq!(names(folder.path()).len(), 3, "0 keeps all");
    }

    // proves: EXP-02 (gzip)
    #[test]
    fn a_compressed_backup_holds_the_same_and_has_the_same_mode() {
        let folder = tempfile::tempdir().unwrap();
        let naming = backups(folder.path(), 2);
        fs::write(folder.path().join("e-2026-11-23T15-37-41.000.log.gz.tmp"), "torn").unwrap();
        let mut tidy = Tidy::new(naming);
        tidy.start(Rotation { compress: true, ..Rotation::default() }).unwrap();
        tidy.finish();
        let expected = ["e-2026-11-23T15-37-40.000.log.gz", "e-2026-11-23T15-37-41.000.log.gz"];
        assert_eq!(names(folder.path()), expected);
        let file = File::open(folder.path().join(expected[1])).unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o7777, 0o640);
        assert!(file.metadata().unwrap().len() < 10_000);
        let mut text = String::new();
        GzDecoder::new(file).read_to_string(&mut text).unwrap();
        assert_eq!(text, "{\"number\":1}\n".repeat(10_000));
    }

    #[test]
    fn a_compression_that_is_stopped_leaves_the_file_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let naming = backups(folder.path(), 1);
        let rotation = Rotation { compress: true, ..Rotation::default() };
        assert!(tidy(&naming, rotation, &|| true).is_err());
        assert_eq!(names(folder.path()), ["e-2026-11-23T15-37-40.000.log"]);
    }
}
