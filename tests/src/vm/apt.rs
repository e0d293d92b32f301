//! apt on a throw-away sources list: packages of other suites, fetched and never installed.
//!
//! Lists and archives are its own, and apt checks signatures and hashes itself.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;
use std::time::Duration;

use super::kernel::{FetchError, at, write};
use crate::kernels::{Archive, Suite};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
const ATTEMPTS: u32 = 4;

/// apt with a sources list, lists and archives of its own.
pub(super) struct Apt<'work> {
    kernel: &'static str,
    suites: &'static [Suite],
    work: &'work Path,
}

impl<'work> Apt<'work> {
    /// apt that works in the folder `work` for `kernel`, of which errors tell.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub(super) fn new(
        kernel: &'static str,
        suites: &'static [Suite],
        work: &'work Path,
    ) -> Result<Self, FetchError> {
        for folder in [work.join("lists/partial"), work.join("cache/archives/partial")] {
            fs::create_dir_all(&folder).map_err(at(&folder))?;
        }
        Ok(Self { kernel, suites, work })
    }

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
    pub(super) fn update(&self) -> Result<(), FetchError> {
        let mut result = Ok(());
        for mirrors in mirrors() {
            let mut sources = String::new();
            let signed =
                if Path::new(KEYRING).exists() { format!("[signed-by={KEYRING}] ") } else { String::new() };
            for suite in self.suites {
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
            result = run("apt-get update", self.kernel, 2, &mut command).map(drop);
            if result.is_ok() {
                return Ok(());
            }
        }
        result
    }

    /// What `package` depends on, first of all alternatives.
    pub(super) fn depends(&self, package: &str) -> Result<Vec<String>, FetchError> {
        let mut command = self.command("apt-cache");
        command.args(["--important", "depends", package]);
        let output = run("apt-cache depends", self.kernel, 1, &mut command)?;
        let text = String::from_utf8_lossy(&output.stdout);
        let names =
            text.lines().filter_map(|line| line.trim_start_matches([' ', '|']).strip_prefix("Depends: "));
        Ok(names.map(|name| name.trim().to_owned()).collect())
    }

    /// Downloads `packages` and unpacks them below the folder `root`; returns that folder.
    pub(super) fn unpack(&self, packages: &[String]) -> Result<PathBuf, FetchError> {
        let root = self.work.join("root");
        fs::create_dir_all(&root).map_err(at(&root))?;
        let mut command = self.command("apt-get");
        command.args(["-q", "download"]).args(packages);
        run("apt-get download", self.kernel, ATTEMPTS, &mut command)?;
        for package in fs::read_dir(self.work).map_err(at(self.work))? {
            let package = package.map_err(at(self.work))?.path();
            if package.extension().is_some_and(|extension| extension == "deb") {
                let mut extract = Command::new("dpkg-deb");
                extract.arg("-x").arg(&package).arg(&root);
                run("dpkg-deb", self.kernel, 1, &mut extract)?;
            }
        }
        Ok(root)
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
pub(super) fn run(
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
        message = last_lines(&output.stderr);
        if attempt < attempts {
            thread::sleep(Duration::from_secs(u64::from(attempt) * 3));
        }
    }
    Err(FetchError::Command { command: name, kernel, attempts, message })
}

/// The last lines of what a command said, as one.
pub(super) fn last_lines(said: &[u8]) -> String {
    let said = String::from_utf8_lossy(said);
    let lines: Vec<&str> = said.lines().rev().take(6).collect();
    lines.into_iter().rev().collect::<Vec<_>>().join("; ")
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
