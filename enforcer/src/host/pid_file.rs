//! The pid file: a lock while the daemon lives, and its pid for whoever wants to know.
//!
//! The lock is the truth, the number is for people. The file is removed while it is locked; whoever locked a file that was removed meanwhile
//! looks again.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};

/// How often a file that another daemon removes meanwhile is tried.
const MOST_TRIES: usize = 100;

/// Why the pid file is not ours.
#[derive(Debug, thiserror::Error)]
pub enum PidFileError {
    /// Another daemon runs.
    #[error("another instance is running{}; it holds {path}. Stop it, or give this one another --run-dir", of_pid(.pid.as_ref()))]
    Running {
        /// The file.
        path: PathBuf,
        /// The other's pid, if the file says.
        pid: Option<u32>,
    },
    /// The file cannot be used.
    #[error("the pid file {path} cannot be used: {source}")]
    Io {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

fn of_pid(pid: Option<&u32>) -> String {
    pid.map(|pid| format!(" with pid {pid}")).unwrap_or_default()
}

/// Our hold on the pid file; dropping it removes the file and frees the place.
#[derive(Debug)]
pub struct PidFile {
    path: PathBuf,
    lock: Flock<File>,
}

impl PidFile {
    /// Takes the file for the process `pid`. `is_daemon` tells whether a pid left in an unlocked file is a daemon of another make, which
    /// knows no lock.
    ///
    /// # Errors
    /// [`PidFileError::Running`], with nothing changed; [`PidFileError::Io`].
    pub fn take(path: &Path, pid: u32, is_daemon: impl Fn(u32) -> bool) -> Result<Self, PidFileError> {
        let failed = |source| PidFileError::Io { path: path.to_owned(), source };
        for _ in 0..MOST_TRIES {
            let mut how = OpenOptions::new();
            how.read(true).write(true).create(true).truncate(false).mode(0o644);
            let mut file = how.open(path).map_err(failed)?;
            let written = read_pid(&mut file);
            let mut lock = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => lock,
                Err((_, Errno::EWOULDBLOCK)) => {
                    return Err(PidFileError::Running { path: path.to_owned(), pid: written });
                }
                Err((_, error)) => return Err(failed(error.into())),
            };
            if !is_at(&lock, path) {
                continue;
            }
            if let Some(other) = written.filter(|other| *other != pid && is_daemon(*other)) {
                return Err(PidFileError::Running { path: path.to_owned(), pid: Some(other) });
            }
            write_pid(&mut lock, pid).map_err(failed)?;
            return Ok(Self { path: path.to_owned(), lock });
        }
        Err(failed(io::ErrorKind::ResourceBusy.into()))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if is_at(&self.lock, &self.path)
            && let Err(error) = fs::remove_file(&self.path)
        {
            tracing::warn!("the pid file {} stays behind: {error}", self.path.display());
        }
    }
}

/// Whether an open file is the one at `path`.
fn is_at(file: &File, path: &Path) -> bool {
    let same =
        |ours: &fs::Metadata, there: &fs::Metadata| (ours.dev(), ours.ino()) == (there.dev(), there.ino());
    matches!((file.metadata(), fs::metadata(path)), (Ok(ours), Ok(there)) if same(&ours, &there))
}

fn read_pid(file: &mut File) -> Option<u32> {
    let mut text = String::new();
    file.take(32).read_to_string(&mut text).ok()?;
    text.trim().parse().ok()
}

fn write_pid(file: &mut File, pid: u32) -> io::Result<()> {
    file.rewind()?;
    file.set_len(0)?;
    write!(file, "{pid}")?;
    file.flush()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    fn nobody(_: u32) -> bool {
        false
    }

    // proves: INST-10
    #[test]
    fn a_second_daemon_is_refused_and_changes_nothing() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tetragon.pid");
        let first = PidFile::take(&path, 41, nobody).unwrap();
        let error = PidFile::take(&path, 42, nobody).unwrap_err();
        assert!(matches!(error, PidFileError::Running { pid: Some(41), .. }));
        assert!(error.to_string().contains("with pid 41"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "41");
        drop(first);
        assert!(!path.exists());
        PidFile::take(&path, 42, nobody).unwrap();
    }

    // proves: INST-10
    #[test]
    fn a_file_that_a_crash_left_is_taken_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tetragon.pid");
        fs::write(&path, "4000000\n").unwrap();
        let _file = PidFile::take(&path, 42, nobody).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "42");
    }

    #[test]
    fn a_daemon_of_another_make_is_not_disturbed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tetragon.pid");
        fs::write(&path, "7").unwrap();
        let error = PidFile::take(&path, 42, |pid| pid == 7).unwrap_err();
        assert!(matches!(error, PidFileError::Running { pid: Some(7), .. }));
        assert_eq!(fs::read_to_string(&path).unwrap(), "7");
    }

    #[test]
    fn a_file_put_in_place_of_ours_is_not_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tetragon.pid");
        let first = PidFile::take(&path, 41, nobody).unwrap();
        fs::remove_file(&path).unwrap();
        let _second = PidFile::take(&path, 42, nobody).unwrap();
        drop(first);
        assert_eq!(fs::read_to_string(&path).unwrap(), "42");
    }
}
