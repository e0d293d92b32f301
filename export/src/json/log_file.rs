//! The file that lines go to: put aside when it is full or old, and made anew when it is gone.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use super::backup::Naming;
use super::lines::{Target, first_line, whole_lines};
use super::rotation::RotationHandle;
use super::tidy::Tidy;

/// Between two attempts to put the file aside.
const PAUSE: Duration = Duration::from_secs(10);
/// How far back the beginning of a torn line is looked for.
const TORN: u64 = 4 << 20;

/// A file of lines, and those put aside before it.
#[derive(Debug)]
pub(super) struct LogFile {
    path: PathBuf,
    /// Access mode of a file that is created.
    mode: u32,
    file: File,
    /// Not a device or a pipe, which are written to and nothing else.
    regular: bool,
    /// Bytes in it when it was last looked at.
    size: u64,
    opened: Instant,
    naming: Naming,
    tidy: Tidy,
    rotation: RotationHandle,
    failure: Option<Failure>,
}

/// Why the file was not put aside, and when that is tried again.
#[derive(Debug)]
struct Failure {
    error: io::Error,
    retry: Instant,
}

impl LogFile {
    /// Opens the file at `path`, or creates it with its folders. What a crash left of a last line is cut off.
    pub(super) fn open(path: &Path, mode: u32, rotation: RotationHandle) -> io::Result<Self> {
        let file = open(path, mode)?;
        let metadata = file.metadata()?;
        let naming = Naming::of(path);
        let mut tidy = Tidy::new(naming.clone());
        if metadata.is_file() {
            tidy.start(rotation.get())?;
        }
        Ok(Self {
            path: path.to_owned(),
            mode,
            regular: metadata.is_file(),
            size: metadata.len(),
            file,
            opened: Instant::now(),
            naming,
            tidy,
            rotation,
            failure: None,
        })
    }

    /// Opens what is now at the path.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        let file = open(&self.path, self.mode)?;
        self.replace(file)
    }

    fn replace(&mut self, file: File) -> io::Result<()> {
        let metadata = file.metadata()?;
        (self.file, self.regular, self.size) = (file, metadata.is_file(), metadata.len());
        self.opened = Instant::now();
        self.failure = None;
        Ok(())
    }

    /// When the file is to be put aside for its age, or that is to be tried again.
    pub(super) fn due(&self) -> Option<Instant> {
        let due = self.opened.checked_add(self.rotation.get().interval.filter(|_| self.regular)?)?;
        Some(self.failure.as_ref().map_or(due, |failure| due.max(failure.retry)))
    }

    /// Puts the file aside if it is due. An empty one stays.
    pub(super) fn turn_if_due(&mut self) {
        if self.due().is_none_or(|due| due > Instant::now()) {
            return;
        }
        if self.size == 0 {
            self.opened = Instant::now();
            return;
        }
        self.turn();
    }

    /// Why the file could not be put aside, as long as it could not. Lines go to it all the same.
    pub(super) fn failure(&self) -> Option<&io::Error> {
        self.failure.as_ref().map(|failure| &failure.error)
    }

    /// What was written is on the disk.
    pub(super) fn sync(&self) -> io::Result<()> {
        if self.regular { self.file.sync_data() } else { Ok(()) }
    }

    /// Goes on in a new file. Where that fails, in the old one, for a while.
    fn turn(&mut self) -> bool {
        if self.failure.as_ref().is_some_and(|failure| Instant::now() < failure.retry) {
            return false;
        }
        match self.put_aside() {
            Ok(()) => true,
            Err(error) => {
                self.failure = Some(Failure { error, retry: Instant::now() + PAUSE });
                false
            }
        }
    }

    fn put_aside(&mut self) -> io::Result<()> {
        let old = self.file.metadata()?;
        if !is_at(&self.path, &old) {
            // Someone has moved it away already.
            return self.reopen();
        }
        self.file.sync_all()?;
        let backup = self.naming.next(SystemTime::now());
        fs::rename(&self.path, &backup)?;
        let made = open(&self.path, old.permissions().mode() & 0o7777);
        let file = match made {
            Ok(file) => file,
            Err(error) => {
                // Still open under its new name: where it does not go back, events go on there.
                drop(fs::rename(&backup, &self.path));
                return Err(error);
            }
        };
        // Only root can give files away; an own file need not be.
        drop(fchown(&file, Some(old.uid()), Some(old.gid())));
        self.replace(file)?;
        File::open(self.naming.folder()).and_then(|folder| folder.sync_all())?;
        self.tidy.start(self.rotation.get())
    }
}

