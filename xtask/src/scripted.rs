//! A machine in which the daemon runs with the policy of the demonstration, and a script.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Result, bail};
use e2e::vm::{Emulation, End, JOB_PATH, Job, Message, Options, boot_and_run};

use crate::{machine, terminal};

/// Kills whoever opens the file of password hashes.
pub(crate) const POLICY: &str = include_str!("scripted/shadow.yaml");
/// Brings up the daemon; `$S` is its address and `$daemon` its process.
const START: &str = include_str!("scripted/start.sh");

/// What runs in the machine.
pub(crate) struct Scripted<'text> {
    /// What it is, for whom it fails.
    pub(crate) name: &'text str,
    /// Programs of this machine in `/usr/bin`: busybox's own would be shown as `/proc/self/exe`, which it executes.
    pub(crate) programs: &'text [&'text str],
    /// What a shell does before the daemon starts.
    pub(crate) before: &'text str,
    /// What a shell does once the daemon is ready.
    pub(crate) script: &'text str,
    /// The script's arguments.
    pub(crate) arguments: &'text [&'text str],
    /// How long it may take.
    pub(crate) timeout: Duration,
}

impl Scripted<'_> {
    /// Boots the machine and runs the script; `receive` gets what it prints.
    pub(crate) fn run(
        &self,
        kernel: &str,
        binaries: &BTreeMap<String, PathBuf>,
        receive: &mut dyn FnMut(&Message),
    ) -> Result<()> {
        const SCRIPT: &str = "/root/script.sh";
        let (kernel, append) = machine::kernel(kernel)?;
        let mut image = machine::image(&kernel, binaries)?;
        image.file("/etc/shadow.yaml", 0o644, POLICY.as_bytes());
        image.file(SCRIPT, 0o755, format!("{}{START}{}", self.before, self.script).as_bytes());
        for program in self.programs {
            let path = format!("/usr/bin/{program}");
            image.program(Path::new(&path), &path)?;
        }
        let command = ["/bin/sh", SCRIPT].iter().chain(self.arguments).map(ToString::to_string).collect();
        image.file(JOB_PATH, 0o644, &serde_json::to_vec(&Job { command, ..Job::default() })?);
        let options = Options {
            append: append.to_owned(),
            emulation: Emulation::InTurn,
            timeout: self.timeout,
            ..Options::default()
        };
        terminal::progress(&format!("booting {}", kernel.release));
        match boot_and_run(&kernel, &image, &options, receive, &mut machine::again)? {
            End::Success => Ok(()),
            End::Failure(code) => bail!("{} failed in the machine ({code})", self.name),
            End::Broken(reason) => bail!("the machine: {reason}"),
        }
    }
}
