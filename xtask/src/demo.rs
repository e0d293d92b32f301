//! `cargo xtask demo`: events of this machine, then a policy that kills, in a small virtual machine.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use e2e::vm::Message;

use crate::scripted::{POLICY, Scripted};
use crate::{build, setup, terminal};

const GUEST_SCRIPT: &str = include_str!("demo/guest.sh");
const READY: Duration = Duration::from_secs(30);

/// Arguments of `cargo xtask demo`.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    /// Load the policy on this machine, not in a virtual one: every process that opens the file is killed meanwhile.
    #[arg(long)]
    native: bool,
    /// The kernel of the virtual machine.
    #[arg(long, default_value = "6.12")]
    kernel: String,
    /// Seconds for which events of this machine are shown.
    #[arg(long, default_value_t = 4)]
    seconds: u64,
    /// Take the binaries from this folder instead of building them.
    #[arg(long, value_name = "FOLDER")]
    binaries: Option<PathBuf>,
}

/// Both parts, one after the other.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    setup::packages()?;
    let wanted = [build::INIT, build::DAEMON, build::TETRA];
    let binaries = match &arguments.binaries {
        Some(folder) => build::in_folder(&wanted, folder)?,
        None => build::binaries(&wanted, build::VM_PROFILE)?,
    };
    terminal::line(&format!("--- programs that start and end on this machine, for {} s", arguments.seconds));
    here(arguments, &binaries)?;
    if !arguments.native {
        terminal::line(&format!(
            "--- cat /etc/shadow under the policy, in a machine with kernel {}",
            arguments.kernel
        ));
        there(&arguments.kernel, &binaries)?;
    }
    Ok(())
}

/// A daemon that ends with this value.
struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        // The daemon detaches its programs when it is asked to end; it is killed only if that fails.
        let asked = Command::new("kill").args(["-TERM", &self.0.id().to_string()]).status();
        if !asked.is_ok_and(|status| status.success()) {
            drop(self.0.kill());
        }
        drop(self.0.wait());
    }
}

/// On this machine: a stream of what starts and ends, and with `--native` the policy.
fn here(arguments: &Arguments, binaries: &BTreeMap<String, PathBuf>) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("loading programs into the kernel needs root");
    }
    let binary = |name: &str| binaries.get(name).with_context(|| format!("{name} was not built"));
    let folder = tempfile::tempdir()?;
    let address = format!("unix://{}", folder.path().join("demo.sock").display());
    let log = folder.path().join("daemon.log");
    let mut command = Command::new(binary("enforcer")?);
    command
        .args(["--server-address", &address, "--bpf-dir", "enforcer-demo", "--run-dir"])
        .arg(folder.path());
    if arguments.native {
        let policy = folder.path().join("shadow.yaml");
        fs::write(&policy, POLICY)?;
        command.arg("--tracing-policy").arg(policy);
    }
    let daemon = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(File::create(&log)?).spawn()?;
    let mut daemon = Running(daemon);
    wait_until_ready(binary("tetra")?, &address, &mut daemon.0, &log)?;
    let stream = Command::new(binary("tetra")?)
        .args(["--server-address", &address, "getevents", "-o", "compact"])
        .stdin(File::open("/dev/null")?)
        .spawn()?;
    let stream = Running(stream);
    let end = Instant::now() + Duration::from_secs(arguments.seconds);
    while Instant::now() < end {
        // So that there is something to see on a quiet machine; and a pause, so that a person can follow.
        for words in [["uname", "-r"], ["ls", "/"]] {
            drop(Command::new(words[0]).arg(words[1]).stdout(Stdio::null()).status());
        }
        thread::sleep(Duration::from_millis(900));
    }
    if arguments.native {
        terminal::line("--- cat /etc/shadow");
        let status = Command::new("cat").arg("/etc/shadow").status()?;
        thread::sleep(Duration::from_millis(500));
        terminal::line(&format!("--- it ended with: {status}"));
    }
    drop(stream);
    Ok(())
}

fn wait_until_ready(tetra: &Path, address: &str, daemon: &mut Child, log: &Path) -> Result<()> {
    let begin = Instant::now();
    loop {
        let status = Command::new(tetra)
            .args(["--server-address", address, "--retries", "0", "status"])
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()?;
        if status.success() {
            return Ok(());
        }
        let ended = daemon.try_wait()?;
        if ended.is_some() || begin.elapsed() > READY {
            bail!("the daemon is not ready:\n{}", fs::read_to_string(log).unwrap_or_default());
        }
        thread::sleep(Duration::from_millis(100));
    }
}

/// In a virtual machine: the policy, a reader, and what the stream says.
fn there(kernel: &str, binaries: &BTreeMap<String, PathBuf>) -> Result<()> {
    let color = if std::io::stdout().is_terminal() { "always" } else { "never" };
    let scripted = Scripted {
        name: "the demonstration",
        programs: &["cat"],
        before: "",
        script: GUEST_SCRIPT,
        arguments: &[color],
        timeout: Duration::from_mins(3),
    };
    scripted.run(kernel, binaries, &mut |message| {
        if let Message::Output(text) | Message::Error(text) = message {
            terminal::line(text);
        }
    })
}
