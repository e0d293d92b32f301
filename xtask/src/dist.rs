//! `cargo xtask dist`: the archive that is installed on a node, with what is in it, checksums and their signature.

mod bill;
mod sums;

use std::collections::BTreeMap;
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
    /// Sign the checksums with this private key (PEM, ECDSA P-256).
    #[arg(long, value_name = "FILE")]
    sign_key: Option<PathBuf>,
}

/// Builds the release and packs it.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let binaries = build::binaries_that_know(&[build::DAEMON, build::TETRA], "release", &facts())?;
    let name = format!("enforcer-{}-{}", env!("CARGO_PKG_VERSION"), std::env::consts::ARCH);
    let work = tempfile::tempdir()?;
    lay_out(&work.path().join(&name), &binaries)?;
    let out = build::workspace().join(&arguments.out);
    fs::create_dir_all(&out)?;
    let archive = out.join(format!("{name}.tar.gz"));
    pack(work.path(), &name, &archive)?;
    let bill = out.join(format!("{name}.cdx.json"));
    fs::write(&bill, bill::bill(env!("CARGO_PKG_VERSION"))?)?;
    let sums = sums::sum(&out, &[&format!("{name}.tar.gz"), &format!("{name}.cdx.json")])?;
    let mut published = vec![archive, bill, sums.clone()];
    if let Some(key) = &arguments.sign_key {
        published.push(sums::sign(&sums, key)?);
    }
    for path in published {
        terminal::line(&format!("{} ({} bytes)", path.display(), fs::metadata(&path)?.len()));
    }
    Ok(())
}

/// What `tetra version --build` and `tetra info` say of this build; nothing where git does not tell. The date is that of the commit, so that equal sources
/// make equal binaries.
fn facts() -> Vec<(&'static str, String)> {
    let git = |words: &[&str]| {
        let output = Command::new("git").args(words).current_dir(build::workspace()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let tree = git(&["status", "--porcelain"])
        .map(|changes| if changes.is_empty() { "clean" } else { "dirty" }.to_owned());
    let known = [
        ("ENFORCER_GIT_COMMIT", git(&["rev-parse", "HEAD"])),
        ("ENFORCER_GIT_DATE", git(&["log", "-1", "--format=%cI"])),
        ("ENFORCER_GIT_TREE", tree),
    ];
    known.into_iter().filter_map(|(name, value)| Some((name, value?))).collect()
}

/// Where files of `xtask/dist` go.
const FILES: [(&str, &str); 3] =
    [("install.sh", ""), ("uninstall.sh", ""), ("enforcer.service", "usr/lib/systemd/system")];
/// Options that an installed daemon starts with; those in /etc win over them.
const OPTIONS: &str = "tetragon.conf.d";

/// Words with which a binary writes what a shell and a reader of manuals look for, and where that goes.
const WRITTEN: [(build::Binary, &[&str], &str); 8] = [
    (build::TETRA, &["completion", "bash"], "usr/local/share/bash-completion/completions/tetra"),
    (build::TETRA, &["completion", "zsh"], "usr/local/share/zsh/site-functions/_tetra"),
    (build::TETRA, &["completion", "fish"], "usr/local/share/fish/vendor_completions.d/tetra.fish"),
    (build::TETRA, &["man"], "usr/local/share/man/man1/tetra.1"),
    (build::DAEMON, &["completion", "bash"], "usr/local/share/bash-completion/completions/enforcer"),
    (build::DAEMON, &["completion", "zsh"], "usr/local/share/zsh/site-functions/_enforcer"),
    (build::DAEMON, &["completion", "fish"], "usr/local/share/fish/vendor_completions.d/enforcer.fish"),
    (build::DAEMON, &["man"], "usr/local/share/man/man8/enforcer.8"),
];

/// Puts everything into `root`, whose folders are those of a node, beside the scripts that install and uninstall.
fn lay_out(root: &Path, binaries: &BTreeMap<String, PathBuf>) -> Result<()> {
    for (binary, path) in binaries {
        copy(path, &root.join("usr/local/bin").join(binary))?;
    }
    // Units and scripts that were written for Tetragon name its daemon.
    std::os::unix::fs::symlink("enforcer", root.join("usr/local/bin/tetragon"))?;
    for document in ["LICENSE", "README.md", "CHANGELOG.md", "SECURITY.md"] {
        copy(&build::workspace().join(document), &root.join("usr/local/share/doc/enforcer").join(document))?;
    }
    let sources = build::workspace().join("xtask/dist");
    for (file, folder) in FILES {
        copy(&sources.join(file), &root.join(folder).join(file))?;
    }
    for option in fs::read_dir(sources.join(OPTIONS))? {
        let option = option?;
        copy(&option.path(), &root.join("usr/local/lib/tetragon").join(OPTIONS).join(option.file_name()))?;
    }
    for ((_, name), words, path) in WRITTEN {
        let binary = binaries.get(name).with_context(|| format!("no {name}"))?;
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap_or(root))?;
        let written =
            Command::new(binary).args(words).output().with_context(|| binary.display().to_string())?;
        if !written.status.success() {
            bail!("{name} {}: {}", words.join(" "), written.status);
        }
        fs::write(path, written.stdout)?;
    }
    Ok(())
}

/// Copies a file with its mode, and makes the folders for it.
fn copy(from: &Path, to: &Path) -> Result<()> {
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder)?;
    }
    fs::copy(from, to).with_context(|| from.display().to_string())?;
    Ok(())
}

