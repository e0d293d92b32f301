//! Boots a machine and listens to it.
//!
//! TCG only, and where exactness of the emulation matters more than speed on one thread: emulated CPUs on threads
//! of their own now and then see half of a patch that another one writes into the kernel's code (`Oops: int3`).
//! TCG: the same on every host, and with an instruction count for a clock. The first serial port is the
//! kernel's console, kept in a file for the case that something fails; the second one carries the lines of
//! [`Message`]. QEMU dies with the thread that booted it.

use std::collections::VecDeque;
use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use super::image::{Image, ImageError};
use super::kernel::KernelFiles;
use super::serial::{End, Message};

/// Lines of the console that an error carries.
const CONSOLE_TAIL: usize = 40;

const RETRIES: u32 = 2;
/// Lines between the thread that reads and the one that looks; a full queue makes QEMU wait.
const QUEUE: usize = 1024;

/// What a guest's clock counts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Timing {
    /// Time of the host; as many CPUs as asked for.
    #[default]
    Plain,
    /// One nanosecond an instruction, one CPU: equal figures on every boot.
    Instructions,
}

/// On how many threads of the host the CPUs of a machine are emulated.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Emulation {
    /// One for each CPU: they really run at the same time.
    #[default]
    Parallel,
    /// One for all of them, in turn.
    InTurn,
}

/// How to boot.
#[derive(Clone, Debug)]
pub struct Options {
    /// Number of CPUs; [`Timing::Instructions`] makes it one.
    pub cpus: u32,
    /// Memory in MiB; the initramfs lies in it.
    pub memory: u32,
    /// Appended to the kernel's command line.
    pub append: String,
    /// What the clock counts.
    pub timing: Timing,
    /// On what the CPUs are emulated.
    pub emulation: Emulation,
    /// The machine is ended when the job has not by then.
    pub timeout: Duration,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            cpus: 2,
            memory: 1024,
            append: String::new(),
            timing: Timing::Plain,
            emulation: Emulation::Parallel,
            timeout: Duration::from_mins(5),
        }
    }
}

/// Why a job did not come to its end.
#[derive(Debug, thiserror::Error)]
pub enum BootError {
    /// The initramfs could not be written.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// QEMU could not be started.
    #[error("qemu-system-x86_64: {0}; install it (cargo xtask setup)")]
    Start(io::Error),
    /// A file of this run could not be used.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The machine went down before the job ended; most often a panic of the kernel.
    #[error(
        "the machine ended ({status}) before its job did; QEMU said: {stderr}\nlast lines of its console:\n{console}"
    )]
    Died {
        /// How QEMU ended.
        status: String,
        /// What QEMU itself complained of.
        stderr: String,
        /// The last lines of the console.
        console: String,
        /// Whether that was before the job had begun.
        early: bool,
    },
    /// The job took too long.
    #[error("no end after {} s; last lines of the job:\n{output}\nlast lines of the console:\n{console}", limit.as_secs())]
    Timeout {
        /// The limit that was given.
        limit: Duration,
        /// The last lines of the job.
        output: String,
        /// The last lines of the console.
        console: String,
    },
}

/// A running machine; dropping it ends it.
#[derive(Debug)]
pub struct Machine {
    qemu: Child,
    lines: Receiver<String>,
    reader: Option<JoinHandle<()>>,
    folder: TempDir,
    started: Instant,
    timeout: Duration,
    last: VecDeque<String>,
    begun: bool,
}

/// Boots and runs to the end of the job. A boot that breaks off before the job began, or breaks by what parallel
/// emulation is known for, is repeated up to twice; `again` gets the reason, to tell it.
///
/// # Errors
/// As [`Machine::boot`] and [`Machine::run`].
pub fn boot_and_run(
    kernel: &KernelFiles,
    image: &Image,
    options: &Options,
    sink: &mut dyn FnMut(&Message),
    again: &mut dyn FnMut(&BootError),
) -> Result<End, BootError> {
    for _ in 0..RETRIES {
        match Machine::boot(kernel, image, options)?.run(sink) {
            Err(error) if error.is_of_the_emulation() => again(&error),
            other => return other,
        }
    }
    Machine::boot(kernel, image, options)?.run(sink)
}

impl BootError {
    fn is_of_the_emulation(&self) -> bool {
        match self {
            Self::Died { early, console, .. } => *early || console.contains("Oops: int3"),
            Self::Image(_) | Self::Start(_) | Self::File { .. } | Self::Timeout { .. } => false,
        }
    }
}

