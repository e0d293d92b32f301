//! JSON lines in a file.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use api::event::Event;
use api::filter::FieldFilters;

use super::lines::{Lines, RETRY};
use super::log_file::LogFile;
use super::rotation::{Rotation, RotationHandle};
use crate::siem::Form;
use crate::sink::{Counters, OpenError, Sink, WriteError};

/// How to write the file.
#[derive(Debug, Clone)]
pub struct FileOptions {
    /// Permission bits of a file that is created; an existing file keeps its own, and the one that follows it takes them.
    pub mode: u32,
    /// How many bytes of lines may be held back while the disk takes none.
    pub bound: usize,
    /// When a new file is begun.
    pub rotation: Rotation,
    /// Which fields of events are written.
    pub fields: FieldFilters,
    /// How an event looks.
    pub form: Form,
}

impl Default for FileOptions {
    fn default() -> Self {
        Self {
            mode: 0o600,
            bound: 8 << 20,
            rotation: Rotation::default(),
            fields: FieldFilters::none(),
            form: Form::default(),
        }
    }
}

/// Appends events to a file as JSON lines.
///
/// A disk without room does not stop it: whole lines stay in the file, the newest that do not fit the buffer are dropped
/// and counted, and writing goes on by itself when there is room again. Nor does the removal of the file or its folder:
/// both are made anew.
#[derive(Debug)]
pub struct FileSink {
    name: String,
    path: PathBuf,
    lines: Lines<LogFile>,
    rotation: RotationHandle,
    /// When what is held back is tried again.
    retry: Option<Instant>,
}

impl FileSink {
    /// Opens the file at `path`, or creates it and the folders that are missing.
    ///
    /// # Errors
    ///
    /// [`OpenError::File`]
    pub fn open(path: &Path, options: FileOptions) -> Result<Self, OpenError> {
        let rotation = RotationHandle::new(options.rotation);
        let file = LogFile::open(path, options.mode, rotation.clone())
            .map_err(|source| OpenError::File { path: path.to_owned(), source })?;
        Ok(Self {
            name: format!("file {}", path.display()),
            path: path.to_owned(),
            lines: Lines::new(file, options.bound, options.fields, options.form),
            rotation,
            retry: None,
        })
    }

    /// By which the rotation can be changed while the sink runs.
    pub fn rotation(&self) -> RotationHandle {
        self.rotation.clone()
    }

    /// Notes when to try again, and joins what went wrong.
    fn ended(&mut self, result: Result<(), WriteError>) -> Result<(), WriteError> {
        self.retry = self.lines.is_holding().then(|| Instant::now() + RETRY);
        result?;
        match self.lines.target().failure() {
            Some(error) => Err(self.rotation_error(error)),
            None => Ok(()),
        }
    }

    fn rotation_error(&self, error: &io::Error) -> WriteError {
        WriteError::Rotation { name: self.name.clone(), reason: error.to_string() }
    }
}

