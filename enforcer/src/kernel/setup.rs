//! What must hold before programs load.

use std::fs;
use std::io;
use std::path::Path;

use bpf_probes::btf::Btf;
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
    /// The kernel shows no types.
    #[error(
        "{KERNEL_TYPES} is missing: this kernel was built without CONFIG_DEBUG_INFO_BTF, and no program can be made for it without its types; \
         give a file that has them by --btf FILE"
    )]
    NoBtf,
}

/// Where a kernel shows its types.
pub const KERNEL_TYPES: &str = "/sys/kernel/btf/vmlinux";
/// Where the list of active security modules is read.
const SECURITY_FS: &str = "/sys/kernel/security";

/// Makes the machine ready: locked memory (5.10 counts maps against it), and the list of security modules. Types are the kernel's own, unless
/// `types` names a file with them.
///
/// # Errors
/// What cannot be made up for; what may not be needed is only logged.
pub fn prepare(types: Option<&Path>) -> Result<(), SetupError> {
    if !Uid::effective().is_root() {
        return Err(SetupError::NotRoot);
    }
    if types.is_none() && !Path::new(KERNEL_TYPES).exists() {
        return Err(SetupError::NoBtf);
    }
    if let Err(error) = setrlimit(Resource::RLIMIT_MEMLOCK, RLIM_INFINITY, RLIM_INFINITY) {
        tracing::debug!("locked memory stays limited, kernels before 5.11 may refuse maps: {error}");
    }
    mount_security_fs(Path::new(SECURITY_FS));
    Ok(())
}

/// The types in a file.
///
/// # Errors
/// [`SetupError::Btf`].
pub fn types_in(path: &Path) -> Result<Btf, SetupError> {
    let failed = |reason: String| SetupError::Btf { path: path.display().to_string(), reason };
    let bytes = fs::read(path).map_err(|error| failed(error.to_string()))?;
    Btf::parse(bytes.into()).map_err(|error| failed(error.to_string()))
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
