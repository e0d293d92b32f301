//! A daemon under test, and a client of it.

use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use api::wire::fine_guidance_sensors_client::FineGuidanceSensorsClient;
use tempfile::TempDir;
use tonic::transport::Channel;

pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// A running daemon; killed when dropped.
pub(crate) struct Instance {
    child: Child,
    pub(crate) directory: TempDir,
}

/// How a daemon ended.
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) log: String,
}

fn command(run_dir: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_enforcer"));
    command
        .arg("--run-dir")
        .arg(run_dir)
        .args(["--tracing-policy-dir=", "--health-server-address="])
        .args(arguments);
    command.env_remove("NODE_NAME");
    // where a supervisor would listen
    command.env("NOTIFY_SOCKET", run_dir.with_file_name("supervisor"));
    command
}

/// Runs a daemon that is expected to end by itself.
pub(crate) fn run_to_end(run_dir: &Path, arguments: &[&str]) -> Ended {
    let output = command(run_dir, arguments).output().unwrap();
    Ended { status: output.status, log: String::from_utf8_lossy(&output.stderr).into_owned() }
}

/// Waits until `done` says so.
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

impl Instance {
    /// Starts a daemon that writes its events to a file, and waits until it is ready.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_in(tempfile::tempdir().unwrap(), arguments)
    }

    /// The same, with the files that `directory` holds.
    pub(crate) fn start_in(directory: TempDir, arguments: &[&str]) -> Self {
        let run_dir = directory.path().join("run");
        let log = fs::File::create(directory.path().join("log")).unwrap();
        let export = format!("--export-filename={}", directory.path().join("events.log").display());
        let child =
            command(&run_dir, arguments).arg(export).stderr(log).stdin(Stdio::null()).spawn().unwrap();
        let mut instance = Self { child, directory };
        instance.wait_until_ready();
        instance
    }

    /// Starts a daemon that writes its events to standard output, and waits until it is ready.
    pub(crate) fn start_to_stdout(arguments: &[&str]) -> (Self, ChildStdout) {
        let directory = tempfile::tempdir().unwrap();
        let log = fs::File::create(directory.path().join("log")).unwrap();
        let mut command = command(&directory.path().join("run"), arguments);
        command.arg("--export-filename=-").stdout(Stdio::piped()).stderr(log).stdin(Stdio::null());
        let mut child = command.spawn().unwrap();
        let output = child.stdout.take().unwrap();
        let mut instance = Self { child, directory };
        instance.wait_until_ready();
        (instance, output)
    }

    fn wait_until_ready(&mut self) {
        wait_until("the daemon is ready", || {
            assert!(self.child.try_wait().unwrap().is_none(), "it ended: {}", self.log());
            self.log().contains("enforcer ready")
        });
    }

    pub(crate) fn run_dir(&self) -> PathBuf {
        self.directory.path().join("run")
    }

    pub(crate) fn socket(&self) -> PathBuf {
        self.run_dir().join("tetragon.sock")
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    /// The lines of the export file.
    pub(crate) fn events(&self) -> Vec<serde_json::Value> {
        let text = fs::read_to_string(self.directory.path().join("events.log")).unwrap_or_default();
        let whole = text.rfind('\n').map_or("", |end| text.get(..end).unwrap());
        whole.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The address that the log names after `words`.
    pub(crate) fn address(&self, words: &str) -> String {
        let log = self.log();
        let rest = log.split(words).nth(1).expect(words);
        rest.split([' ', '\n', '/']).next().unwrap().to_owned()
    }

    /// A client, and a runtime for it.
    pub(crate) fn client(&self) -> (tokio::runtime::Runtime, FineGuidanceSensorsClient<Channel>) {
        let (runtime, channel) = self.channel();
        (runtime, FineGuidanceSensorsClient::new(channel))
    }

    /// A connection, and a runtime for it.
    pub(crate) fn channel(&self) -> (tokio::runtime::Runtime, Channel) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let address = format!("unix:{}", self.socket().display());
        let endpoint = tonic::transport::Endpoint::from_shared(address).unwrap();
        let channel = runtime.block_on(endpoint.connect()).unwrap();
        (runtime, channel)
    }

    pub(crate) fn signal(&self, signal: nix::sys::signal::Signal) {
        let pid = nix::unistd::Pid::from_raw(self.child.id().cast_signed());
        nix::sys::signal::kill(pid, signal).unwrap();
    }

    /// Kills it, and gives back its files.
    pub(crate) fn kill(mut self) -> TempDir {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        std::mem::replace(&mut self.directory, tempfile::tempdir().unwrap())
    }

    /// Asks it to end, and waits.
    pub(crate) fn stop(mut self) -> Ended {
        self.signal(nix::sys::signal::Signal::SIGTERM);
        wait_until("the daemon ends", || self.child.try_wait().unwrap().is_some());
        Ended { status: self.child.wait().unwrap(), log: self.log() }
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if self.child.try_wait().is_ok_and(|ended| ended.is_none()) {
            self.child.kill().unwrap();
            self.child.wait().unwrap();
        }
    }
}

/// A child that waits for a line before it goes on: `then` is run by a shell.
pub(crate) struct Waiting {
    pub(crate) child: Child,
}

impl Waiting {
    pub(crate) fn start(then: &str) -> Self {
        let script = format!("read line; {then}");
        let mut shell = Command::new("/bin/sh");
        shell.args(["-c", &script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        Self { child: shell.spawn().unwrap() }
    }

    /// Lets it go on; what it wrote, and how it ended.
    pub(crate) fn go(mut self) -> (String, ExitStatus) {
        drop(self.child.stdin.take());
        let mut text = String::new();
        self.child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
        (text, self.child.wait().unwrap())
    }
}
