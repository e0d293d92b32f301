//! Fetches stock kernels from Debian's suites, once, into a cache outside of the checkout.
//!
//! Nothing is installed: apt works on a throw-away sources list with lists and archives of its own, so a suite
//! other than the machine's is reached, and signatures and hashes are checked by apt itself. Each kernel is a
//! folder `kernels/NAME` that appears by one rename when it is complete; a lock file beside it keeps parallel runs
//! apart.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use super::unpack::{self, UnpackError};
use crate::kernels::{Archive, Kernel};

/// Modules that scenarios load; a kernel that has one built in lacks the file, which is no error.
const MODULES: [&str; 3] = ["overlay", "dummy", "veth"];

/// Names the folder of the cache itself.
const CACHE_VARIABLE: &str = "ENFORCER_CACHE";

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
const ATTEMPTS: u32 = 4;

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
        files_in(&self.root.join("kernels").join(kernel.name))
    }

    /// Fetches `kernel` unless it is there; `progress` gets a line for each step that takes time.
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
        let fetched = fetch_into(kernel, &work, progress)?;
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
    let root = work.join("root");
    for folder in [work.join("lists/partial"), work.join("cache/archives/partial"), root.clone()] {
        fs::create_dir_all(&folder).map_err(at(&folder))?;
    }
    let apt = Apt { kernel, work };
    progress(&format!("kernel {}: reading the suite's list of packages", kernel.name));
    apt.update()?;
    let packages = apt.packages()?;
    progress(&format!("kernel {}: downloading {}", kernel.name, packages.join(" ")));
    apt.download(&packages)?;
    for package in fs::read_dir(work).map_err(at(work))? {
        let package = package.map_err(at(work))?.path();
        if package.extension().is_some_and(|extension| extension == "deb") {
            let mut extract = Command::new("dpkg-deb");
            extract.arg("-x").arg(&package).arg(&root);
            run("dpkg-deb", kernel.name, 1, &mut extract)?;
        }
    }
    progress(&format!("kernel {}: unpacking", kernel.name));
    collect(kernel.name, &root, &work.join("complete"))
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

/// apt with a sources list, lists and archives of its own.
struct Apt<'work> {
    kernel: &'static Kernel,
    work: &'work Path,
}

impl Apt<'_> {
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let work = self.work.display();
        for option in [
            format!("Dir::Etc::sourcelist={work}/sources.list"),
            "Dir::Etc::sourceparts=/dev/null".to_owned(),
            format!("Dir::State::lists={work}/lists"),
            format!("Dir::Cache={work}/cache"),
            "Acquire::Languages=none".to_owned(),
            "Acquire::Retries=3".to_owned(),
            // A suite past its end of life keeps its last signature.
            "Acquire::Check-Valid-Until=false".to_owned(),
            "Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false".to_owned(),
            "APT::Architecture=amd64".to_owned(),
            "APT::Sandbox::User=root".to_owned(),
        ] {
            command.arg("-o").arg(option);
        }
        command.current_dir(self.work).env("LC_ALL", "C");
        command
    }

    /// Reads the suites, from the machine's mirror first and then from the public ones.
    fn update(&self) -> Result<(), FetchError> {
        let mut result = Ok(());
        for mirrors in mirrors() {
            let mut sources = String::new();
            let signed =
                if Path::new(KEYRING).exists() { format!("[signed-by={KEYRING}] ") } else { String::new() };
            for suite in self.kernel.suites {
                let mirror = match suite.archive {
                    Archive::Main => &mirrors.main,
                    Archive::Security => &mirrors.security,
                };
                sources.push_str(&["deb ", &signed, mirror, " ", suite.name, " main\n"].concat());
            }
            write(&self.work.join("sources.list"), sources.as_bytes())?;
            let mut command = self.command("apt-get");
            // Without the option apt-get calls a mirror that cannot be reached a success.
            command.args(["-q", "-o", "APT::Update::Error-Mode=any", "update"]);
            result = run("apt-get update", self.kernel.name, 2, &mut command).map(drop);
            if result.is_ok() {
                return Ok(());
            }
        }
        result
    }

    /// Names of the packages that hold the newest kernel of the suites.
    fn packages(&self) -> Result<Vec<String>, FetchError> {
        let image = self
            .depends("linux-image-cloud-amd64")?
            .into_iter()
            .find(|name| name.starts_with("linux-image-"))
            .ok_or(FetchError::Missing { kernel: self.kernel.name, what: "linux-image-cloud-amd64" })?;
        // From 7.x on the image package is empty and names three others.
        let mut packages: Vec<String> = self
            .depends(&image)?
            .into_iter()
            .filter(|name| {
                ["linux-binary-", "linux-modules-", "linux-base-"].iter().any(|part| name.starts_with(part))
            })
            .collect();
        packages.push(image);
        Ok(packages)
    }

    fn depends(&self, package: &str) -> Result<Vec<String>, FetchError> {
        let mut command = self.command("apt-cache");
        command.args(["--important", "depends", package]);
        let output = run("apt-cache depends", self.kernel.name, 1, &mut command)?;
        let text = String::from_utf8_lossy(&output.stdout);
        let names =
            text.lines().filter_map(|line| line.trim_start_matches([' ', '|']).strip_prefix("Depends: "));
        Ok(names.map(|name| name.trim().to_owned()).collect())
    }

    fn download(&self, packages: &[String]) -> Result<(), FetchError> {
        let mut command = self.command("apt-get");
        command.args(["-q", "download"]).args(packages);
        run("apt-get download", self.kernel.name, ATTEMPTS, &mut command).map(drop)
    }
}

