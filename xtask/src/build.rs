//! Builds binaries of the workspace with cargo and says where they are.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::terminal;

/// A binary: package and name.
pub(crate) type Binary = (&'static str, &'static str);

/// First process of a machine.
pub(crate) const INIT: Binary = ("e2e", "e2e-init");
/// All scenarios.
pub(crate) const GUEST: Binary = ("e2e", "e2e-guest");
/// The daemon.
pub(crate) const DAEMON: Binary = ("enforcer", "enforcer");
/// The command line.
pub(crate) const TETRA: Binary = ("tetra-cli", "tetra");

/// The profile of what runs in machines.
pub(crate) const VM_PROFILE: &str = "vm";

/// The folder of the workspace.
pub(crate) fn workspace() -> PathBuf {
    let own = PathBuf::from(env!("CARGO_MANIFEST_DIR"));
    own.parent().map_or(own.clone(), PathBuf::from)
}

/// A cargo of the same toolchain, in the workspace.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(workspace());
    command
}

/// Builds `binaries` and returns the path of each by its name.
pub(crate) fn binaries(binaries: &[Binary], profile: &str) -> Result<BTreeMap<String, PathBuf>> {
    binaries_that_know(binaries, profile, &[])
}

/// The same for binaries that are told `facts` at build time, as variables of the environment.
pub(crate) fn binaries_that_know(
    binaries: &[Binary],
    profile: &str,
    facts: &[(&str, String)],
) -> Result<BTreeMap<String, PathBuf>> {
    let names: Vec<&str> = binaries.iter().map(|(_, name)| *name).collect();
    terminal::progress(&format!("building {} (profile {profile})", names.join(", ")));
    let mut command = cargo();
    command.args(["build", "--profile", profile, "--message-format=json-render-diagnostics"]);
    for (package, name) in binaries {
        command.args(["-p", package, "--bin", name]);
    }
    command.envs(facts.iter().map(|(name, value)| (name, value)));
    let mut child = command.stdout(Stdio::piped()).spawn().context("cargo build")?;
    let output = child.stdout.take().context("cargo build: no output")?;
    let mut found = BTreeMap::new();
    for line in BufReader::new(output).lines() {
        let line = line.context("cargo build")?;
        if let Some((name, path)) = executable(&line) {
            found.insert(name, path);
        }
    }
    let status = child.wait().context("cargo build")?;
    if !status.success() {
        bail!("cargo build of {} failed", names.join(", "));
    }
    for name in names {
        if !found.contains_key(name) {
            bail!("cargo build did not say where {name} is");
        }
    }
    Ok(found)
}

/// The same for binaries that were built before and lie in `folder`.
pub(crate) fn in_folder(binaries: &[Binary], folder: &Path) -> Result<BTreeMap<String, PathBuf>> {
    let mut found = BTreeMap::new();
    for (_, name) in binaries {
        let path = folder.join(name);
        if !path.is_file() {
            bail!("{}: no such file", path.display());
        }
        found.insert((*name).to_owned(), path);
    }
    Ok(found)
}

/// The name and path of the executable that a line of cargo's messages announces.
fn executable(line: &str) -> Option<(String, PathBuf)> {
    let message: serde_json::Value = serde_json::from_str(line).ok()?;
    let path = message.get("executable")?.as_str()?;
    let name = message.get("target")?.get("name")?.as_str()?;
    Some((name.to_owned(), PathBuf::from(path)))
}

#[cfg(test)]
mod tests {
    use super::executable;

    #[test]
    fn only_messages_with_an_executable_count() {
        let line = r#"{"reason":"compiler-artifact","target":{"name":"tetra"},"executable":"/t/tetra"}"#;
        assert_eq!(executable(line), Some(("tetra".to_owned(), "/t/tetra".into())));
        let library = r#"{"reason":"compiler-artifact","target":{"name":"api"},"executable":null}"#;
        assert_eq!(executable(library), None);
        assert_eq!(executable("warning: text"), None);
    }
}
