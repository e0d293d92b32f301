//! The archive: a compressed tar file that nobody else can read.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use flate2::Compression;
use flate2::write::GzEncoder;

/// An archive that is being written. Dropping it before [`Archive::finish`] removes the file.
pub(super) struct Archive {
    tar: tar::Builder<GzEncoder<BufWriter<File>>>,
    /// Folder of all its files.
    folder: String,
    /// Seconds since 1970, of all its files.
    time: u64,
    file: Unfinished,
}

impl fmt::Debug for Archive {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Archive").field("file", &self.file).finish_non_exhaustive()
    }
}

/// A file that is removed unless it was finished.
#[derive(Debug)]
struct Unfinished {
    path: PathBuf,
    finished: bool,
}

impl Drop for Unfinished {
    fn drop(&mut self) {
        if !self.finished {
            // Whoever ran the command is told of the failure that led here.
            drop(fs::remove_file(&self.path));
        }
    }
}

impl Archive {
    /// Makes the file at `path` with mode 0600; it must be new, and no link is followed there. Its files will be in `folder`, of time `time`.
    pub(super) fn create(path: &Path, folder: &str, time: u64) -> io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        let compressed = GzEncoder::new(BufWriter::new(file), Compression::default());
        Ok(Self {
            tar: tar::Builder::new(compressed),
            folder: folder.to_owned(),
            time,
            file: Unfinished { path: path.to_owned(), finished: false },
        })
    }

    /// Adds a file.
    pub(super) fn add(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o600);
        header.set_mtime(self.time);
        let path = Path::new(&self.folder).join(relative(name));
        self.tar.append_data(&mut header, path, bytes)
    }

    /// Writes the end. Returns the size of the file in bytes.
    pub(super) fn finish(mut self) -> io::Result<u64> {
        let mut file = self.tar.into_inner()?.finish()?;
        file.flush()?;
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        file.sync_all()?;
        let size = file.metadata()?.len();
        self.file.finished = true;
        Ok(size)
    }
}

/// `name` without what would lead out of the archive's folder.
fn relative(name: &str) -> String {
    let parts: Vec<_> = name.split('/').filter(|part| !matches!(*part, "" | "." | "..")).collect();
    parts.join("/")
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::io::Read as _;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn what_was_added_is_there_and_nobody_else_may_read_it() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.tar.gz");
        let mut archive = Archive::create(&path, "t", 7).unwrap();
        archive.add("x", b"one").unwrap();
        archive.add("../../etc/y", b"").unwrap();
        let size = archive.finish().unwrap();
        assert_eq!(fs::metadata(&path).unwrap().len(), size);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let mut entries = tar::Archive::new(flate2::read::GzDecoder::new(File::open(&path).unwrap()));
        let read: Vec<(String, String)> = entries
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let mut text = String::new();
                entry.read_to_string(&mut text).unwrap();
                (entry.path().unwrap().to_string_lossy().into_owned(), text)
            })
            .collect();
        assert_eq!(read, [("t/x".to_owned(), "one".to_owned()), ("t/etc/y".to_owned(), String::new())]);
    }

    #[test]
    fn a_file_or_a_link_in_its_place_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (target, link) = (folder.path().join("target"), folder.path().join("link"));
        std::os::unix::fs::symlink(&target, &link).unwrap();
        assert_eq!(Archive::create(&link, "t", 0).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert!(!target.exists());
        fs::write(&target, "mine").unwrap();
        assert_eq!(Archive::create(&target, "t", 0).unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(fs::read_to_string(&target).unwrap(), "mine");
    }

    #[test]
    fn one_that_is_not_finished_goes_away() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        let archive = Archive::create(&path, "t", 0).unwrap();
        assert!(path.exists());
        drop(archive);
        assert!(!path.exists());
    }
}
