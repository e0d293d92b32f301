//! Fetches kernels from Debian's suites, once, into a cache outside of the checkout; one of them is built.
//!
//! Nothing is installed ([`apt`](super::apt)). Each kernel is a folder `kernels/NAME` that appears by one rename when it is complete; a lock file beside it keeps parallel runs
//! apart.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use super::apt::Apt;
use super::build;
use super::unpack::{self, UnpackError};
use crate::kernels::{Kernel, Origin};

/// Modules that scenarios load; a kernel that has one built in lacks the file, which is no error.
const MODULES: [&str; 3] = ["overlay", "dummy", "veth"];

/// Names the folder of the cache itself.
const CACHE_VARIABLE: &str = "ENFORCER_CACHE";

/// The files of one fetched kernel.
#[derive(Clone, Debug)]
pub struct KernelFiles {
    /// `uname -r`.
    pub release: String,
    /// The kernel as QEMU boots it: an ELF file, or a bzImage that a developer named by its path.
    pub image: PathBuf,
    /// Its types, as in `/sys/kernel/btf/vmlinux`; absent for an image named by its path.
    pub btf: Option<PathBuf>,
    /// Modules, uncompressed, in the order in which they can be loaded.
    pub modules: Vec<PathBuf>,
}

/// The folder of fetched kernels.
#[derive(Clone, Debug)]
pub struct Cache {
    root: PathBuf,
}

/// Why a kernel could not be fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// Neither `ENFORCER_CACHE`, `XDG_CACHE_HOME` nor `HOME` is set.
    #[error("no folder for fetched kernels: set {CACHE_VARIABLE}, XDG_CACHE_HOME or HOME")]
    NoCacheFolder,
    /// A file or folder of the cache could not be used.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// A command could not be started.
    #[error("{command}: {source}; install it (cargo xtask setup)")]
    Start {
        /// Name of the command.
        command: &'static str,
        /// What the system said.
        source: io::Error,
    },
    /// A command failed on each attempt.
    #[error("{command} failed for kernel {kernel} after {attempts} attempts: {message}")]
    Command {
        /// Name of the command.
        command: &'static str,
        /// Which kernel.
        kernel: &'static str,
        /// How often it was tried.
        attempts: u32,
        /// The last lines of what it said.
        message: String,
    },
    /// The suite offers no kernel, or the package has another layout than known.
    #[error("kernel {kernel}: no {what} in its packages")]
    Missing {
        /// Which kernel.
        kernel: &'static str,
        /// What was looked for.
        what: &'static str,
    },
    /// The source of the kernel knows no such setting, or something else it needs is not asked for.
    #[error(
        "kernel {kernel}: the configuration did not take {line}; add what it depends on to tests/src/vm/custom.config"
    )]
    Configuration {
        /// Which kernel.
        kernel: &'static str,
        /// The setting that was left out.
        line: &'static str,
    },
    /// The kernel image could not be taken apart.
    #[error("kernel {kernel}: {source}")]
    Unpack {
        /// Which kernel.
        kernel: &'static str,
        /// Why.
        source: UnpackError,
    },
}

