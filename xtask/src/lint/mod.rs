//! `cargo xtask lint`: what no compiler checks: who may know whom, the order of modules, the text of the source, and what pages name of it.

mod guides;
mod layers;
mod modules;
mod text;

use anyhow::{Result, bail};

pub(crate) use text::{File, files};

use crate::{generate, terminal};

/// Prints every finding; any is an error.
pub(crate) fn run() -> Result<()> {
    let findings = findings()?;
    for finding in &findings {
        terminal::line(finding);
    }
    if !findings.is_empty() {
        bail!("{} findings", findings.len());
    }
    Ok(())
}

/// All findings, each one line.
pub(crate) fn findings() -> Result<Vec<String>> {
    let mut findings = layers::findings()?;
    let files = files()?;
    findings.extend(modules::findings(&files));
    findings.extend(text::findings(&files));
    findings.extend(guides::guides_name_what_there_is(&files));
    findings.extend(generate::findings(&files)?);
    Ok(findings)
}
