//! Options of `tetra getevents`.
#![expect(clippy::doc_markdown, reason = "these comments are the text of --help")]

use std::time::Duration;

use api::name::EventType;
use clap::{Args, ValueEnum};

use super::value::{duration, event_type};

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