/// Equal for equal content: sorted, without times and owners.
fn pack(folder: &Path, name: &str, archive: &Path) -> Result<()> {
    let status = Command::new("tar")
        .args(["--sort=name", "--mtime=@0", "--owner=0", "--group=0", "--numeric-owner"])
        .args(["--use-compress-program=gzip -n", "-cf"])
        .arg(archive)
        .arg("-C")
        .arg(folder)
        .arg(name)
        .status()
        .context("tar")?;
    if !status.success() {
        bail!("tar: {status}");
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    /// An archive with programs that say which version they are, laid out in a folder.
    fn laid_out(version: &str) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let program = |name: &str| {
            let path = folder.path().join(name);
            fs::write(&path, format!("#!/bin/sh\necho {version} $1\n")).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
            (name.to_owned(), path)
        };
        lay_out(&folder.path().join("archive"), &["enforcer", "tetra"].map(program).into()).unwrap();
        folder
    }

    fn script(archive: &tempfile::TempDir, name: &str, node: &Path) {
        let script = archive.path().join("archive").join(name);
        let output = Command::new(script).env("DESTDIR", node).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn text(path: PathBuf) -> String {
        fs::read_to_string(path).unwrap()
    }

    // proves: INST-01, INST-02
    #[test]
    fn what_is_installed_can_be_installed_over_and_removed_and_configuration_stays() {
        let node = tempfile::tempdir().unwrap();
        let at = |path: &str| node.path().join(path);
        script(&laid_out("first"), "install.sh", node.path());
        for path in [
            "usr/lib/systemd/system/enforcer.service",
            "usr/local/lib/tetragon/tetragon.conf.d/export-filename",
            "etc/tetragon/tetragon.tp.d",
        ] {
            assert!(at(path).exists(), "{path}");
        }
        assert_eq!(fs::metadata(at("usr/local/bin/enforcer")).unwrap().permissions().mode() & 0o777, 0o755);
        assert_eq!(fs::read_link(at("usr/local/bin/tetragon")).unwrap(), Path::new("enforcer"));
        for page in ["man1/tetra.1", "man8/enforcer.8"] {
            assert_eq!(text(at("usr/local/share/man").join(page)), "first man\n");
        }
        fs::write(at("etc/tetragon/tetragon.conf.d/log-level"), "debug").unwrap();

        let second = laid_out("second");
        script(&second, "install.sh", node.path());
        assert!(text(at("usr/local/bin/enforcer")).contains("second"));
        assert_eq!(text(at("etc/tetragon/tetragon.conf.d/log-level")), "debug");

        fs::write(at("usr/local/bin/other"), "").unwrap();
        script(&second, "uninstall.sh", node.path());
        assert_eq!(text(at("etc/tetragon/tetragon.conf.d/log-level")), "debug");
        assert!(at("usr/local/bin/other").exists(), "it is somebody else's");
        for path in [
            "usr/local/bin/enforcer",
            "usr/local/bin/tetragon",
            "usr/lib/systemd/system/enforcer.service",
            "usr/local/lib/tetragon",
            "usr/local/share/doc/enforcer",
        ] {
            assert!(at(path).symlink_metadata().is_err(), "{path}");
        }
    }

    // proves: INST-02
    #[test]
    fn what_another_product_had_there_is_put_aside_and_comes_back() {
        let node = tempfile::tempdir().unwrap();
        let daemon = node.path().join("usr/local/bin/tetragon");
        fs::create_dir_all(daemon.parent().unwrap()).unwrap();
        fs::write(&daemon, "another").unwrap();
        let aside = node.path().join("usr/local/bin/tetragon.before-enforcer");
        for version in ["first", "second"] {
            let archive = laid_out(version);
            script(&archive, "install.sh", node.path());
            assert_eq!(text(aside.clone()), "another", "after the {version}");
            assert!(text(daemon.clone()).contains(version));
        }
        script(&laid_out("second"), "uninstall.sh", node.path());
        assert_eq!(text(daemon), "another");
        assert!(!aside.exists());
    }

    // proves: INST-01 (unit)
    #[test]
    fn systemd_finds_nothing_wrong_with_the_unit() {
        let unit = build::workspace().join("xtask/dist/enforcer.service");
        let Ok(output) = Command::new("systemd-analyze").args(["verify", "--man=no"]).arg(&unit).output()
        else {
            assert!(!Path::new("/usr/bin/systemd-analyze").exists());
            return;
        };
        let said = String::from_utf8_lossy(&output.stderr);
        let ours: Vec<&str> = said
            .lines()
            .filter(|line| line.contains("enforcer.service") && !line.contains("is not executable"))
            .collect();
        assert!(ours.is_empty(), "{ours:?}");
    }

    #[test]
    fn options_of_the_archive_are_options_of_the_daemon() {
        let flags = fs::read_to_string(build::workspace().join("enforcer/src/config/flags.rs")).unwrap();
        for option in fs::read_dir(build::workspace().join("xtask/dist").join(OPTIONS)).unwrap() {
            let name = option.unwrap().file_name().into_string().unwrap().replace('-', "_");
            assert!(flags.contains(&format!("pub {name}:")), "{name}");
        }
    }
}