impl Machine {
    /// Boots `kernel` with `image`.
    ///
    /// # Errors
    /// When the image cannot be written or QEMU not be started.
    pub fn boot(kernel: &KernelFiles, image: &Image, options: &Options) -> Result<Self, BootError> {
        let folder = tempfile::Builder::new().prefix("e2e-vm-").tempdir().map_err(BootError::Start)?;
        let initramfs = write_image(image, folder.path())?;
        let mut command = qemu(kernel, &initramfs, options);
        let error_path = folder.path().join("qemu.stderr");
        let errors = File::create(&error_path).map_err(at(&error_path))?;
        command.arg("-serial").arg(format!("file:{}", folder.path().join("console").display()));
        command.args(["-chardev", "stdio,id=job,signal=off", "-serial", "chardev:job"]);
        let mut qemu = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(errors)
            .spawn()
            .map_err(BootError::Start)?;
        let output = qemu.stdout.take().ok_or_else(|| BootError::Start(io::ErrorKind::BrokenPipe.into()))?;
        let (sender, lines) = mpsc::sync_channel(QUEUE);
        let reader = thread::spawn(move || {
            let mut output = BufReader::new(output);
            let mut line = Vec::new();
            while output.read_until(b'\n', &mut line).is_ok_and(|count| count > 0) {
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    break;
                }
                line.clear();
            }
        });
        let started = Instant::now();
        let timeout = options.timeout;
        Ok(Self {
            qemu,
            lines,
            reader: Some(reader),
            folder,
            started,
            timeout,
            last: VecDeque::new(),
            begun: false,
        })
    }

    /// Hands every line to `sink` until the job ends.
    ///
    /// # Errors
    /// When the machine goes down or the time is over.
    pub fn run(mut self, sink: &mut dyn FnMut(&Message)) -> Result<End, BootError> {
        loop {
            let left = self.timeout.saturating_sub(self.started.elapsed());
            match self.lines.recv_timeout(left) {
                Ok(line) => match Message::parse(&line) {
                    Some(Message::End(end)) => return Ok(end),
                    Some(message) => {
                        self.begun = true;
                        self.remember(&message);
                        sink(&message);
                    }
                    None => {}
                },
                Err(RecvTimeoutError::Timeout) => {
                    return Err(BootError::Timeout {
                        limit: self.timeout,
                        output: Vec::from(self.last.clone()).join("\n"),
                        console: self.console(),
                    });
                }
                Err(RecvTimeoutError::Disconnected) => return Err(self.died()),
            }
        }
    }

    /// The last lines that the kernel wrote to its console.
    pub fn console(&self) -> String {
        let bytes = fs::read(self.folder.path().join("console")).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().rev().take(CONSOLE_TAIL).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    fn died(&mut self) -> BootError {
        let status = self.qemu.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        let stderr = fs::read_to_string(self.folder.path().join("qemu.stderr")).unwrap_or_default();
        let console = self.console();
        BootError::Died { status, stderr: stderr.trim().to_owned(), console, early: !self.begun }
    }

    fn remember(&mut self, message: &Message) {
        if let Message::Output(text) | Message::Error(text) = message {
            if self.last.len() == CONSOLE_TAIL {
                self.last.pop_front();
            }
            self.last.push_back(text.clone());
        }
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        // Either fails only when QEMU has ended already.
        drop(self.qemu.kill());
        drop(self.qemu.wait());
        if let Some(reader) = self.reader.take() {
            drop(reader.join());
        }
    }
}

/// Boots with the console on this terminal (Ctrl-A X ends the machine); returns when the machine is off.
///
/// # Errors
/// When the image cannot be written or QEMU not be started.
pub fn interactive(kernel: &KernelFiles, image: &Image, options: &Options) -> Result<ExitStatus, BootError> {
    let folder = tempfile::Builder::new().prefix("e2e-vm-").tempdir().map_err(BootError::Start)?;
    let initramfs = write_image(image, folder.path())?;
    let mut command = qemu(kernel, &initramfs, options);
    command.args(["-serial", "mon:stdio", "-serial", "null"]);
    command.status().map_err(BootError::Start)
}

fn write_image(image: &Image, folder: &Path) -> Result<PathBuf, BootError> {
    let path = folder.join("initramfs");
    let file = File::create(&path).map_err(at(&path))?;
    let mut file = BufWriter::new(file);
    image.write(&mut file)?;
    file.flush().map_err(at(&path))?;
    Ok(path)
}

/// All of the command line but the serial ports.
fn qemu(kernel: &KernelFiles, initramfs: &Path, options: &Options) -> Command {
    // setpriv: a machine must not outlive a runner that was killed.
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "qemu-system-x86_64"]);
    command.args(["-machine", "q35", "-cpu", "max", "-nodefaults", "-no-reboot", "-display", "none"]);
    match options.timing {
        Timing::Plain if options.emulation == Emulation::InTurn => {
            command.args(["-accel", "tcg,thread=single"]).arg("-smp").arg(options.cpus.to_string())
        }
        Timing::Plain => {
            command.args(["-accel", "tcg,thread=multi"]).arg("-smp").arg(options.cpus.to_string())
        }
        Timing::Instructions => {
            command.args(["-accel", "tcg,thread=single", "-icount", "shift=0,sleep=off", "-smp", "1"])
        }
    };
    command.arg("-m").arg(format!("{}M", options.memory));
    command.arg("-kernel").arg(&kernel.image).arg("-initrd").arg(initramfs);
    // A panic ends the machine at once; warnings reach the console, the rest of the boot's chatter does not.
    // The kernel's test of its timer counts interrupts in a time that a busy host may not give the machine, and panics.
    let line = format!(
        "console=ttyS0 panic=-1 loglevel=5 no_timer_check rdinit=/usr/bin/e2e-init {}",
        options.append
    );
    command.arg("-append").arg(line.trim_end());
    command
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> BootError {
    let path = path.to_path_buf();
    move |source| BootError::File { path, source }
}
