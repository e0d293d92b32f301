//! The words that scenarios are written in: start the daemon, load a policy, run a program, look at what happened.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::ensure;
use crate::event::Event;
use crate::expect::{Context, Events, Failure, Outcome, PATIENCE, eventually};
use crate::kernels::Variant;
use crate::load::write_tiny_program;

const DAEMON: &str = "/usr/bin/enforcer";
const TETRA: &str = "/usr/bin/tetra";
const SOCKET: &str = "unix:///var/run/tetragon/tetragon.sock";
const METRICS: &str = "127.0.0.1:2112";
/// The program of which the exit marks that all of before has arrived.
const MARKER: &str = "marker";
/// Lines of the daemon's log that a failure carries.
const LOG_TAIL: usize = 12;

/// What a scenario is given.
#[derive(Clone, Debug)]
pub struct Guest {
    /// The kernel it runs on.
    pub variant: &'static Variant,
    /// A folder of its own.
    pub folder: PathBuf,
}

/// How a program that was run ended.
#[derive(Clone, Debug)]
pub struct Ended {
    /// Its process.
    pub pid: u32,
    /// Code or signal.
    pub status: ExitStatus,
    /// What it wrote.
    pub stdout: Vec<u8>,
    /// What it complained of.
    pub stderr: String,
}

impl Ended {
    /// Whether it returned 0.
    pub fn success(&self) -> bool {
        self.status.success()
    }

    /// Whether SIGKILL ended it.
    pub fn killed(&self) -> bool {
        self.status.signal() == Some(libc::SIGKILL)
    }

    /// Its standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

/// Runs a program to its end.
///
/// # Errors
/// When it cannot be started.
pub fn run(words: &[&str]) -> Outcome<Ended> {
    let (program, arguments) = words.split_first().ok_or_else(|| Failure("no program".to_owned()))?;
    run_command(Command::new(program).args(arguments))
}

/// The same for a command that was prepared.
///
/// # Errors
/// When it cannot be started.
pub fn run_command(command: &mut Command) -> Outcome<Ended> {
    let name = command.get_program().to_string_lossy().into_owned();
    let child =
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().context(&name)?;
    let pid = child.id();
    let output = child.wait_with_output().context(&name)?;
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Ok(Ended { pid, status: output.status, stdout: output.stdout, stderr })
}

/// Runs a program and requires that it returns 0.
///
/// # Errors
/// When it does not.
pub fn must(words: &[&str]) -> Outcome<Ended> {
    let ended = run(words)?;
    ensure!(ended.success(), "{}: {}, {}", words.join(" "), ended.status, ended.stderr.trim());
    Ok(ended)
}

/// How to start the daemon.
#[derive(Clone, Debug, Default)]
pub struct Settings {
    /// Texts of policies to start with.
    pub policies: Vec<String>,
    /// More flags.
    pub flags: Vec<String>,
}

/// A running daemon; dropping it ends it.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    log: Arc<Log>,
    reader: Option<JoinHandle<()>>,
    folder: PathBuf,
    export: PathBuf,
    ready: Duration,
    barriers: u32,
}

#[derive(Debug, Default)]
struct Log {
    state: Mutex<LogState>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct LogState {
    lines: Vec<String>,
    ended: bool,
}

impl Settings {
    /// Start with this policy.
    #[must_use]
    pub fn policy(mut self, text: &str) -> Self {
        self.policies.push(text.to_owned());
        self
    }

    /// Start with these flags.
    #[must_use]
    pub fn flags(mut self, words: &[&str]) -> Self {
        self.flags.extend(words.iter().map(|word| (*word).to_owned()));
        self
    }

    /// The daemon's command line, for a scenario that starts it itself; policies are written to `folder`.
    ///
    /// # Errors
    /// When a policy cannot be written.
    pub fn command(&self, folder: &Path) -> Outcome<Command> {
        let mut command = Command::new(DAEMON);
        command.args(["--server-address", SOCKET, "--metrics-server", METRICS, "--bpf-dir", "tetragon"]);
        command.arg("--export-filename").arg(folder.join("events.json"));
        // who reads it follows one file
        command.args(["--export-file-max-size-mb", "100000"]);
        for (index, text) in self.policies.iter().enumerate() {
            let path = folder.join(format!("start-{index}.yaml"));
            fs::write(&path, text).context(&path.display().to_string())?;
            command.arg("--tracing-policy").arg(path);
        }
        command.args(&self.flags);
        Ok(command)
    }