impl Cache {
    /// The cache that the environment names: `$ENFORCER_CACHE`, `$XDG_CACHE_HOME/enforcer` or `~/.cache/enforcer`.
    ///
    /// # Errors
    /// When no such variable is set.
    pub fn from_environment() -> Result<Self, FetchError> {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let root = set(CACHE_VARIABLE)
            .or_else(|| set("XDG_CACHE_HOME").map(|cache| cache.join("enforcer")))
            .or_else(|| set("HOME").map(|home| home.join(".cache/enforcer")))
            .ok_or(FetchError::NoCacheFolder)?;
        Ok(Self { root })
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The files of `kernel` if it was fetched before.
    pub fn find(&self, kernel: &Kernel) -> Option<KernelFiles> {
        let folder = self.root.join("kernels").join(kernel.name);
        match kernel.origin {
            Origin::Built if !build::is_current(&folder) => None,
            Origin::Built | Origin::Packaged => files_in(&folder),
        }
    }

    /// Fetches or builds `kernel` unless it is there; `progress` gets a line for each step that takes time.
    ///
    /// Waits for another process that fetches the same kernel.
    ///
    /// # Errors
    /// When the cache cannot be written, apt fails repeatedly, or the packages are not laid out as known.
    pub fn fetch(
        &self,
        kernel: &'static Kernel,
        progress: &mut dyn FnMut(&str),
    ) -> Result<KernelFiles, FetchError> {
        let kernels = self.root.join("kernels");
        fs::create_dir_all(&kernels).map_err(at(&kernels))?;
        let lock_path = kernels.join(format!("{}.lock", kernel.name));
        let lock = File::create(&lock_path).map_err(at(&lock_path))?;
        lock.lock().map_err(at(&lock_path))?;
        if let Some(files) = self.find(kernel) {
            return Ok(files);
        }
        let work = kernels.join(format!("{}.work", kernel.name));
        remove(&work)?;
        let fetched = match kernel.origin {
            Origin::Packaged => fetch_into(kernel, &work, progress)?,
            Origin::Built => build::build_into(kernel, &work, progress)?,
        };
        let place = kernels.join(kernel.name);
        remove(&place)?;
        fs::rename(&fetched, &place).map_err(at(&place))?;
        remove(&work)?;
        let files =
            self.find(kernel).ok_or(FetchError::Missing { kernel: kernel.name, what: "complete kernel" })?;
        self.publish_btf(&files)?;
        Ok(files)
    }

    /// Forgets `kernel`, so that the next fetch takes what the suite offers then.
    ///
    /// # Errors
    /// When the folder cannot be removed.
    pub fn forget(&self, kernel: &Kernel) -> Result<(), FetchError> {
        remove(&self.root.join("kernels").join(kernel.name))
    }

    /// Copies the kernel's types to `btf/RELEASE`, where tools that want BTF files look.
    fn publish_btf(&self, files: &KernelFiles) -> Result<(), FetchError> {
        let Some(btf) = &files.btf else { return Ok(()) };
        let folder = self.root.join("btf");
        fs::create_dir_all(&folder).map_err(at(&folder))?;
        let target = folder.join(&files.release);
        fs::copy(btf, &target).map_err(at(&target))?;
        Ok(())
    }
}

impl KernelFiles {
    /// A kernel that a developer built: an image (bzImage or ELF with a PVH note) and no modules.
    pub fn from_image(image: PathBuf) -> Self {
        Self { release: image.display().to_string(), image, btf: None, modules: Vec::new() }
    }
}

fn files_in(folder: &Path) -> Option<KernelFiles> {
    let release = fs::read_to_string(folder.join("release")).ok()?;
    let modules = MODULES.iter().map(|name| folder.join(format!("{name}.ko"))).filter(|path| path.exists());
    Some(KernelFiles {
        release: release.trim().to_owned(),
        image: folder.join("vmlinux"),
        btf: Some(folder.join("btf")),
        modules: modules.collect(),
    })
}

/// Downloads and unpacks; returns the finished folder inside `work`.
fn fetch_into(
    kernel: &'static Kernel,
    work: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<PathBuf, FetchError> {
    let apt = Apt::new(kernel.name, kernel.suites, work)?;
    progress(&format!("kernel {}: reading the suite's list of packages", kernel.name));
    apt.update()?;
    let packages = packages(kernel, &apt)?;
    progress(&format!("kernel {}: downloading {}", kernel.name, packages.join(" ")));
    let root = apt.unpack(&packages)?;
    progress(&format!("kernel {}: unpacking", kernel.name));
    collect(kernel.name, &root, &work.join("complete"))
}

/// Names of the packages that hold the newest kernel of the suites.
fn packages(kernel: &'static Kernel, apt: &Apt<'_>) -> Result<Vec<String>, FetchError> {
    let image = apt
        .depends("linux-image-cloud-amd64")?
        .into_iter()
        .find(|name| name.starts_with("linux-image-"))
        .ok_or(FetchError::Missing { kernel: kernel.name, what: "linux-image-cloud-amd64" })?;
    // From 7.x on the image package is empty and names three others.
    let mut packages: Vec<String> = apt
        .depends(&image)?
        .into_iter()
        .filter(|name| {
            ["linux-binary-", "linux-modules-", "linux-base-"].iter().any(|part| name.starts_with(part))
        })
        .collect();
    packages.push(image);
    Ok(packages)
}

/// Takes what is needed out of the packages' files in `root`.
fn collect(kernel: &'static str, root: &Path, target: &Path) -> Result<PathBuf, FetchError> {
    fs::create_dir_all(target).map_err(at(target))?;
    let modules = ["usr/lib/modules", "lib/modules"]
        .iter()
        .find_map(|folder| only_entry(&root.join(folder)))
        .ok_or(FetchError::Missing { kernel, what: "folder of modules" })?;
    let release = modules
        .file_name()
        .and_then(|name| name.to_str())
        .ok_or(FetchError::Missing { kernel, what: "release" })?
        .to_owned();
    let choose = |inside: &str, beside: &str| {
        [modules.join(inside), root.join("boot").join(format!("{beside}-{release}"))]
            .into_iter()
            .find(|path| path.is_file())
    };
    let image_path = choose("vmlinuz", "vmlinuz").ok_or(FetchError::Missing { kernel, what: "vmlinuz" })?;
    let image = fs::read(&image_path).map_err(at(&image_path))?;
    let unpacked = unpack::bz_image(&image).map_err(|source| FetchError::Unpack { kernel, source })?;
    write(&target.join("vmlinux"), &unpacked.vmlinux)?;
    write(&target.join("btf"), &unpacked.btf)?;
    if let Some(config) = choose("config", "config") {
        let place = target.join("config");
        fs::copy(&config, &place).map_err(at(&place))?;
    }
    for name in MODULES {
        if let Some(path) = find_module(&modules.join("kernel"), name) {
            let packed = fs::read(&path).map_err(at(&path))?;
            let module = if path.extension().is_some_and(|extension| extension == "xz") {
                unpack::decompress("xz", &packed).map_err(|source| FetchError::Unpack {
                    kernel,
                    source: UnpackError::Tool { tool: "xz", source },
                })?
            } else {
                packed
            };
            write(&target.join(format!("{name}.ko")), &module)?;
        }
    }
    // Last: a folder with this file is a complete one.
    write(&target.join("release"), release.as_bytes())?;
    Ok(target.to_path_buf())
}

/// `NAME.ko` or `NAME.ko.xz` somewhere below `folder`.
fn find_module(folder: &Path, name: &str) -> Option<PathBuf> {
    for entry in fs::read_dir(folder).ok()?.flatten() {
        let path = entry.path();
        if path.is_dir() {
            if let Some(found) = find_module(&path, name) {
                return Some(found);
            }
        } else if let Some(file) = path.file_name().and_then(|file| file.to_str())
            && (file == format!("{name}.ko") || file == format!("{name}.ko.xz"))
        {
            return Some(path);
        }
    }
    None
}

fn only_entry(folder: &Path) -> Option<PathBuf> {
    fs::read_dir(folder).ok()?.flatten().map(|entry| entry.path()).next()
}

pub(super) fn write(path: &Path, content: &[u8]) -> Result<(), FetchError> {
    let mut file = File::create(path).map_err(at(path))?;
    file.write_all(content).map_err(at(path))
}

pub(super) fn remove(folder: &Path) -> Result<(), FetchError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(folder)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

pub(super) fn at(path: &Path) -> impl Fn(io::Error) -> FetchError {
    let path = path.to_path_buf();
    move |source| FetchError::File { path: path.clone(), source }
}
