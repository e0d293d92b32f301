//! `cargo xtask vm`: boots a stock kernel and runs a command in it, or a shell.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use e2e::kernels::{KERNELS, Origin};
use e2e::vm::{Cache, Emulation, End, JOB_PATH, Job, Message, Options, Timing, boot_and_run};

use crate::{build, machine, setup, terminal};

/// Arguments of `cargo xtask vm`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    chore: Option<Chore>,
    /// Which kernel: 5.10, 6.1, 6.12, 7.2, custom, one of these with +preempt=full, or the path of an image.
    #[arg(long, default_value = "6.12")]
    kernel: String,
    /// More for the kernel's command line.
    #[arg(long, default_value = "", allow_hyphen_values = true)]
    append: String,
    /// Number of CPUs.
    #[arg(long, default_value_t = 2)]
    cpus: u32,
    /// Memory in MiB.
    #[arg(long, default_value_t = 1024)]
    memory: u32,
    /// Count instructions: one nanosecond of the guest is one instruction, on one CPU.
    #[arg(long)]
    icount: bool,
    /// Emulate the CPUs in turn on one thread: slower, and free of races of the emulation.
    #[arg(long)]
    in_turn: bool,
    /// Seconds until the machine is ended.
    #[arg(long, default_value_t = 600)]
    timeout: u64,
    /// Copy a file of the host, and the shared libraries it needs, to this path of the machine.
    #[arg(long = "with", value_name = "HOSTFILE[:PATH]")]
    with: Vec<String>,
    /// Set a variable of the command.
    #[arg(long = "env", value_name = "NAME=VALUE")]
    environment: Vec<String>,
    /// Write below /proc/sys before the command starts, such as `kernel/bpf_stats_enabled=1`.
    #[arg(long = "sysctl", value_name = "NAME=VALUE")]
    sysctls: Vec<String>,
    /// Put the files that the command leaves in /out into this folder.
    #[arg(long, value_name = "FOLDER")]
    out: Option<PathBuf>,
    /// Also build the daemon, tetra and the scenarios and put them into /usr/bin.
    #[arg(long)]
    product: bool,
    /// Take the project's binaries from this folder instead of building them.
    #[arg(long, value_name = "FOLDER")]
    binaries: Option<PathBuf>,
    /// The command; a shell on this terminal if there is none.
    #[arg(last = true)]
    command: Vec<String>,
}

/// What can be done instead of booting.
#[derive(Debug, clap::Subcommand)]
enum Chore {
    /// Builds the custom kernel (6.12 with `bpf_override_return` and fprobe) from Debian's source into the cache, once.
    BuildKernel {
        /// Also when it is there, from the source that Debian offers now.
        #[arg(long)]
        again: bool,
    },
}

/// Boots, runs, and returns the command's exit code.
pub(crate) fn run(arguments: Arguments) -> Result<ExitCode> {
    if let Some(Chore::BuildKernel { again }) = arguments.chore {
        return build_kernel(again);
    }
    let (kernel, append) = machine::kernel(&arguments.kernel)?;
    let mut wanted = vec![build::INIT];
    if arguments.product {
        wanted.extend([build::GUEST, build::DAEMON, build::TETRA]);
    }
    let binaries = match &arguments.binaries {
        Some(folder) => build::in_folder(&wanted, folder)?,
        None => build::binaries(&wanted, build::VM_PROFILE)?,
    };
    let mut image = machine::image(&kernel, &binaries)?;
    for with in &arguments.with {
        let (host, path) = with.split_once(':').unwrap_or((with, with));
        let host = fs::canonicalize(host).with_context(|| host.to_owned())?;
        let path = if path.starts_with('/') { path.to_owned() } else { format!("/root/{path}") };
        machine::add(&mut image, &host, &path)?;
    }
    let job = Job {
        command: arguments.command,
        environment: pairs(&arguments.environment)?,
        sysctls: pairs(&arguments.sysctls)?,
        folder: None,
    };
    image.file(JOB_PATH, 0o644, &serde_json::to_vec(&job)?);
    let options = Options {
        cpus: arguments.cpus,
        memory: arguments.memory,
        append: format!("{append} {}", arguments.append),
        timing: if arguments.icount { Timing::Instructions } else { Timing::Plain },
        emulation: if arguments.in_turn { Emulation::InTurn } else { Emulation::Parallel },
        timeout: Duration::from_secs(arguments.timeout),
    };
    terminal::progress(&format!("booting {}", kernel.release));
    if job.command.is_empty() {
        e2e::vm::interactive(&kernel, &image, &options)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut collected = Collected::new(arguments.out);
    let take = &mut |message: &Message| collected.take(message);
    let end = boot_and_run(&kernel, &image, &options, take, &mut machine::again)?;
    collected.store()?;
    match end {
        End::Success => Ok(ExitCode::SUCCESS),
        End::Failure(code) => Ok(ExitCode::from(u8::try_from(code & 0xff).unwrap_or(1))),
        End::Broken(reason) => bail!("the machine could not run the command: {reason}"),
    }
}

/// Builds what is not there yet.
fn build_kernel(again: bool) -> Result<ExitCode> {
    setup::packages()?;
    let cache = Cache::from_environment()?;
    for kernel in KERNELS.iter().filter(|kernel| kernel.origin == Origin::Built) {
        if again {
            cache.forget(kernel)?;
        }
        let files = cache.fetch(kernel, &mut |text| terminal::progress(text))?;
        terminal::line(&format!("kernel {}: {} in {}", kernel.name, files.release, files.image.display()));
    }
    Ok(ExitCode::SUCCESS)
}

fn pairs(words: &[String]) -> Result<Vec<(String, String)>> {
    let pair = |word: &String| {
        let (name, value) = word.split_once('=').with_context(|| format!("{word}: not NAME=VALUE"))?;
        Ok((name.to_owned(), value.to_owned()))
    };
    words.iter().map(pair).collect()
}

/// Prints lines as they come and keeps files until the end.
struct Collected {
    folder: Option<PathBuf>,
    files: std::collections::BTreeMap<String, Vec<u8>>,
}

impl Collected {
    fn new(folder: Option<PathBuf>) -> Self {
        Self { folder, files: std::collections::BTreeMap::new() }
    }

    fn take(&mut self, message: &Message) {
        match message {
            Message::Output(text) => terminal::line(text),
            Message::Error(text) => terminal::error(text),
            Message::File { name, piece } => {
                self.files.entry(name.clone()).or_default().extend_from_slice(piece);
            }
            Message::Begin | Message::End(_) => {}
        }
    }

    fn store(self) -> Result<()> {
        let Some(folder) = self.folder else { return Ok(()) };
        fs::create_dir_all(&folder).with_context(|| folder.display().to_string())?;
        for (name, content) in self.files {
            let path = folder.join(name);
            fs::write(&path, content).with_context(|| path.display().to_string())?;
        }
        Ok(())
    }
}