    /// Starts the daemon and waits until it is ready.
    ///
    /// # Errors
    /// When it ends or does not become ready in time; with the end of its log.
    pub fn start(&self, guest: &Guest) -> Outcome<Daemon> {
        fs::create_dir_all(&guest.folder)?;
        write_tiny_program(&guest.folder.join(MARKER), 0)?;
        let mut command = self.command(&guest.folder)?;
        let begin = Instant::now();
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context(DAEMON)?;
        let stderr = child.stderr.take();
        let log = Arc::new(Log::default());
        let reader = thread::spawn({
            let log = Arc::clone(&log);
            move || log.read(stderr)
        });
        let mut daemon = Daemon {
            child,
            log,
            reader: Some(reader),
            folder: guest.folder.clone(),
            export: guest.folder.join("events.json"),
            ready: Duration::ZERO,
            barriers: 0,
        };
        if !daemon.log.wait_for("ready", PATIENCE) {
            return Err(daemon.failure("the daemon did not say that it is ready"));
        }
        daemon.ready = begin.elapsed();
        let status = daemon.tetra(&["--retries", "0", "status"])?;
        if !status.success() {
            return Err(daemon.failure(&format!("tetra status: {}", status.stderr)));
        }
        Ok(daemon)
    }
}

impl Log {
    fn read(&self, from: Option<impl Read>) {
        let mut lines = from.map(BufReader::new).into_iter().flat_map(BufRead::lines);
        while let Some(Ok(line)) = lines.next() {
            self.lock().lines.push(line);
            self.changed.notify_all();
        }
        self.lock().ended = true;
        self.changed.notify_all();
    }

