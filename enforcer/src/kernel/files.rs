//! Files that policies hook: each opened once, looked at and then hooked through the same descriptor.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::Read as _;
use std::os::fd::{AsFd as _, BorrowedFd};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bpf_probes::attach::FileId;
use tracing_policy::files::{Binaries, BinaryFile, Hold};
use tracing_policy::policy::Policy;

/// Largest file that is read: of those that people hook, browsers and databases have some hundred megabytes.
const MOST_BYTES: u64 = 1 << 30;

/// An open file.
#[derive(Debug)]
struct OpenFile(File);

/// The files that are open for a policy, by what they are. A file stays open while a hook in it is.
#[derive(Debug, Default)]
pub(super) struct OpenFiles {
    files: Mutex<BTreeMap<FileId, Weak<OpenFile>>>,
}

impl OpenFiles {
    /// The files that a policy hooks, each read whole.
    pub(super) fn open_for(&self, policy: &Policy) -> Binaries {
        let mut binaries = Binaries::none();
        let mut paths: Vec<&str> = policy.binaries().collect();
        paths.sort_unstable();
        paths.dedup();
        for path in paths {
            binaries.insert(path, self.open(path));
        }
        binaries
    }

    fn open(&self, path: &str) -> Result<BinaryFile, String> {
        let absolute = std::path::absolute(path).map_err(|error| format!("{path}: {error}"))?;
        let (file, id, bytes) = read(&absolute)?;
        let opened = self.remember(id, file);
        Ok(BinaryFile {
            id,
            path: absolute.display().to_string(),
            bytes: bytes.into(),
            hold: Some(Hold::new(opened)),
        })
    }

    /// The open file, or the one that is open of it already.
    fn remember(&self, id: FileId, file: File) -> Arc<OpenFile> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.retain(|_, file| file.strong_count() > 0);
        if let Some(open) = files.get(&id).and_then(Weak::upgrade) {
            return open;
        }
        let opened = Arc::new(OpenFile(file));
        files.insert(id, Arc::downgrade(&opened));
        opened
    }

    /// Does something with the descriptor of an open file; `None` when it is not open.
    pub(super) fn with<T>(&self, id: FileId, act: impl FnOnce(BorrowedFd<'_>) -> T) -> Option<T> {
        let files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let open = files.get(&id).and_then(Weak::upgrade)?;
        drop(files);
        Some(act(open.0.as_fd()))
    }
}

/// Opens a regular file and reads it.
fn read(path: &Path) -> Result<(File, FileId, Vec<u8>), String> {
    let failed = |error: std::io::Error| format!("{}: {error}", path.display());
    let mut options = OpenOptions::new();
    // a FIFO or a terminal at the path must not hold the daemon up
    let file =
        options.read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(format!("{} is no regular file", path.display()));
    }
    let too_large = || format!("{} has more than {MOST_BYTES} bytes", path.display());
    if metadata.len() > MOST_BYTES {
        return Err(too_large());
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    (&file).take(MOST_BYTES + 1).read_to_end(&mut bytes).map_err(failed)?;
    if u64::try_from(bytes.len()).is_ok_and(|len| len > MOST_BYTES) {
        return Err(too_large());
    }
    Ok((file, FileId { device: metadata.dev(), inode: metadata.ino() }, bytes))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_the_same_under_all_names_and_stays_open_while_it_is_held() {
        let directory = tempfile::tempdir().unwrap();
        let (name, other) = (directory.path().join("a"), directory.path().join("b"));
        std::fs::write(&name, "first").unwrap();
        std::fs::hard_link(&name, &other).unwrap();
        let files = OpenFiles::default();
        let first = files.open(name.to_str().unwrap()).unwrap();
        let second = files.open(other.to_str().unwrap()).unwrap();
        assert_eq!((first.id, &*first.bytes), (second.id, b"first".as_slice()));
        assert_ne!(first.path, second.path);
        let id = first.id;
        // another file under the first one's name is another file
        std::fs::remove_file(&name).unwrap();
        std::fs::write(&name, "other").unwrap();
        assert_ne!(files.open(name.to_str().unwrap()).unwrap().id, id);
        assert!(files.with(id, |_| ()).is_some());
        drop((first, second));
        assert!(files.with(id, |_| ()).is_none());
    }

    #[test]
    fn what_is_no_regular_file_is_refused_at_once() {
        let directory = tempfile::tempdir().unwrap();
        let fifo = directory.path().join("fifo");
        nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRUSR).unwrap();
        let files = OpenFiles::default();
        for (path, words) in [(fifo.to_str().unwrap(), "no regular file"), ("/no/such", "No such file")] {
            let error = files.open(path).unwrap_err();
            assert!(error.starts_with(path) && error.contains(words), "{error}");
        }
        assert!(files.open(directory.path().to_str().unwrap()).unwrap_err().contains("no regular file"));
    }
}
