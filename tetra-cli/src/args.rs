//! The command line as typed.
#![expect(clippy::doc_markdown, reason = "these comments are the text of --help")]

use std::path::PathBuf;
use std::time::Duration;

use api::name::EventType;
use clap::{Args, Parser, Subcommand, ValueEnum};

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
    /// Time limit of one call; does not limit a stream of events
    #[arg(long, global = true, value_name = "DURATION", default_value = "30s", value_parser = duration)]
    pub(crate) timeout: Duration,
    /// How often to try again, at growing intervals, while the daemon is not there
    #[arg(long, global = true, value_name = "N", default_value_t = 1)]
    pub(crate) retries: u32,
    /// Largest message or line to accept, in bytes
    #[arg(long, global = true, value_name = "BYTES", default_value_t = 10 << 20)]
    pub(crate) max_recv_size: usize,
    /// Client certificate
    #[arg(long, global = true, value_name = "FILE", hide = true)]
    pub(crate) tls_cert_file: Option<PathBuf>,
    /// Key of the client certificate
    #[arg(long, global = true, value_name = "FILE", hide = true)]
    pub(crate) tls_key_file: Option<PathBuf>,
    /// Certificates of authorities
    #[arg(long, global = true, value_name = "FILE", value_delimiter = ',', hide = true)]
    pub(crate) tls_ca_cert_files: Vec<PathBuf>,
    /// Name the server's certificate must bear
    #[arg(long, global = true, value_name = "NAME", hide = true)]
    pub(crate) tls_server_name: Option<String>,
    /// Do not check the server's certificate
    #[arg(long, global = true, hide = true)]
    pub(crate) tls_skip_verify: bool,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Print events as they happen, or those read from standard input
    Getevents(Box<GetEvents>),
    /// Say whether the daemon runs, and what it lost
    Status,
    /// Manage tracing policies
    #[command(subcommand, alias = "tp")]
    Tracingpolicy(Policy),
    /// Print the version
    Version(Version),
    /// Print a script that completes commands in a shell
    Completion {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Print the manual page
    #[command(hide = true)]
    Man,
}

/// Form of events.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum EventFormat {
    /// One JSON object a line
    Json,
    /// One short line for people
    Compact,
}

/// When to use colours.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set
    Auto,
    /// Yes
    Always,
    /// No
    Never,
}

/// Options of `getevents`.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "flags of a command line")]
pub(crate) struct GetEvents {
    /// Form of the events
    #[arg(short, long, value_enum, default_value_t = EventFormat::Json)]
    pub(crate) output: EventFormat,
    /// Colours of compact output
    #[arg(long, value_enum, default_value_t = Color::Auto)]
    pub(crate) color: Color,
    /// Begin each compact line with the time
    #[arg(long)]
    pub(crate) timestamps: bool,
    /// Only events of these types, such as PROCESS_EXEC
    #[arg(short, long, value_name = "TYPE", value_delimiter = ',', value_parser = event_type, ignore_case = true)]
    pub(crate) event_types: Vec<EventType>,
    /// Only events of pods in these namespaces
    #[arg(short, long, alias = "namespaces", value_delimiter = ',')]
    pub(crate) namespace: Vec<String>,
    /// Only events of pods in namespaces that match one of these expressions
    #[arg(long, value_name = "REGEX", value_delimiter = ',')]
    pub(crate) namespace_regex: Vec<String>,
    /// Only events of processes whose binary matches one of these expressions
    #[arg(long, alias = "processes", value_name = "REGEX", value_delimiter = ',')]
    pub(crate) process: Vec<String>,
    /// Only events of pods whose name matches one of these expressions
    #[arg(long, alias = "pods", value_name = "REGEX", value_delimiter = ',')]
    pub(crate) pod: Vec<String>,
    /// Only events of containers whose name matches one of these expressions
    #[arg(long, value_name = "REGEX", value_delimiter = ',', hide = true)]
    pub(crate) containers: Vec<String>,
    /// Only events of processes outside pods
    #[arg(long)]
    pub(crate) host: bool,
    /// Only events of these policies
    #[arg(long, value_name = "NAME", value_delimiter = ',')]
    pub(crate) policy_names: Vec<String>,
    /// Only events for which one of these CEL expressions is true; the daemon evaluates them
    #[arg(long, value_name = "EXPRESSION")]
    pub(crate) cel_expression: Vec<String>,
    /// Print, and as they are, the bytes that kprobes saw written to or read from this file, such as a terminal; and no events
    #[arg(short, long, value_name = "FILE")]
    pub(crate) tty_encode: Option<String>,
    /// Only these fields of events, such as process.exec_id; the daemon applies it
    #[arg(short = 'f', long, value_name = "FIELD", value_delimiter = ',')]
    pub(crate) include_fields: Vec<String>,
    /// Not these fields of events; the daemon applies it
    #[arg(short = 'F', long, value_name = "FIELD", value_delimiter = ',')]
    pub(crate) exclude_fields: Vec<String>,
    /// Print stack traces in compact output
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_value_t = true, default_missing_value = "true",
        require_equals = true, action = clap::ArgAction::Set)]
    pub(crate) stack_traces: bool,
    /// Print hashes of IMA in compact output
    #[arg(long, value_name = "BOOL", num_args = 0..=1, default_value_t = true, default_missing_value = "true",
        require_equals = true, action = clap::ArgAction::Set)]
    pub(crate) ima_hash: bool,
    /// Print below each compact line of a hook its arguments with their labels, what it returned, the action and the policy
    #[arg(long)]
    pub(crate) details: bool,
    /// Connect again when the stream ends
    #[arg(long)]
    pub(crate) reconnect: bool,
    /// How long to wait before that
    #[arg(long, value_name = "DURATION", default_value = "2s", value_parser = duration)]
    pub(crate) reconnect_wait: Duration,
}

