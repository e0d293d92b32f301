//! The command line as typed.
#![expect(clippy::doc_markdown, reason = "these comments are the text of --help")]

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::admin::{EventLog, Explain, LogLevel, Probe, RuntimeHook, Sensors, Top, Version};
use super::debug::{Bugtool, Debug, Dump};
use super::getevents::GetEvents;
use super::policy::Policy;
use super::policytest::PolicyTest;
use super::tools::{CgroupTracker, Cri, PolicyFilter};
use super::value::seconds;

/// Talks to the Tetragon or Enforcer daemon of this node.
#[derive(Debug, Parser)]
#[command(
    name = "tetra",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    args_override_self = true
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// How to reach the daemon.
#[derive(Debug, Clone, Args)]
pub(crate) struct Connection {
    /// Say more on stderr
    #[arg(short, long, global = true)]
    pub(crate) debug: bool,
    /// Address of the daemon, unix:///PATH or HOST:PORT [default: what the daemon says in
    /// /var/run/tetragon/tetragon-info.json, its socket there, or localhost:54321]
    #[arg(long, global = true, value_name = "ADDRESS", default_value = "", hide_default_value = true)]
    pub(crate) server_address: String,
    /// Time limit of one call, which does not limit a stream of events [default: 30s]; of `debug progs` the time between two looks [default: 1s]
    #[arg(long, global = true, value_name = "DURATION", value_parser = seconds)]
    pub(crate) timeout: Option<Duration>,
    /// How often to try again, at growing intervals, while the daemon is not there
    #[arg(long, global = true, value_name = "N", default_value_t = 1)]
    pub(crate) retries: u32,
    /// Largest message or line to accept, in bytes
    #[arg(long, global = true, value_name = "BYTES", default_value_t = 10 << 20)]
    pub(crate) max_recv_size: usize,
    /// PEM file with the certificate to show to the daemon; any of these flags encrypts the connection
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) tls_cert_file: Option<PathBuf>,
    /// PEM file with the key of that certificate
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) tls_key_file: Option<PathBuf>,
    /// PEM files, between commas, with the authorities that the daemon's certificate must come from [default: this machine's]
    #[arg(long, global = true, value_name = "FILE", value_delimiter = ',')]
    pub(crate) tls_ca_cert_files: Vec<PathBuf>,
    /// Name that the daemon's certificate must bear [default: the host of the address]
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) tls_server_name: Option<String>,
    /// Trust whoever answers; for trying only
    #[arg(long, global = true)]
    pub(crate) tls_skip_verify: bool,
}

impl Connection {
    /// Time limit of one call.
    pub(crate) fn timeout(&self) -> Duration {
        self.timeout.unwrap_or(Duration::from_secs(30))
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print events as they happen, or those read from standard input
    Getevents(Box<GetEvents>),
    /// Say whether the daemon runs, and what it lost
    Status,
    /// Watch the busiest policies, processes, pods and programs
    Top(Top),
    /// Manage tracing policies
    #[command(subcommand, alias = "tp")]
    Tracingpolicy(Policy),
    /// Describe the fields of policies
    Explain(Explain),
    /// Print what the daemon knows of the kernel and of its settings, as JSON
    Info,
    /// See or change how much the daemon logs
    #[command(subcommand, alias = "log")]
    Loglevel(LogLevel),
    /// See or change how the daemon rotates its file of events
    #[command(subcommand)]
    Eventlog(EventLog),
    /// Say what the kernel of this machine can do for policies
    Probe(Probe),
    /// Gather what support needs to know of this node into an archive
    Bugtool(Bugtool),
    /// Try whether the daemon does on this kernel what policies say
    #[command(subcommand, alias = "pt")]
    Policytest(PolicyTest),
    /// Print the version
    Version(Version),
    /// Sensors come and go with their policies
    #[command(subcommand, hide = true)]
    Sensors(Sensors),
    /// Tell the daemon what a container runtime would, to try it
    #[command(subcommand, hide = true)]
    Rthooks(RuntimeHook),
    /// Look at what the daemon and the kernel hold
    #[command(subcommand, hide = true)]
    Debug(Debug),
    /// The same as `debug dump`
    #[command(subcommand, hide = true)]
    Dump(Dump),
    /// Look for containers
    #[command(hide = true)]
    Cri(Cri),
    /// Look at policies for pods
    #[command(subcommand, hide = true)]
    Policyfilter(PolicyFilter),
    /// Look at control groups below those of containers
    #[command(subcommand, hide = true)]
    Cgtracker(CgroupTracker),
    /// Print a script that completes commands in a shell
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    #[command(hide = true)]
    Man,
    /// Print docs/reference/tetra.md
    #[command(hide = true)]
    Reference,
}

/// Form of other output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListFormat {
    /// A table
    Text,
    /// The daemon's answer as JSON
    Json,
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::Arguments;

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }
}
