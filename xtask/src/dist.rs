//! `cargo xtask dist`: the archive that is installed on a node.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::{build, terminal};

/// Arguments of `cargo xtask dist`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Where the archive is put.
    #[arg(long, default_value = "target/dist", value_name = "FOLDER")]
    out: PathBuf,
}

/// Builds the release and packs it.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let binaries = build::binaries(&[build::DAEMON, build::TETRA], "release")?;
    let name = format!("enforcer-{}-{}", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
    let work = tempfile::tempdir()?;
    let root = work.path().join(&name);
    let bin = root.join("usr/local/bin");
    fs::create_dir_all(&bin)?;
    for (binary, path) in &binaries {
        fs::copy(path, bin.join(binary)).with_context(|| path.display().to_string())?;
    }
    // Units and scripts that were written for Tetragon name its daemon.
    std::os::unix::fs::symlink("enforcer", bin.join("tetragon"))?;
    let documents = root.join("usr/local/share/doc/enforcer");
    fs::create_dir_all(&documents)?;
    for document in ["LICENSE", "README.md", "CHANGELOG.md", "SECURITY.md"] {
        let from = build::workspace().join(document);
        fs::copy(&from, documents.join(document)).with_context(|| from.display().to_string())?;
    }
    let out = build::workspace().join(&arguments.out);
    fs::create_dir_all(&out)?;
    let archive = out.join(format!("{name}.tar.gz"));
    pack(work.path(), &name, &archive)?;
    let size = fs::metadata(&archive)?.len();
    terminal::line(&format!("{} ({size} bytes)", archive.display()));
    Ok(())
}

/// Equal for equal content: sorted, without times and owners.
fn pack(folder: &Path, name: &str, archive: &Path) -> Result<()> {
    let status = Command::new("tar")
        .args(["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner", "-czf"])
        .arg(archive)
        .arg("-C")
        .arg(folder)
        .arg(name)
        .env("GZIP", "-n")
        .status()
        .context("tar")?;
    if !status.success() {
        bail!("tar: {status}");
    }
    Ok(())
}
