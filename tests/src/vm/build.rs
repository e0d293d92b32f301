//! Builds the custom kernel, once: Debian's source of 6.12 with what no stock kernel has.
//!
//! No kernel of Debian has `CONFIG_BPF_KPROBE_OVERRIDE`. The configuration (`custom.config`) is laid over `allnoconfig`, so that
//! little else is built than scenarios need: some minutes on two CPUs, most of them for the debug information that the kernel's
//! types are made of. What is left is the ELF file that QEMU boots, stripped, and its types.

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;

use super::apt::{Apt, last_lines, run};
use super::kernel::{FetchError, at, write};
use super::unpack;
use crate::kernels::Kernel;

/// The package of the source; a tar file of the same name lies inside.
const SOURCE: &str = "linux-source-6.12";
/// What is asked of the configuration; the rest is off.
const CONFIG: &str = include_str!("custom.config");
/// A copy of [`CONFIG`] beside a kernel that was built by it.
const CONFIG_COPY: &str = "custom.config";
/// Files of the source between two words about how far it is.
const STRIDE: usize = 250;

/// Whether the kernel in `folder` was built by the configuration of today.
pub(super) fn is_current(folder: &Path) -> bool {
    fs::read_to_string(folder.join(CONFIG_COPY)).is_ok_and(|config| config == CONFIG)
}

/// Downloads, configures and builds; returns the finished folder inside `work`.
pub(super) fn build_into(
    kernel: &'static Kernel,
    work: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<PathBuf, FetchError> {
    let name = kernel.name;
    let apt = Apt::new(name, kernel.suites, work)?;
    progress(&format!("kernel {name}: downloading {SOURCE}"));
    apt.update()?;
    let root = apt.unpack(&[SOURCE.to_owned()])?;
    progress(&format!("kernel {name}: unpacking the source"));
    let packed = root.join("usr/src").join(SOURCE).with_extension("12.tar.xz");
    let mut unpack = Command::new("tar");
    unpack.arg("-xJf").arg(&packed).arg("-C").arg(work).arg("--exclude=*/Documentation/*");
    run("tar", name, 1, &mut unpack)?;
    let tree = work.join(SOURCE);
    // The configuration reads it, and all else that was left out is not missed.
    write(&tree.join("Documentation/Kconfig"), b"")?;
    configure(name, &tree)?;
    compile(name, &tree, progress)?;
    collect(name, &tree, &work.join("complete"))
}

/// Writes `.config`, and checks that nothing asked for was left out.
fn configure(kernel: &'static str, tree: &Path) -> Result<(), FetchError> {
    let asked = tree.join("asked.config");
    write(&asked, CONFIG.as_bytes())?;
    let mut make = make(tree);
    make.arg("allnoconfig").env("KCONFIG_ALLCONFIG", &asked);
    run("make", kernel, 1, &mut make)?;
    let path = tree.join(".config");
    let written = fs::read_to_string(&path).map_err(at(&path))?;
    let lacking = CONFIG
        .lines()
        .filter(|line| line.starts_with("CONFIG_"))
        .find(|line| !written.lines().any(|other| other == *line));
    match lacking {
        Some(line) => Err(FetchError::Configuration { kernel, line }),
        None => Ok(()),
    }
}

/// Builds `vmlinux`, and says how far it is.
fn compile(kernel: &'static str, tree: &Path, progress: &mut dyn FnMut(&str)) -> Result<(), FetchError> {
    let jobs = thread::available_parallelism().map_or(1, usize::from);
    progress(&format!("kernel {kernel}: building with {jobs} jobs; some minutes, once"));
    let errors = tree.join("build.log");
    let mut child = make(tree)
        .arg(format!("-j{jobs}"))
        .arg("vmlinux")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(&errors).map_err(at(&errors))?)
        .spawn()
        .map_err(|source| FetchError::Start { command: "make", source })?;
    if let Some(output) = child.stdout.take() {
        let steps = BufReader::new(output).lines().map_while(Result::ok);
        for (index, step) in steps.enumerate() {
            if index % STRIDE == STRIDE - 1 {
                progress(&format!("kernel {kernel}: {} steps done, now {}", index + 1, step.trim()));
            }
        }
    }
    let status = child.wait().map_err(|source| FetchError::Start { command: "make", source })?;
    if status.success() {
        return Ok(());
    }
    let message = last_lines(&fs::read(&errors).unwrap_or_default());
    Err(FetchError::Command { command: "make", kernel, attempts: 1, message })
}

/// Takes what is needed out of the tree.
fn collect(kernel: &'static str, tree: &Path, target: &Path) -> Result<PathBuf, FetchError> {
    fs::create_dir_all(target).map_err(at(target))?;
    let vmlinux = target.join("vmlinux");
    let mut strip = Command::new("strip");
    strip.arg("-s").arg("-o").arg(&vmlinux).arg(tree.join("vmlinux"));
    run("strip", kernel, 1, &mut strip)?;
    let image = fs::read(&vmlinux).map_err(at(&vmlinux))?;
    let btf = unpack::section(&image, ".BTF").map_err(|source| FetchError::Unpack { kernel, source })?;
    write(&target.join("btf"), btf)?;
    for (from, to) in [(".config", "config"), ("include/config/kernel.release", "release")] {
        let (from, to) = (tree.join(from), target.join(to));
        fs::copy(&from, &to).map_err(at(&from))?;
    }
    write(&target.join(CONFIG_COPY), CONFIG.as_bytes())?;
    Ok(target.to_path_buf())
}

/// `make` with nothing of the environment that the kernel's build would listen to, after everything else that wants a CPU.
fn make(tree: &Path) -> Command {
    let mut make = Command::new("nice");
    make.args(["-n", "19", "make", "-C"])
        .arg(tree)
        .env("LC_ALL", "C")
        .env("KBUILD_BUILD_TIMESTAMP", "1")
        .env("KBUILD_BUILD_USER", "enforcer");
    for name in ["ARCH", "CROSS_COMPILE", "CC", "CFLAGS", "LDFLAGS", "MAKEFLAGS", "MAKELEVEL"] {
        make.env_remove(name);
    }
    make
}