impl Target for LogFile {
    fn append(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes)
    }

    fn take_back(&mut self, count: usize) -> io::Result<()> {
        self.file.take_back(count)
    }

    fn room(&mut self, lines: &[u8]) -> usize {
        if !self.regular {
            return lines.len();
        }
        let fits = |room: u64| whole_lines(lines, usize::try_from(room).unwrap_or(usize::MAX));
        let most = self.rotation.get().max_bytes;
        match fits(most.saturating_sub(self.size)) {
            0 if self.size > 0 && !self.turn() => lines.len(),
            0 => fits(most.saturating_sub(self.size)).max(first_line(lines)),
            count => count,
        }
    }

    fn settle(&mut self) -> io::Result<bool> {
        let metadata = self.file.metadata()?;
        if metadata.nlink() == 0 {
            self.reopen()?;
            return Ok(false);
        }
        self.size = metadata.len();
        Ok(true)
    }
}

/// Whether the file of `metadata` is what `path` names.
fn is_at(path: &Path, metadata: &Metadata) -> bool {
    fs::metadata(path).is_ok_and(|found| (found.dev(), found.ino()) == (metadata.dev(), metadata.ino()))
}

/// The file at `path`, for appending, without a torn line at its end.
fn open(path: &Path, mode: u32) -> io::Result<File> {
    let mut how = OpenOptions::new();
    how.append(true).mode(mode);
    match how.clone().create_new(true).open(path) {
        Ok(file) => {
            // The umask of the daemon has no say.
            file.set_permissions(PermissionsExt::from_mode(mode))?;
            Ok(file)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            let mut file = how.create(true).open(path)?;
            mend(path, &mut file)?;
            Ok(file)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let folder = path.parent().filter(|folder| !folder.is_dir()).ok_or(error)?;
            DirBuilder::new().recursive(true).mode(0o755).create(folder)?;
            open(path, mode)
        }
        Err(error) => Err(error),
    }
}

/// Cuts off the part of a line of ours that a crash left at the end of `file`; ends any other.
fn mend(path: &Path, file: &mut File) -> io::Result<()> {
    let metadata = file.metadata()?;
    let length = metadata.len();
    if !metadata.is_file() || length == 0 {
        return Ok(());
    }
    // `file` is open for appending only.
    let mut reader = File::open(path)?;
    let start = length.saturating_sub(TORN);
    reader.seek(SeekFrom::Start(start))?;
    let mut end = Vec::new();
    reader.take(TORN).read_to_end(&mut end)?;
    let line = end.iter().rposition(|&byte| byte == b'\n').map_or(0, |line_end| line_end + 1);
    let torn = &end[line..];
    if torn.is_empty() {
        return Ok(());
    }
    if torn.starts_with(b"{") && (line > 0 || start == 0) {
        return file.set_len(start + line as u64);
    }
    file.write_all(b"\n")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::fs;
    use std::path::Path;

    use super::super::lines::Target as _;
    use super::super::rotation::{Rotation, RotationHandle};
    use super::LogFile;

    fn file(path: &Path, max_bytes: u64) -> LogFile {
        let rotation = Rotation { max_bytes, ..Rotation::default() };
        LogFile::open(path, 0o600, RotationHandle::new(rotation)).unwrap()
    }

    #[test]
    fn a_torn_line_of_ours_is_cut_off_and_what_another_wrote_is_ended() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("e.log");
        for (before, after) in [
            ("{\"a\":1}\n{\"b\":", "{\"a\":1}\n"),
            ("{\"b\":", ""),
            ("{\"a\":1}\n", "{\"a\":1}\n"),
            ("some text", "some text\n"),
            ("", ""),
        ] {
            fs::write(&path, before).unwrap();
            drop(file(&path, 1000));
            assert_eq!(fs::read_to_string(&path).unwrap(), after);
        }
    }

    #[test]
    fn room_is_whole_lines_and_a_line_longer_than_a_file_has_one_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let mut file = file(&folder.path().join("e.log"), 10);
        assert_eq!(file.room(b"1234\n1234\n1\n"), 10);
        assert_eq!(file.room(b"12345678901234\n1\n"), 15);
        assert_eq!(file.append(b"12345\n").unwrap(), 6);
        assert!(file.settle().unwrap());
        assert_eq!(file.room(b"123\n1\n"), 4);
        assert_eq!(file.room(b"1234\n1\n"), 7, "in the next file");
        assert_eq!((file.size, fs::read_dir(folder.path()).unwrap().count()), (0, 2));
    }

    #[test]
    fn a_file_that_someone_moved_away_is_not_put_aside_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("e.log");
        let mut file = file(&path, 3);
        assert_eq!(file.append(b"1\n").unwrap(), 2);
        assert!(file.settle().unwrap());
        fs::rename(&path, folder.path().join("moved")).unwrap();
        assert_eq!(file.room(b"2\n"), 2);
        assert_eq!((file.size, fs::read_dir(folder.path()).unwrap().count()), (0, 2));
    }
}
