//! Functions of programs, from the files that are mapped in processes.
//!
//! A file is opened as the process has it mapped (`/proc/PID/map_files`), whatever its path means by now, in a thread that may be left waiting. What its tables
//! say is kept for as long as the file stays the same and there is room.

use std::fs::{File, Metadata, OpenOptions};
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{FileExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tracing_policy::binary::{FileOffset, Functions};

/// Files whose functions are kept.
const MOST_FILES: usize = 256;
/// Bytes that are kept; the tables of a large program with all its symbols have some 30 MB.
const MOST_BYTES: usize = 64 << 20;

/// What is asked in a helper thread.
#[derive(Debug)]
pub(super) struct Question {
    /// Names in `/proc/PID/map_files`, and offsets in the files.
    pub(super) places: Vec<(PathBuf, u64)>,
    pub(super) known: Arc<Known>,
}

/// Which file, and as of when.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Identity {
    device: u64,
    inode: u64,
    len: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Identity {
    fn of(metadata: &Metadata) -> Self {
        Self {
            device: metadata.dev(),
            inode: metadata.ino(),
            len: metadata.len(),
            modified: (metadata.mtime(), metadata.mtime_nsec()),
            changed: (metadata.ctime(), metadata.ctime_nsec()),
        }
    }
}

/// The functions of files, the one looked at last at the end. Those of a file that is being read are none as yet.
#[derive(Debug, Default)]
pub(super) struct Known {
    files: Mutex<Vec<(Identity, Option<Arc<Functions>>)>>,
}

impl Known {
    fn files(&self) -> MutexGuard<'_, Vec<(Identity, Option<Arc<Functions>>)>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The functions of a file; `Err` where nobody has read it, which is then the caller's to do.
    fn get(&self, identity: Identity) -> Result<Option<Arc<Functions>>, ()> {
        let mut files = self.files();
        let position = files.iter().position(|(own, _)| *own == identity);
        let (found, entry) = match position.map(|position| files.remove(position)) {
            Some(entry) => (Ok(entry.1.clone()), entry),
            None => (Err(()), (identity, None)),
        };
        if files.len() >= MOST_FILES {
            files.remove(0);
        }
        files.push(entry);
        found
    }

    fn put(&self, identity: Identity, functions: Functions) -> Arc<Functions> {
        let functions = Arc::new(functions);
        let mut files = self.files();
        files.retain(|(own, _)| *own != identity);
        files.push((identity, Some(Arc::clone(&functions))));
        let bytes = |(_, functions): &(Identity, Option<Arc<Functions>>)| {
            functions.as_ref().map_or(0, |functions| functions.bytes())
        };
        let mut all: usize = files.iter().map(bytes).sum();
        while all > MOST_BYTES && files.len() > 1 {
            all -= bytes(&files.remove(0));
        }
        functions
    }
}

/// The names of the functions that have the places, in their order; empty where they are not known.
pub(super) fn names(question: &Question) -> Vec<Box<str>> {
    let mut last: Option<(&Path, Option<Arc<Functions>>)> = None;
    let names = question.places.iter().map(|(path, offset)| {
        let functions = match last.take() {
            Some((same, functions)) if same == path => functions,
            _ => functions(path, &question.known),
        };
        let (_, functions) = last.insert((path, functions));
        let found = functions.as_ref().and_then(|functions| functions.around(FileOffset(*offset)));
        found.map(|(name, _)| name.into()).unwrap_or_default()
    });
    names.collect()
}

/// The functions of a file; none where another thread is about to read it.
fn functions(path: &Path, known: &Known) -> Option<Arc<Functions>> {
    // a mapped device is not to be opened
    let found = OpenOptions::new().read(true).custom_flags(libc::O_PATH).open(path).ok()?;
    let metadata = found.metadata().ok().filter(Metadata::is_file)?;
    let identity = Identity::of(&metadata);
    known.get(identity).unwrap_or_else(|()| {
        let functions = read(&found, metadata.len()).unwrap_or_default();
        Some(known.put(identity, functions))
    })
}

/// Reads a file; what cannot be read of it counts as zeros.
fn read(found: &File, len: u64) -> Option<Functions> {
    let path = format!("/proc/self/fd/{}", found.as_raw_fd());
    let file =
        OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path).ok()?;
    Some(Functions::read(usize::try_from(len).ok()?, |offset, mut into| {
        let mut offset = offset;
        while let Ok(read @ 1..) = file.read_at(into, offset) {
            offset += read as u64;
            into = into.get_mut(read..).unwrap_or_default();
        }
    }))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    /// A function that is looked for.
    #[inline(never)]
    extern "C" fn enforcer_test_of_function_names() -> u32 {
        std::hint::black_box(7)
    }

    #[test]
    fn a_place_is_named_by_the_file_that_is_mapped_there() {
        let address = enforcer_test_of_function_names as *const () as u64;
        assert_eq!(enforcer_test_of_function_names(), 7);
        let maps = "/proc/self/maps".into();
        let question = super::super::mapping::Question { maps, addresses: vec![address] };
        let place = super::super::mapping::places(&question).remove(0);
        let file = PathBuf::from("/proc/self/map_files").join(&*place.mapping);
        let known = Arc::new(Known::default());
        let missing = PathBuf::from("/proc/self/map_files/1-2");
        let places = vec![
            (file.clone(), place.offset),
            (file.clone(), u64::MAX),
            (missing, place.offset),
            (file, place.offset + 1),
        ];
        let question = Question { places, known: Arc::clone(&known) };
        let is_own = |name: &str| name.contains("enforcer_test_of_function_names");
        let found = names(&question);
        assert!(is_own(&found[0]) && found[0] == found[3], "{found:?}");
        assert_eq!(found[1..3], [Box::default(), Box::default()]);
        // what is known is not read again
        assert_eq!(known.files().len(), 1);
        let first = known.files()[0].1.clone().unwrap();
        names(&question);
        assert!(Arc::ptr_eq(&first, known.files()[0].1.as_ref().unwrap()));
    }

    #[test]
    fn a_file_that_changes_is_read_again_and_what_is_being_read_has_no_names_yet() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("file");
        let known = Known::default();
        std::fs::write(&path, "first").unwrap();
        assert!(functions(&path, &known).is_some());
        std::fs::write(&path, "second").unwrap();
        assert!(functions(&path, &known).is_some());
        assert_eq!(known.files().len(), 2);
        let other = Identity { inode: 1, ..Identity::of(&std::fs::metadata(&path).unwrap()) };
        assert!(known.get(other).is_err());
        assert!(known.get(other).unwrap().is_none());
        assert!(functions(directory.path(), &known).is_none());
        assert!(functions(Path::new("/dev/null"), &known).is_none());
    }

    #[test]
    fn only_so_many_files_are_kept() {
        let known = Known::default();
        let identity = |inode| Identity { device: 1, inode, len: 0, modified: (0, 0), changed: (0, 0) };
        for inode in 0..2 * MOST_FILES as u64 {
            assert!(known.get(identity(inode)).is_err());
            known.put(identity(inode), Functions::default());
            // one that is looked at stays
            assert!(inode == 0 || known.get(identity(0)).is_ok());
        }
        assert_eq!(known.files().len(), MOST_FILES);
    }
}
