//! Installs what the chores need, through apt, and fetches the stock kernels; says what it does.
//!
//! The custom kernel takes minutes to build: `cargo xtask vm build-kernel` does, or the first test that boots it.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use e2e::kernels::{KERNELS, Origin};
use e2e::vm::Cache;

use crate::terminal;

/// What each package is needed for, and a file that shows that it is there.
const PACKAGES: [(&str, &str, &str); 19] = [
    ("gcc", "/usr/bin/cc", "to link, and to build libbpf"),
    ("g++", "/usr/bin/c++", "to build libFuzzer"),
    ("make", "/usr/bin/make", "to build libbpf"),
    ("pkg-config", "/usr/bin/pkg-config", "to build libbpf"),
    ("libelf-dev", "/usr/include/libelf.h", "to build libbpf"),
    ("zlib1g-dev", "/usr/include/zlib.h", "to build libbpf"),
    ("binutils", "/usr/bin/strip", "to pack machines"),
    ("libc-bin", "/usr/bin/ldd", "to pack machines"),
    ("busybox-static", "/usr/bin/busybox", "the shell of machines"),
    ("cpio", "/usr/bin/cpio", "to check what was packed"),
    ("xz-utils", "/usr/bin/xz", "to unpack kernels"),
    ("zstd", "/usr/bin/zstd", "to unpack kernels"),
    ("lz4", "/usr/bin/lz4", "to unpack kernels"),
    ("qemu-system-x86", "/usr/bin/qemu-system-x86_64", "to run machines"),
    ("flex", "/usr/bin/flex", "to build the custom kernel"),
    ("bison", "/usr/bin/bison", "to build the custom kernel"),
    ("bc", "/usr/bin/bc", "to build the custom kernel"),
    ("pahole", "/usr/bin/pahole", "to build the custom kernel"),
    ("ca-certificates", "/etc/ssl/certs/ca-certificates.crt", "to fetch crates"),
];

/// Arguments of `cargo xtask setup`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Fetch the kernels again, to take what the suites offer now.
    #[arg(long)]
    refresh_kernels: bool,
}

/// Installs and fetches everything.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    packages()?;
    let cache = Cache::from_environment()?;
    for kernel in KERNELS.iter().filter(|kernel| kernel.origin == Origin::Packaged) {
        if arguments.refresh_kernels {
            cache.forget(kernel)?;
        }
        let files = cache.fetch(kernel, &mut |text| terminal::progress(text))?;
        terminal::progress(&format!("kernel {}: {}", kernel.name, files.release));
    }
    Ok(())
}

/// Installs the packages that are missing.
pub(crate) fn packages() -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    for (package, why) in &missing {
        terminal::progress(&format!("missing: {package}, {why}"));
    }
    let names: Vec<&str> = missing.iter().map(|(package, _)| *package).collect();
    if !nix::unistd::geteuid().is_root() {
        bail!("run as root: apt-get install {}", names.join(" "));
    }
    apt(&["update"])?;
    let mut install = vec!["install", "--yes", "--no-install-recommends"];
    install.extend(names);
    apt(&install)
}

/// Packages that are not installed, and what for.
pub(crate) fn missing() -> Vec<(&'static str, &'static str)> {
    let absent = PACKAGES.iter().filter(|(_, file, _)| !Path::new(file).exists());
    absent.map(|(package, _, why)| (*package, *why)).collect()
}

fn apt(arguments: &[&str]) -> Result<()> {
    terminal::progress(&format!("apt-get {}", arguments.join(" ")));
    let status = Command::new("apt-get")
        .args(["-q", "-o", "Acquire::Retries=3"])
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .status()
        .context("apt-get; this chore knows Debian and its relatives only")?;
    if !status.success() {
        bail!("apt-get {} failed: {status}", arguments.join(" "));
    }
    Ok(())
}
