//! What must hold before programs load.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::Arc;

use bpf_probes::btf::Btf;
use bpf_probes::kernel::KernelView;
use nix::mount::{MsFlags, mount};
use nix::sys::resource::{RLIM_INFINITY, Resource, setrlimit};
use nix::unistd::Uid;

/// Why nothing can be loaded here.
#[derive(Debug, thiserror::Error)]
pub enum SetupError {
    /// Not root.
    #[error("loading programs into the kernel needs root; run as root or under sudo")]
    NotRoot,
    /// A file with types was given that holds none.
    #[error("--btf {path} cannot be used: {reason}")]
    Btf {
        /// The file.
        path: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The kernel has no types.
    #[error(
        "{path} is missing: this kernel was built without CONFIG_DEBUG_INFO_BTF, without which no program can be made for it"
    )]
    NoBtf {
        /// Where they should be.
        path: String,
    },
}

/// Where the list of active security modules is read.
const SECURITY_FS: &str = "/sys/kernel/security";

/// Makes the machine ready: locked memory (5.10 counts maps against it), and the list of security modules.
///
/// # Errors
/// What cannot be made up for; what may not be needed is only logged.
pub fn prepare(btf: &Path) -> Result<(), SetupError> {
    if !Uid::effective().is_root() {
        return Err(SetupError::NotRoot);
    }
    if !btf.exists() {
        return Err(SetupError::NoBtf { path: btf.display().to_string() });
    }
    if let Err(error) = setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY) {
        tracing::debug!("locked memory stays limited, kernels before 5.11 may refuse maps: {error}");
    }
    mount_security_fs(Path::new(SECURITY_FS));
    Ok(())
}

/// The same view with the types of a file in place of the kernel's own.
///
/// # Errors
/// [`SetupError::Btf`].
pub fn with_types_of(view: &KernelView, path: &Path) -> Result<KernelView, SetupError> {
    let failed = |reason: String| SetupError::Btf { path: path.display().to_string(), reason };
    let bytes = fs::read(path).map_err(|error| failed(error.to_string()))?;
    let btf = Btf::parse(bytes.into()).map_err(|error| failed(error.to_string()))?;
    Ok(KernelView::new(view.facts().clone(), Arc::new(btf)))
}

/// Without the list it is not known whether LSM programs run, and they are not used.
fn mount_security_fs(place: &Path) {
    if place.join("lsm").exists() || !place.is_dir() {
        return;
    }
    if let Err(error) = mount_kernel_fs("securityfs", place, None) {
        tracing::debug!("securityfs could not be mounted at {SECURITY_FS}: {error}");
    }
}

/// Mounts a file system of the kernel, named as its kind, where others expect it.
///
/// # Errors
/// The kernel's refusal.
pub(super) fn mount_kernel_fs(kind: &str, place: &Path, options: Option<&str>) -> io::Result<()> {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    mount(Some(kind), place, Some(kind), flags, options)?;
    tracing::debug!("mounted {kind} at {}", place.display());
    Ok(())
}
