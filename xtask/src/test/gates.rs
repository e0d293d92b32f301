//! Gates on the source: format, layers, clippy, licences, bans and sources.

use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};

use super::Tally;
use super::tally::in_ci;
use crate::{build, lint, terminal};

/// Runs every gate.
pub(crate) fn run(tally: &mut Tally) -> Result<()> {
    let mut format = build::cargo();
    format.args(["fmt", "--all", "--check"]);
    gate("cargo fmt --check", &mut format, tally)?;

    match lint::findings() {
        Ok(findings) if findings.is_empty() => tally.pass(),
        Ok(findings) => tally.fail("cargo xtask lint", &findings.join("\n")),
        Err(error) => tally.fail("cargo xtask lint", &format!("{error:#}")),
    }

    let mut clippy = build::cargo();
    clippy.args([
        "clippy",
        "--workspace",
        "--all-targets",
        "--all-features",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ]);
    gate("cargo clippy", &mut clippy, tally)?;

    let mut documentation = build::cargo();
    documentation.args([
        "doc",
        "--workspace",
        "--all-features",
        "--no-deps",
        "--document-private-items",
        "--quiet",
    ]);
    // Private items are documented too, so links to them lead somewhere.
    documentation.env("RUSTDOCFLAGS", "-D warnings -A rustdoc::private_intra_doc_links");
    gate("cargo doc", &mut documentation, tally)?;

    deny(tally)
}

/// Licences, bans and sources; advisories need a database that not every network reaches.
fn deny(tally: &mut Tally) -> Result<()> {
    let there =
        || Command::new("cargo-deny").arg("--version").output().is_ok_and(|output| output.status.success());
    if !there() {
        if !in_ci() {
            tally.skip("cargo deny", "it is not installed (cargo install --locked cargo-deny)");
            return Ok(());
        }
        terminal::progress("cargo install --locked cargo-deny");
        // Not in the workspace's target folder: the next checkout finds the binary in cargo's own.
        let mut install = build::cargo();
        install.args(["install", "--locked", "--debug", "--quiet", "cargo-deny"]);
        install.current_dir("/");
        gate("installation of cargo-deny", &mut install, tally)?;
    }
    let mut deny = build::cargo();
    deny.args(["deny", "--all-features", "--log-level", "error", "check", "licenses", "bans", "sources"]);
    gate("cargo deny", &mut deny, tally)
}

/// One command that must return 0; what it says is the reason of the failure.
fn gate(name: &str, command: &mut Command, tally: &mut Tally) -> Result<()> {
    terminal::progress(name);
    let log = tempfile::NamedTempFile::new()?;
    let status = command
        .stdin(Stdio::null())
        .stdout(log.reopen()?)
        .stderr(log.reopen()?)
        .status()
        .context(name.to_owned())?;
    if status.success() {
        tally.pass();
    } else {
        let text = String::from_utf8_lossy(&fs::read(log.path())?).into_owned();
        let lines: Vec<&str> = text.lines().collect();
        let start = lines.len().saturating_sub(80);
        tally.fail(name, &lines.get(start..).unwrap_or_default().join("\n"));
    }
    Ok(())
}
