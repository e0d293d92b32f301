//! Policy files: the ones named, and those in a directory and its subdirectories.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use tracing_policy::source::{MAX_BYTES, SourceError, SourceText};

/// Why a policy file could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file or directory.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Not a regular file.
    #[error("{path} is no file")]
    NotAFile {
        /// Which.
        path: PathBuf,
    },
    /// Not a policy text.
    #[error(transparent)]
    Text(#[from] SourceError),
}

/// The text of a policy file, at most [`MAX_BYTES`] long.
///
/// # Errors
/// See [`ReadError`].
pub fn read_file(path: &Path) -> Result<SourceText, ReadError> {
    let failed = |source| ReadError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if !metadata.is_file() {
        return Err(ReadError::NotAFile { path: path.to_owned() });
    }
    let name = path.display().to_string();
    let limit = MAX_BYTES;
    let size = usize::try_from(metadata.len()).unwrap_or(usize::MAX);
    if size > limit {
        return Err(SourceError::TooLarge { name, size, limit }.into());
    }
    let mut bytes = Vec::with_capacity(size);
    // One byte more than allowed, in case the file grows meanwhile.
    file.take(limit as u64 + 1).read_to_end(&mut bytes).map_err(failed)?;
    Ok(SourceText::from_bytes(&name, &bytes)?)
}

/// The texts of all files in a directory and, one level deep, its subdirectories, by their path. Names that begin with two dots are left
/// out: a mounted `ConfigMap` shows its files under a plain name as well.
///
/// # Errors
/// See [`ReadError`].
pub fn read_directory(path: &Path) -> Result<Vec<SourceText>, ReadError> {
    let mut files = Vec::new();
    for entry in entries(path)? {
        let failed = |source| ReadError::Read { path: entry.clone(), source };
        if fs::metadata(&entry).map_err(failed)?.is_dir() {
            for inner in entries(&entry)? {
                let failed = |source| ReadError::Read { path: inner.clone(), source };
                if fs::metadata(&inner).map_err(failed)?.is_file() {
                    files.push(inner);
                }
            }
        } else {
            files.push(entry);
        }
    }
    files.sort();
    files.iter().map(|file| read_file(file)).collect()
}

fn entries(path: &Path) -> Result<Vec<PathBuf>, ReadError> {
    let failed = |source| ReadError::Read { path: path.to_owned(), source };
    let mut paths = Vec::new();
    for entry in fs::read_dir(path).map_err(failed)? {
        let entry = entry.map_err(failed)?;
        if !entry.file_name().as_encoded_bytes().starts_with(b"..") {
            paths.push(entry.path());
        }
    }
    Ok(paths)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_directory_is_read_one_level_deep_and_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir_all(at("sub/deeper")).unwrap();
        fs::create_dir(at("..data")).unwrap();
        for name in ["b.yaml", "a.yaml", "sub/c.yaml", "sub/deeper/d.yaml", "..data/a.yaml"] {
            fs::write(at(name), name).unwrap();
        }
        let texts = read_directory(directory.path()).unwrap();
        let texts: Vec<_> = texts.iter().map(SourceText::text).collect();
        assert_eq!(texts, ["a.yaml", "b.yaml", "sub/c.yaml"]);
    }

    #[test]
    fn a_file_of_fifty_megabytes_is_refused_unread() {
        let file = tempfile::NamedTempFile::new().unwrap();
        file.as_file().set_len(50_000_000).unwrap();
        let error = read_file(file.path()).unwrap_err();
        assert!(matches!(error, ReadError::Text(SourceError::TooLarge { size: 50_000_000, .. })), "{error}");
    }

    #[test]
    fn what_is_no_file_is_named() {
        let directory = tempfile::tempdir().unwrap();
        assert!(matches!(read_file(directory.path()), Err(ReadError::NotAFile { .. })));
        assert!(read_file(&directory.path().join("x")).unwrap_err().to_string().contains("/x"));
        assert!(read_directory(&directory.path().join("x")).is_err());
    }
}
