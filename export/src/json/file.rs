//! JSON lines in a file.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use api::event::Event;

use super::lines::Lines;
use crate::sink::{Counters, OpenError, Sink, WriteError};

/// How to write the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileOptions {
    /// Permission bits of a file that is created; an existing file keeps its own.
    pub mode: u32,
    /// How many bytes of lines may be held back while the disk takes none.
    pub bound: usize,
}

impl Default for FileOptions {
    fn default() -> Self {
        Self { mode: 0o600, bound: 8 << 20 }
    }
}

/// Appends events to a file as JSON lines.
///
/// A disk without room does not stop it: whole lines stay in the file, the newest that do not fit the buffer are dropped
/// and counted, and writing goes on by itself when there is room again.
#[derive(Debug)]
pub struct FileSink {
    name: String,
    path: PathBuf,
    options: FileOptions,
    lines: Lines<File>,
}

impl FileSink {
    /// Opens the file at `path`, or creates it.
    ///
    /// # Errors
    ///
    /// [`OpenError::File`]
    pub fn open(path: &Path, options: FileOptions) -> Result<Self, OpenError> {
        let (file, torn) = open(path, options)?;
        Ok(Self {
            name: format!("file {}", path.display()),
            path: path.to_owned(),
            options,
            lines: Lines::new(file, options.bound, torn),
        })
    }
}

impl Sink for FileSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn write(&mut self, batch: &[Arc<Event>]) -> Result<(), WriteError> {
        self.lines.write(&self.name, batch)
    }

    fn reopen(&mut self) -> Result<(), OpenError> {
        let (file, torn) = open(&self.path, self.options)?;
        self.lines.replace_target(file, torn);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), WriteError> {
        self.lines.finish(&self.name)
    }

    fn counters(&self) -> Arc<Counters> {
        self.lines.counters()
    }
}

/// The file, and whether it ends with part of a line.
fn open(path: &Path, options: FileOptions) -> Result<(File, bool), OpenError> {
    let open = || -> io::Result<(File, bool)> {
        let mut how = OpenOptions::new();
        how.append(true).mode(options.mode);
        match how.clone().create_new(true).open(path) {
            Ok(file) => {
                // The umask of the daemon has no say.
                file.set_permissions(PermissionsExt::from_mode(options.mode))?;
                Ok((file, false))
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                let file = how.create(true).open(path)?;
                let torn = ends_torn(path, &file)?;
                Ok((file, torn))
            }
            Err(error) => Err(error),
        }
    };
    open().map_err(|source| OpenError::File { path: path.to_owned(), source })
}

/// Whether the regular file `file` at `path` has content that does not end with a line end, as after a crash.
fn ends_torn(path: &Path, file: &File) -> io::Result<bool> {
    let metadata = file.metadata()?;
    if !metadata.is_file() || metadata.len() == 0 {
        return Ok(false);
    }
    // `file` is open for appending only. Where it may not be read, a blank line is the lesser harm.
    let Ok(mut reader) = File::open(path) else { return Ok(true) };
    reader.seek(SeekFrom::End(-1))?;
    let mut last = [0];
    reader.read_exact(&mut last)?;
    Ok(last != *b"\n")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;
    use std::sync::Arc;

    use api::event::{Event, EventKind, Node, TestEvent, Timestamp};

    use super::{FileOptions, FileSink};
    use crate::sink::{Counts, OpenError, Sink as _};

    fn batch(count: u64) -> Vec<Arc<Event>> {
        let node = Arc::new(Node::named("n"));
        let kinds = (0..count).map(|arg0| EventKind::Test(TestEvent { arg0, ..TestEvent::default() }));
        kinds.map(|kind| Arc::new(Event::new(kind, Timestamp::from_nanos(1), Arc::clone(&node)))).collect()
    }

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    // proves: EXP-01, SEC-07
    #[test]
    fn a_new_file_is_private_and_holds_one_line_an_event() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.log");
        let mut sink = FileSink::open(&path, FileOptions::default()).unwrap();
        sink.write(&batch(3)).unwrap();
        assert_eq!(mode(&path), 0o600);
        let text = fs::read_to_string(&path).unwrap();
        let read = text.lines().map(|line| api::json::read_event(line.as_bytes()).unwrap());
        assert_eq!(read.map(Arc::new).collect::<Vec<_>>(), batch(3));
        assert_eq!(sink.counters().counts(), Counts { received: 3, written: 3, dropped: 0 });
    }

    // proves: EXP-01, SEC-07
    #[test]
    fn the_mode_asked_for_holds_whatever_the_umask_and_an_existing_file_keeps_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.log");
        drop(FileSink::open(&path, FileOptions { mode: 0o666, ..FileOptions::default() }).unwrap());
        assert_eq!(mode(&path), 0o666);
        drop(FileSink::open(&path, FileOptions::default()).unwrap());
        assert_eq!(mode(&path), 0o666);
    }

    #[test]
    fn an_existing_file_is_appended_to_and_its_torn_end_is_closed() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.log");
        fs::write(&path, "{\"whole\":1}\n{\"tor").unwrap();
        FileSink::open(&path, FileOptions::default()).unwrap().write(&batch(1)).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert!(text.starts_with("{\"whole\":1}\n{\"tor\n{\"test\""), "{text}");
        FileSink::open(&path, FileOptions::default()).unwrap().write(&batch(1)).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 4);
    }

    #[test]
    fn after_reopen_lines_go_to_the_new_file() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("events.log"), folder.path().join("events.log.1"));
        let mut sink = FileSink::open(&path, FileOptions::default()).unwrap();
        sink.write(&batch(1)).unwrap();
        fs::rename(&path, &moved).unwrap();
        sink.write(&batch(1)).unwrap();
        sink.reopen().unwrap();
        sink.write(&batch(1)).unwrap();
        assert_eq!(fs::read_to_string(&moved).unwrap().lines().count(), 2);
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1);
    }

    #[test]
    fn a_file_truncated_by_another_goes_on_from_its_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.log");
        let mut sink = FileSink::open(&path, FileOptions::default()).unwrap();
        sink.write(&batch(5)).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
        sink.write(&batch(2)).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2);
    }

    #[test]
    fn a_device_that_is_full_drops_and_counts_and_does_not_stop_the_sink() {
        let mut sink =
            FileSink::open(Path::new("/dev/full"), FileOptions { bound: 100, ..FileOptions::default() })
                .unwrap();
        for _ in 0..3 {
            assert!(sink.write(&batch(4)).is_err());
        }
        let counts = sink.counters().counts();
        assert_eq!((counts.received, counts.written, counts.dropped), (12, 0, 11));
        assert!(sink.finish().is_err());
        assert_eq!(sink.counters().counts().dropped, 12);
    }

    #[test]
    fn a_missing_folder_is_an_error_that_names_the_file() {
        let error = FileSink::open(Path::new("/nonexistent/x.log"), FileOptions::default()).unwrap_err();
        assert!(matches!(error, OpenError::File { .. }));
        assert!(error.to_string().contains("/nonexistent/x.log"), "{error}");
    }
}