    /// Whether a line with `word` came within the time; false also when the daemon ended.
    fn wait_for(&self, word: &str, within: Duration) -> bool {
        let missing =
            |state: &mut LogState| !state.ended && !state.lines.iter().any(|line| line.contains(word));
        let waited = self.changed.wait_timeout_while(self.lock(), within, missing);
        let (state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        state.lines.iter().any(|line| line.contains(word))
    }

    fn tail(&self) -> String {
        let state = self.lock();
        let start = state.lines.len().saturating_sub(LOG_TAIL);
        state.lines.get(start..).unwrap_or_default().join("\n")
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, LogState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `tetra` with these arguments, on the daemon's socket.
///
/// # Errors
/// When it cannot be started.
pub fn tetra(arguments: &[&str]) -> Outcome<Ended> {
    run_command(Command::new(TETRA).args(["--server-address", SOCKET]).args(arguments))
}

impl Daemon {
    /// From the start to the line that says ready.
    pub fn ready(&self) -> Duration {
        self.ready
    }

    /// The file that it writes its events to.
    pub fn export(&self) -> &Path {
        &self.export
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The log so far.
    pub fn log(&self) -> String {
        self.log.lock().lines.join("\n")
    }

    /// A failure with the end of the daemon's log.
    pub fn failure(&self, message: &str) -> Failure {
        Failure(format!("{message}\nend of the daemon's log:\n{}", self.log.tail()))
    }

    /// `tetra` with these arguments.
    ///
    /// # Errors
    /// When it cannot be started.
    pub fn tetra(&self, arguments: &[&str]) -> Outcome<Ended> {
        tetra(arguments)
    }

    /// `tetra` with these arguments, which must return 0.
    ///
    /// # Errors
    /// When it does not.
    pub fn tetra_must(&self, arguments: &[&str]) -> Outcome<Ended> {
        let ended = tetra(arguments)?;
        if ended.success() {
            return Ok(ended);
        }
        Err(self.failure(&format!("tetra {}: {}", arguments.join(" "), ended.stderr.trim())))
    }

    /// Adds a policy; it is in force when this returns.
    ///
    /// # Errors
    /// When it is refused.
    pub fn add(&self, name: &str, text: &str) -> Outcome {
        let path = self.write_policy(name, text)?;
        self.tetra_must(&["tracingpolicy", "add", &path]).map(drop)
    }

    /// Tries to add a policy that should be refused.
    ///
    /// # Errors
    /// When `tetra` cannot be started.
    pub fn try_add(&self, name: &str, text: &str) -> Outcome<Ended> {
        self.try_add_with(name, text, &[])
    }

    /// Tries to add a policy with flags of the command.
    ///
    /// # Errors
    /// When `tetra` cannot be started.
    pub fn try_add_with(&self, name: &str, text: &str, flags: &[&str]) -> Outcome<Ended> {
        let path = self.write_policy(name, text)?;
        self.tetra(&[&["tracingpolicy", "add", &path], flags].concat())
    }

    fn write_policy(&self, name: &str, text: &str) -> Outcome<String> {
        let path = self.folder.join(format!("{name}.yaml"));
        fs::write(&path, text).context(&path.display().to_string())?;
        Ok(path.display().to_string())
    }

    /// Removes a policy; it is out of force when this returns.
    ///
    /// # Errors
    /// When there is none.
    pub fn delete(&self, name: &str) -> Outcome {
        self.tetra_must(&["tracingpolicy", "delete", name]).map(drop)
    }

    /// What the daemon says of its policies.
    ///
    /// # Errors
    /// When it says nothing, or something else.
    pub fn policies(&self) -> Outcome<Vec<Value>> {
        let answer = self.tetra_must(&["tracingpolicy", "list", "-o", "json"])?;
        let mut list: Value = serde_json::from_slice(&answer.stdout).context("tracingpolicy list")?;
        let policies = list.get_mut("policies").map(Value::take);
        Ok(policies.as_ref().and_then(Value::as_array).cloned().unwrap_or_default())
    }

    /// What the daemon says of a policy.
    ///
    /// # Errors
    /// When it knows none of that name.
    pub fn policy(&self, name: &str) -> Outcome<Value> {
        let policies = self.policies()?;
        let found = policies.iter().find(|policy| policy.get("name").and_then(Value::as_str) == Some(name));
        found.cloned().ok_or_else(|| Failure(format!("no policy {name} in {policies:?}")))
    }

    /// How often a policy did something: `post`, `signal`, `monitor_signal`, `override` …
    ///
    /// # Errors
    /// When there is no such policy.
    pub fn acted(&self, policy: &str, action: &str) -> Outcome<u64> {
        let policy = self.policy(policy)?;
        let counter = policy.pointer(&format!("/stats/action_counters/{action}"));
        // 64-bit numbers are strings in protobuf's JSON, and zero is left out.
        let number =
            counter.and_then(|value| value.as_str().map_or_else(|| value.as_u64(), |text| text.parse().ok()));
        Ok(number.unwrap_or(0))
    }

    /// The export file from its beginning.
    ///
    /// # Errors
    /// When it does not appear.
    pub fn events(&self) -> Outcome<Events> {
        let there = || Ok(self.export.exists().then_some(()));
        eventually("the export file", PATIENCE, there)?;
        Events::open(&self.export)
    }

    /// Everything up to now: runs a program and returns the events up to its exit, without its own.
    ///
    /// # Errors
    /// When its events do not arrive.
    pub fn settle(&mut self, events: &mut Events) -> Outcome<Vec<Event>> {
        self.barriers += 1;
        let mark = format!("settled-{}", self.barriers);
        must(&[&self.folder.join(MARKER).display().to_string(), &mark])?;
        let is_mark = |event: &Event| event.process().is_some_and(|process| process.arguments == mark);
        let last = |event: &Event| event.process_exit.is_some() && is_mark(event);
        let seen = events.until("exit of the program that marks the end", PATIENCE, last);
        let mut seen = seen.map_err(|failure| self.failure(&failure.0))?;
        seen.retain(|event| !is_mark(event));
        Ok(seen)
    }

    /// Sum of a metric over those of its lines that contain `label`; 0 if there is none.
    ///
    /// # Errors
    /// When the metrics cannot be read.
    pub fn metric(&self, name: &str, label: &str) -> Outcome<u64> {
        let mut stream = TcpStream::connect(METRICS).context("metrics server")?;
        stream.set_read_timeout(Some(PATIENCE))?;
        write!(stream, "GET /metrics HTTP/1.0\r\nHost: {METRICS}\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).context("metrics server")?;
        ensure!(answer.contains("200 OK"), "metrics server: {}", answer.lines().next().unwrap_or_default());
        Ok(sum_of_metric(&answer, name, label))
    }

    /// Sends it a signal.
    ///
    /// # Errors
    /// When it is gone.
    pub fn signal(&self, signal: Signal) -> Outcome {
        kill(self.process()?, signal).context("signal to the daemon")
    }

    fn process(&self) -> Outcome<Pid> {
        i32::try_from(self.child.id()).map(Pid::from_raw).context("pid")
    }

    /// Asks it to end and waits for that; its log is in the answer's `stderr`.
    ///
    /// # Errors
    /// When it does not end in time.
    pub fn stop(mut self) -> Outcome<Ended> {
        self.signal(Signal::SIGTERM)?;
        let ended = eventually("end of the daemon after SIGTERM", PATIENCE, || Ok(self.child.try_wait()?));
        let status = ended.map_err(|failure| self.failure(&failure.0))?;
        if let Some(reader) = self.reader.take() {
            drop(reader.join());
        }
        Ok(Ended { pid: self.child.id(), status, stdout: Vec::new(), stderr: self.log() })
    }

    /// Resident memory in bytes.
    ///
    /// # Errors
    /// When it is gone.
    pub fn resident_memory(&self) -> Outcome<u64> {
        let path = format!("/proc/{}/status", self.child.id());
        let text = fs::read_to_string(&path).context(&path)?;
        let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line
            .and_then(|line| line.trim().strip_suffix(" kB"))
            .and_then(|number| number.parse::<u64>().ok());
        kib.map(|kib| kib * 1024).ok_or_else(|| Failure(format!("{path}: no VmRSS")))
    }

    /// Time on a CPU so far, all threads together.
    ///
    /// # Errors
    /// When it is gone.
    pub fn cpu_time(&self) -> Outcome<Duration> {
        let mut sum = 0;
        for task in fs::read_dir(format!("/proc/{}/task", self.child.id()))?.flatten() {
            let mut text = String::new();
            File::open(task.path().join("schedstat"))?.read_to_string(&mut text)?;
            sum += text.split(' ').next().and_then(|word| word.parse::<u64>().ok()).unwrap_or(0);
        }
        Ok(Duration::from_nanos(sum))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Either fails only when it has ended already.
        drop(self.child.kill());
        drop(self.child.wait());
        if let Some(reader) = self.reader.take() {
            drop(reader.join());
        }
    }
}

fn sum_of_metric(text: &str, name: &str, label: &str) -> u64 {
    let mut sum = 0;
    for line in text.lines().filter(|line| line.contains(label)) {
        let Some(rest) = line.strip_prefix(name) else { continue };
        if rest.starts_with(['{', ' ']) {
            sum += line.rsplit(' ').next().and_then(|number| number.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::sum_of_metric;

    #[test]
    fn a_metric_is_summed_over_the_lines_of_its_very_name_with_the_label() {
        let text = "# HELP lost_total x\nlost_total{kind=\"exec\",cpu=\"0\"} 3\nlost_total{kind=\"exec\",cpu=\"1\"} 4\n\
                    lost_total{kind=\"exit\"} 9\nlost_total_more{kind=\"exec\"} 50\nplain 2\n";
        assert_eq!(sum_of_metric(text, "lost_total", "kind=\"exec\""), 7);
        assert_eq!(sum_of_metric(text, "lost_total", ""), 16);
        assert_eq!(sum_of_metric(text, "plain", ""), 2);
        assert_eq!(sum_of_metric(text, "absent", ""), 0);
    }
}
