//! The kernel's own file systems, wherever they are mounted, or not at all.

use std::ffi::CStr;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use super::sys;

/// A file system that shows the kernel's inside.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum KernelFs {
    Trace,
    Debug,
    Security,
}

impl KernelFs {
    const fn name(self) -> &'static CStr {
        match self {
            Self::Trace => c"tracefs",
            Self::Debug => c"debugfs",
            Self::Security => c"securityfs",
        }
    }

    /// Usual places, and something that is there when it is mounted.
    const fn places(self) -> (&'static [&'static str], &'static str) {
        match self {
            Self::Trace => (&["/sys/kernel/tracing", "/sys/kernel/debug/tracing"], "events"),
            Self::Debug => (&["/sys/kernel/debug"], "tracing"),
            Self::Security => (&["/sys/kernel/security"], "lsm"),
        }
    }

    /// Its root: where it is mounted, or a mount of our own that nobody else sees.
    ///
    /// # Errors
    /// Why it could not be mounted: the kernel lacks it, or does not let us.
    pub(super) fn root(self) -> io::Result<KernelFsRoot> {
        let (places, sign) = self.places();
        if let Some(path) = places.iter().map(Path::new).find(|path| path.join(sign).exists()) {
            return Ok(KernelFsRoot { path: path.to_owned(), _mount: None });
        }
        let mount =
            sys::detached_mount(self.name()).map_err(|error| io::Error::from_raw_os_error(error.errno))?;
        let path = PathBuf::from(format!("/proc/self/fd/{}", mount.as_raw_fd()));
        Ok(KernelFsRoot { path, _mount: Some(mount) })
    }
}

/// Root of such a file system; the path holds while this lives.
#[derive(Debug)]
pub(super) struct KernelFsRoot {
    path: PathBuf,
    _mount: Option<OwnedFd>,
}

impl KernelFsRoot {
    pub(super) fn path(&self) -> &Path {
        &self.path
    }
}