impl Sink for FileSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn write(&mut self, events: &mut dyn Iterator<Item = &Event>) -> Result<(), WriteError> {
        self.lines.target_mut().turn_if_due();
        let result = self.lines.write(&self.name, events);
        self.ended(result)
    }

    fn due(&self) -> Option<Instant> {
        let age = self.lines.target().due();
        age.into_iter().chain(self.retry).min()
    }

    fn tick(&mut self) -> Result<(), WriteError> {
        self.lines.target_mut().turn_if_due();
        let result = self.lines.retry(&self.name);
        self.ended(result)
    }

    fn reopen(&mut self) -> Result<(), OpenError> {
        let reopened = self.lines.target_mut().reopen();
        reopened.map_err(|source| OpenError::File { path: self.path.clone(), source })?;
        self.lines.target_is_whole();
        Ok(())
    }

    fn finish(&mut self) -> Result<(), WriteError> {
        self.lines.finish(&self.name)?;
        let synced = self.lines.target().sync();
        synced.map_err(|source| WriteError::Sync { name: self.name.clone(), source })
    }

    fn counters(&self) -> Arc<Counters> {
        self.lines.counters()
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;
    use std::path::Path;
    use std::time::{Duration, Instant};

    use super::super::fixture::events;
    use super::{FileOptions, FileSink, Rotation};
    use crate::sink::{Counts, OpenError, Sink as _, WriteError};

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o7777
    }

    fn append(path: &Path, count: u64) {
        FileSink::open(path, FileOptions::default()).unwrap().write(&mut events(count).iter()).unwrap();
    }

    /// The `arg0` of all lines, in files put aside and in the last, and how many files these are.
    fn numbers(path: &Path) -> (Vec<u64>, usize) {
        let mut files: Vec<_> =
            fs::read_dir(path.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path()).collect();
        files.sort_by_key(|file| (file == path, file.clone()));
        let text: String = files.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
        let number = |line: &str| {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            value["test"]["arg0"].as_str().map_or(0, |text| text.parse().unwrap())
        };
        (text.lines().map(number).collect(), files.len())
    }

    // proves: EXP-01, SEC-07
    #[test]
    fn a_new_file_is_private_and_holds_one_line_an_event() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.log");
        let mut sink = FileSink::open(&path, FileOptions::default()).unwrap();
        sink.write(&mut events(3).iter()).unwrap();
        assert_eq!(mode(&path), 0o600);
        let text = fs::read_to_string(&path).unwrap();
        let read = text.lines().map(|line| api::json::read_event(line.as_bytes()).unwrap());
        assert_eq!(read.collect::<Vec<_>>(), events(3));
        let Counts { received, written, dropped, bytes, .. } = sink.counters().counts();
        assert_eq!((received, written, dropped, bytes), (3, 3, 0, text.len() as u64));
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
    fn an_existing_file_is_appended_to_and_holds_no_half_line_after_a_crash() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.log");
        append(&path, 3);
        let whole = fs::read_to_string(&path).unwrap();
        fs::write(&path, format!("{whole}{{\"test\":{{\"arg0")).unwrap();
        append(&path, 2);
        assert_eq!(numbers(&path), (vec![0, 1, 2, 0, 1], 1));
    }

    // proves: EXP-02 (size)
    #[test]
    fn a_full_file_is_put_aside_between_lines_with_its_mode() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.log");
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        let rotation = Rotation { max_bytes: 1000, backups: 0, ..Rotation::default() };
        let mut sink = FileSink::open(&path, FileOptions { rotation, ..FileOptions::default() }).unwrap();
        sink.write(&mut events(30).iter()).unwrap();
        sink.write(&mut events(60).iter().skip(30)).unwrap();
        let (found, files) = numbers(&path);
        assert_eq!(found, (0..60).collect::<Vec<_>>());
        assert!(files >= 5, "{files}");
        for entry in fs::read_dir(folder.path()).unwrap() {
            let path = entry.unwrap().path();
            assert!(fs::metadata(&path).unwrap().len() <= 1000 && mode(&path) == 0o640, "{}", path.display());
        }
        assert_eq!(sink.counters().counts().written, 60);
    }

    // proves: EXP-02 (interval)
    #[test]
    fn an_old_file_is_put_aside_if_it_holds_anything() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.log");
        let rotation = Rotation { interval: Some(Duration::ZERO), ..Rotation::default() };
        let mut sink = FileSink::open(&path, FileOptions { rotation, ..FileOptions::default() }).unwrap();
        sink.tick().unwrap();
        assert_eq!(numbers(&path).1, 1, "an empty file stays");
        sink.write(&mut events(1).iter()).unwrap();
        assert!(sink.due().unwrap() <= Instant::now());
        sink.tick().unwrap();
        assert_eq!(numbers(&path), (vec![0], 2));
        sink.rotation().set(Rotation::default());
        assert_eq!(sink.due(), None, "a rotation that is changed holds at once");
    }

    #[test]
    fn a_file_that_cannot_be_put_aside_goes_on_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        // With the time in it, the name is too long.
        let path = folder.path().join("e".repeat(250));
        let rotation = Rotation { max_bytes: 100, ..Rotation::default() };
        let mut sink = FileSink::open(&path, FileOptions { rotation, ..FileOptions::default() }).unwrap();
        let error = sink.write(&mut events(20).iter()).unwrap_err();
        assert!(matches!(error, WriteError::Rotation { .. }), "{error}");
        assert_eq!(numbers(&path), ((0..20).collect(), 1));
        assert_eq!(sink.counters().counts().written, 20);
    }

    #[test]
    fn a_removed_folder_is_made_anew_and_no_line_is_counted_that_nobody_can_read() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a/b/events.log");
        let mut sink = FileSink::open(&path, FileOptions::default()).unwrap();
        sink.write(&mut events(2).iter()).unwrap();
        fs::remove_dir_all(folder.path().join("a")).unwrap();
        sink.write(&mut events(3).iter()).unwrap();
        assert_eq!(numbers(&path), (vec![0, 1, 2], 1));
        fs::remove_dir_all(folder.path().join("a")).unwrap();
        fs::write(folder.path().join("a"), "in the way").unwrap();
        assert!(sink.write(&mut events(1).iter()).is_err());
        assert_eq!(sink.counters().counts().written, 5);
        fs::remove_file(folder.path().join("a")).unwrap();
        assert!(sink.due().is_some());
        sink.tick().unwrap();
        assert_eq!(numbers(&path), (vec![0], 1));
        assert_eq!(sink.due(), None);
    }

    #[test]
    fn after_reopen_lines_go_to_the_new_file() {
        let folder = tempfile::tempdir().unwrap();
        let (path, moved) = (folder.path().join("events.log"), folder.path().join("events.log.1"));
        let mut sink = FileSink::open(&path, FileOptions::default()).unwrap();
        sink.write(&mut events(1).iter()).unwrap();
        fs::rename(&path, &moved).unwrap();
        sink.write(&mut events(1).iter()).unwrap();
        sink.reopen().unwrap();
        sink.write(&mut events(1).iter()).unwrap();
        assert_eq!(fs::read_to_string(&moved).unwrap().lines().count(), 2);
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1);
    }

    #[test]
    fn a_file_truncated_by_another_goes_on_from_its_start() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("events.log");
        let mut sink = FileSink::open(&path, FileOptions::default()).unwrap();
        sink.write(&mut events(5).iter()).unwrap();
        fs::File::options().write(true).open(&path).unwrap().set_len(0).unwrap();
        sink.write(&mut events(2).iter()).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 2);
    }

    #[test]
    fn a_device_that_is_full_drops_and_counts_and_does_not_stop_the_sink() {
        let mut sink =
            FileSink::open(Path::new("/dev/full"), FileOptions { bound: 100, ..FileOptions::default() })
                .unwrap();
        for _ in 0..3 {
            assert!(sink.write(&mut events(4).iter()).is_err());
        }
        let counts = sink.counters().counts();
        assert_eq!((counts.received, counts.written, counts.dropped), (12, 0, 11));
        assert!(sink.finish().is_err());
        assert_eq!(sink.counters().counts().dropped, 12);
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_an_error_that_names_the_file() {
        let error = FileSink::open(Path::new("/dev/null/x.log"), FileOptions::default()).unwrap_err();
        assert!(matches!(error, OpenError::File { .. }));
        assert!(error.to_string().contains("/dev/null/x.log"), "{error}");
    }
}
