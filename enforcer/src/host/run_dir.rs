//! The run directory.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

/// Why there is no run directory.
#[derive(Debug, thiserror::Error)]
#[error("the run directory {path} cannot be made: {source}")]
pub struct RunDirError {
    path: PathBuf,
    source: io::Error,
}

/// Makes the run directory with mode 0755, whatever the umask; one that exists stays as it is.
///
/// # Errors
/// When it cannot be made, or is something else.
pub fn make_run_dir(path: &Path) -> Result<(), RunDirError> {
    let failed = |source| RunDirError { path: path.to_owned(), source };
    match fs::metadata(path) {
        Ok(metadata) if metadata.is_dir() => return Ok(()),
        Ok(_) => return Err(failed(io::ErrorKind::NotADirectory.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(failed(error)),
    }
    DirBuilder::new().recursive(true).mode(0o755).create(path).map_err(failed)?;
    fs::set_permissions(path, Permissions::from_mode(0o755)).map_err(failed)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn it_is_made_with_its_parents_and_an_existing_one_keeps_its_mode() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b");
        make_run_dir(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o755);
        fs::set_permissions(&path, Permissions::from_mode(0o700)).unwrap();
        make_run_dir(&path).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o700);
    }

    #[test]
    fn a_file_in_its_place_is_an_error() {
        let file = tempfile::NamedTempFile::new().unwrap();
        assert!(make_run_dir(file.path()).unwrap_err().to_string().contains("run directory"));
    }
}
