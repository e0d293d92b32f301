//! Pages that are made from the source: what they say is committed, and `xtask lint` fails when it is not what the
//! source says now.

mod compatibility;
mod diagnostics;
mod marks;

use std::fs;

use anyhow::{Context, Result, bail};

use crate::lint::{File, files};
use crate::{build, terminal};

/// Where the features and their ids stand.
const FEATURES: &str = "docs/features.txt";

/// A page by its path from the root.
#[derive(Debug)]
struct Page {
    path: &'static str,
    text: String,
}

/// Writes every page that differs from what is there, and says which.
pub(crate) fn run() -> Result<()> {
    let (pages, mistakes) = pages(&files()?)?;
    for page in &pages {
        let path = build::workspace().join(page.path);
        if fs::read_to_string(&path).is_ok_and(|text| text == page.text) {
            continue;
        }
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder).with_context(|| folder.display().to_string())?;
        }
        fs::write(&path, &page.text).with_context(|| path.display().to_string())?;
        terminal::line(page.path);
    }
    for mistake in &mistakes {
        terminal::error(mistake);
    }
    if !mistakes.is_empty() {
        bail!("{} marks that prove nothing", mistakes.len());
    }
    of_packages()
}

/// What packages say of themselves, such as the policy compiler of its language: their own tests write it, and fail when what is there differs.
fn of_packages() -> Result<()> {
    for package in ["bpf-probes", "tracing-policy", "enforcer", "tetra-cli", "api"] {
        let mut test = build::cargo();
        test.args(["test", "--quiet", "--package", package, "--test", "generated"]);
        let status = test.env("ENFORCER_GENERATE", "1").status().context("cargo test")?;
        if !status.success() {
            bail!("the reference that {package} makes could not be written");
        }
    }
    Ok(())
}

/// Marks that prove nothing, and pages that are not what the source says.
pub(crate) fn findings(files: &[File]) -> Result<Vec<String>> {
    let (pages, mut findings) = pages(files)?;
    for page in pages {
        let there = files.iter().find(|file| file.path.as_os_str() == page.path);
        if there.is_none_or(|file| file.text != page.text) {
            findings.push(format!("{}: not what the source says; run cargo xtask generate", page.path));
        }
    }
    Ok(findings)
}

/// All pages, and what is wrong with the marks.
fn pages(files: &[File]) -> Result<(Vec<Page>, Vec<String>)> {
    let features = fs::read_to_string(build::workspace().join(FEATURES)).context(FEATURES)?;
    let features = compatibility::features(&features).context(FEATURES)?;
    let (marks, mut mistakes) = marks::find(files);
    mistakes.extend(compatibility::unknown(&features, &marks));
    let pages = vec![
        Page { path: "docs/compatibility.md", text: compatibility::page(&features, &marks) },
        Page { path: "docs/reference/diagnostics.md", text: diagnostics::page(files)? },
    ];
    Ok((pages, mistakes))
}
