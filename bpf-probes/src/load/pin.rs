//! Names in a BPF file system, by which links and maps outlive the process that made them.
//!
//! Whoever ends without a word (SIGKILL, a panic) leaves its pins behind: the programs go on. Only [`Drop`] in an orderly run takes a pin away, and not once
//! [`PinFolder::keep`] was called.

use std::ffi::CString;
use std::fs::{self, DirBuilder};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::map::Map;
use super::sys::{self, SysError};

/// `f_type` of a BPF file system (`include/uapi/linux/magic.h`).
pub const BPF_FS_MAGIC: u32 = 0xcafe_4a11;

/// Why something has no name in the file system.
#[derive(Debug, thiserror::Error)]
pub enum PinError {
    /// The directory for it cannot be made.
    #[error("{} cannot be made: {source}", path.display())]
    Folder {
        /// The directory.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The kernel refused.
    #[error("{} cannot be pinned: {error}", path.display())]
    Refused {
        /// The name it was to have.
        path: PathBuf,
        /// What came back.
        error: SysError,
    },
    /// The attachment ends with the process whatever it does: kprobes, uprobes and tracepoints are links since 5.15 only.
    #[error(
        "program {program} cannot stay attached on its own: this kernel has no links of perf events (5.15)"
    )]
    NoLink {
        /// The program.
        program: String,
    },
}

/// A directory of pins.
#[derive(Debug)]
pub struct PinFolder {
    path: PathBuf,
    kept: AtomicBool,
}

impl PinFolder {
    /// Makes the directory `path`, whose parents are made as well; it must be new, and in a BPF file system.
    ///
    /// # Errors
    /// [`PinError::Folder`].
    pub fn create(path: PathBuf) -> Result<Arc<Self>, PinError> {
        let failed = |source| PinError::Folder { path: path.clone(), source };
        let mut builder = DirBuilder::new();
        builder.mode(0o700);
        if let Some(parent) = path.parent() {
            builder.recursive(true).create(parent).map_err(failed)?;
        }
        builder.recursive(false).create(&path).map_err(failed)?;
        Ok(Arc::new(Self { path, kept: AtomicBool::new(false) }))
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes a directory in this one, which is kept with it.
    ///
    /// # Errors
    /// [`PinError::Folder`].
    pub fn make_folder(&self, name: &str) -> Result<(), PinError> {
        let path = self.path.join(name);
        let made = DirBuilder::new().mode(0o700).create(&path);
        made.map_err(|source| PinError::Folder { path, source })
    }

    /// Pins a map at `name`, a path in this directory without dots.
    ///
    /// # Errors
    /// [`PinError::Refused`].
    pub fn pin_map(self: &Arc<Self>, map: &Map, name: &str) -> Result<Pin, PinError> {
        self.pin(map.as_fd(), name)
    }

    pub(super) fn pin(self: &Arc<Self>, object: BorrowedFd<'_>, name: &str) -> Result<Pin, PinError> {
        let path = self.path.join(name);
        let refused = |error| PinError::Refused { path: path.clone(), error };
        let text = CString::new(path.as_os_str().as_bytes());
        let text = text.map_err(|_nul| refused(SysError::new("bpf(BPF_OBJ_PIN)", libc::EINVAL)))?;
        sys::object_pin(object, &text).map_err(refused)?;
        Ok(Pin { path, folder: Arc::clone(self) })
    }

    /// From now on pins stay when their owners are dropped: what is pinned goes on after the end of the process.
    pub fn keep(&self) {
        self.kept.store(true, Ordering::Release);
    }

    /// Whether pins stay when they are dropped. A panic is no orderly end either.
    fn is_kept(&self) -> bool {
        self.kept.load(Ordering::Acquire) || std::thread::panicking()
    }
}

impl Drop for PinFolder {
    fn drop(&mut self) {
        if !self.is_kept() {
            // what is left in it is somebody else's, or could not be removed before
            let _left = fs::remove_dir_all(&self.path);
        }
    }
}

/// Holds an object that has a name, so that it stays when the name is taken away.
///
/// # Errors
/// The kernel's answer: `ENOENT` where there is no such name, `EINVAL` where it is none of an object.
pub(super) fn hold_pinned(path: &Path) -> Result<OwnedFd, SysError> {
    let text = CString::new(path.as_os_str().as_bytes());
    sys::object_get(&text.map_err(|_nul| SysError::new("bpf(BPF_OBJ_GET)", libc::EINVAL))?)
}

/// The name of an object. Dropping it takes the name away, unless its folder is kept.
#[derive(Debug)]
#[must_use = "the name is taken away when this is dropped"]
pub struct Pin {
    path: PathBuf,
    folder: Arc<PinFolder>,
}

impl Drop for Pin {
    fn drop(&mut self) {
        if !self.folder.is_kept() {
            let _gone = fs::remove_file(&self.path);
        }
    }
}