/// Where the two archives are served.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Mirrors {
    main: String,
    security: String,
}

/// The machine's own mirrors first, then the public ones, then the archive of suites past their end of life.
fn mirrors() -> Vec<Mirrors> {
    let mut text = fs::read_to_string("/etc/apt/sources.list").unwrap_or_default();
    let mut parts: Vec<PathBuf> = fs::read_dir("/etc/apt/sources.list.d")
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.path())
        .collect();
    parts.sort();
    for part in parts {
        text.push('\n');
        text.push_str(&fs::read_to_string(part).unwrap_or_default());
    }
    let public = Mirrors {
        main: "http://deb.debian.org/debian".to_owned(),
        security: "http://deb.debian.org/debian-security".to_owned(),
    };
    let archive = Mirrors {
        main: "http://archive.debian.org/debian".to_owned(),
        security: "http://archive.debian.org/debian-security".to_owned(),
    };
    let mut all = vec![mirrors_in(&text, &public), public, archive];
    all.dedup();
    all
}

/// Reads both formats of sources; what they do not name comes from `fallback`.
fn mirrors_in(sources: &str, fallback: &Mirrors) -> Mirrors {
    let words = sources
        .lines()
        .filter(|line| !line.trim_start().starts_with('#'))
        .flat_map(str::split_whitespace)
        .filter(|word| word.starts_with("http://") || word.starts_with("https://"))
        .map(|word| word.trim_end_matches('/'));
    let mut found = Mirrors { main: String::new(), security: String::new() };
    for word in words {
        if word.ends_with("/debian") && found.main.is_empty() {
            word.clone_into(&mut found.main);
        }
        if word.ends_with("/debian-security") && found.security.is_empty() {
            word.clone_into(&mut found.security);
        }
    }
    if found.main.is_empty() {
        found.main.clone_from(&fallback.main);
    }
    if found.security.is_empty() {
        found.security.clone_from(&fallback.security);
    }
    found
}

/// Runs `command` until it succeeds, at most `attempts` times with growing pauses.
fn run(
    name: &'static str,
    kernel: &'static str,
    attempts: u32,
    command: &mut Command,
) -> Result<Output, FetchError> {
    let mut message = String::new();
    for attempt in 1..=attempts {
        let output = command
            .stdin(Stdio::null())
            .output()
            .map_err(|source| FetchError::Start { command: name, source })?;
        if output.status.success() {
            return Ok(output);
        }
        let said = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = said.lines().rev().take(6).collect();
        message = lines.into_iter().rev().collect::<Vec<_>>().join("; ");
        if attempt < attempts {
            thread::sleep(Duration::from_secs(u64::from(attempt) * 3));
        }
    }
    Err(FetchError::Command { command: name, kernel, attempts, message })
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

fn write(path: &Path, content: &[u8]) -> Result<(), FetchError> {
    let mut file = File::create(path).map_err(at(path))?;
    file.write_all(content).map_err(at(path))
}

fn remove(folder: &Path) -> Result<(), FetchError> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(folder)(error)),
        Ok(()) | Err(_) => Ok(()),
    }
}

fn at(path: &Path) -> impl Fn(io::Error) -> FetchError {
    let path = path.to_path_buf();
    move |source| FetchError::File { path: path.clone(), source }
}

#[cfg(test)]
mod tests {
    use super::{Mirrors, mirrors_in};

    fn fallback() -> Mirrors {
        Mirrors {
            main: "http://public/debian".to_owned(),
            security: "http://public/debian-security".to_owned(),
        }
    }

    #[test]
    fn mirrors_are_read_from_deb822_sources() {
        let sources = "Types: deb\n# http://old/debian\nURIs: http://local/debian/\nSuites: trixie\n\
                       Types: deb\nURIs: https://local/debian-security\n";
        let found = mirrors_in(sources, &fallback());
        assert_eq!(found.main, "http://local/debian");
        assert_eq!(found.security, "https://local/debian-security");
    }

    #[test]
    fn mirrors_are_read_from_one_line_sources_and_completed_by_the_public_ones() {
        let sources =
            "deb [arch=amd64] http://local/debian trixie main\ndeb https://other/cloud trixie main\n";
        let found = mirrors_in(sources, &fallback());
        assert_eq!(found.main, "http://local/debian");
        assert_eq!(found.security, "http://public/debian-security");
    }
}