/// Form of other output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListFormat {
    /// A table
    Text,
    /// The daemon's answer as JSON
    Json,
}

/// A policy by its name.
#[derive(Debug, Args)]
pub(crate) struct PolicyName {
    /// Name of the policy
    pub(crate) name: String,
    /// Namespace of a namespaced policy
    #[arg(short, long, default_value = "", hide_default_value = true)]
    pub(crate) namespace: String,
    /// Domain of the policy [default: grpc]
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) domain: String,
}

/// Subcommands of `tracingpolicy`.
#[derive(Debug, Subcommand)]
pub(crate) enum Policy {
    /// Add the policy in a file
    Add {
        /// The file
        file: PathBuf,
        /// Mode to start in, instead of the one that the policy asks for
        #[arg(short, long, value_enum)]
        mode: Option<Mode>,
        /// Domain of the policy [default: grpc]
        #[arg(long, default_value = "", hide_default_value = true)]
        domain: String,
    },
    /// Delete a policy
    Delete(PolicyName),
    /// Enable a policy
    Enable(PolicyName),
    /// Disable a policy
    Disable(PolicyName),
    /// Let a policy enforce, or only monitor
    SetMode {
        #[command(flatten)]
        policy: PolicyName,
        /// The mode
        #[arg(value_enum)]
        mode: Mode,
    },
    /// List policies
    List {
        /// Form of the list
        #[arg(short, long, value_enum, default_value_t = ListFormat::Text)]
        output: ListFormat,
        /// Domain of the policies [default: all]
        #[arg(long, default_value = "", hide_default_value = true)]
        domain: String,
    },
}

/// Mode of a policy.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Mode {
    /// Act
    Enforce,
    /// Only report
    Monitor,
}

/// Options of `version`.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Version {
    /// Print the version of the daemon too
    #[arg(short, long)]
    pub(crate) server: bool,
    /// Print how tetra was built
    #[arg(short, long)]
    pub(crate) build: bool,
}

fn event_type(text: &str) -> Result<EventType, String> {
    EventType::from_name(&text.to_ascii_uppercase()).ok_or_else(|| {
        let names: Vec<_> = EventType::ALL.iter().map(|known| known.name()).collect();
        format!("event types are {}", names.join(", "))
    })
}

/// A duration such as `30s`, `1m30s`, `1.5h` or `200ms`.
fn duration(text: &str) -> Result<Duration, String> {
    const UNITS: [(&str, f64); 7] =
        [("ns", 1e-9), ("us", 1e-6), ("µs", 1e-6), ("ms", 1e-3), ("s", 1.0), ("m", 60.0), ("h", 3600.0)];
    let refuse = || "a duration is numbers with units, such as 30s, 1m30s or 200ms".to_owned();
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let mut seconds = 0.0;
    let mut rest = text;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit() && c != '.').ok_or_else(refuse)?;
        let (number, tail) = rest.split_at(digits);
        let unit_end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(unit_end);
        let (_, factor) = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(refuse)?;
        seconds += number.parse::<f64>().map_err(|_source| refuse())? * factor;
        rest = tail;
    }
    if text.is_empty() {
        return Err(refuse());
    }
    Duration::try_from_secs_f64(seconds).map_err(|_source| refuse())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::CommandFactory as _;

    use super::{Arguments, duration, event_type};

    #[test]
    fn the_command_line_is_consistent() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn durations_read_as_in_go() {
        assert_eq!(duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(duration("1m30s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1.5h"), Ok(Duration::from_mins(90)));
        assert_eq!(duration("200ms"), Ok(Duration::from_millis(200)));
        assert_eq!(duration("0"), Ok(Duration::ZERO));
        for text in ["", "30", "s", "-1s", "1x", "1s2", "1.2.3s", "99999999999999999999h"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn an_unknown_event_type_is_told_the_known_ones() {
        assert!(event_type("process_exec").is_ok());
        assert!(event_type("EXEC").is_err_and(|error| error.contains("PROCESS_KPROBE")));
    }
}
