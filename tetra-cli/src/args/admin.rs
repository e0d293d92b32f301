//! Options of the commands about the daemon and the machine.

use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};

use super::value::duration;

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

/// Options of `top`.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Top {
    /// How often to count anew
    #[arg(short, long, value_name = "DURATION", default_value = "1s", value_parser = duration)]
    pub(crate) interval: Duration,
}

/// Options of `explain`.
#[derive(Debug, Args)]
pub(crate) struct Explain {
    /// What to describe: a resource, and the way to a field, such as tracingpolicy.spec.kprobes
    #[arg(required_unless_present = "list")]
    pub(crate) path: Option<String>,
    /// Form of the description
    #[arg(short, long, value_enum, default_value_t = ExplainFormat::Text)]
    pub(crate) output: ExplainFormat,
    /// Print the fields of fields too
    #[arg(short = 'R', long)]
    pub(crate) recursive: bool,
    /// Print an example where there is one
    #[arg(long)]
    pub(crate) example: bool,
    /// List the resources
    #[arg(long)]
    pub(crate) list: bool,
    /// Version of the resource
    #[arg(long, default_value = "", hide_default_value = true)]
    pub(crate) api_version: String,
}

/// Form of a description.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ExplainFormat {
    /// For people
    Text,
    /// The schema
    Json,
    /// The schema
    Yaml,
}

/// Subcommands of `loglevel`.
#[derive(Debug, Subcommand)]
pub(crate) enum LogLevel {
    /// Print it
    Get,
    /// Change it
    Set {
        /// trace, debug, info, warning, error, fatal or panic
        level: String,
    },
}

/// Subcommands of `eventlog`.
#[derive(Debug, Subcommand)]
pub(crate) enum EventLog {
    /// Print the settings
    Get,
    /// Change those that are given
    Set {
        /// Largest size of the file in megabytes
        #[arg(long, value_name = "MEGABYTES")]
        max_size: Option<i32>,
        /// How many rotated files to keep
        #[arg(long, value_name = "N")]
        max_backups: Option<i32>,
        /// How long to write to one file
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        rotation_interval: Option<Duration>,
    },
}

/// Options of `probe`.
#[derive(Debug, Args)]
pub(crate) struct Probe {
    #[command(subcommand)]
    pub(crate) what: Option<ProbeWhat>,
}

/// Subcommands of `probe`.
#[derive(Debug, Clone, Copy, Subcommand)]
pub(crate) enum ProbeWhat {
    /// Options that the kernel was built with
    Config,
}

/// Subcommands of `sensors`.
#[derive(Debug, Subcommand)]
pub(crate) enum Sensors {
    /// List them
    List,
    /// Enable one
    Enable {
        /// Its name
        name: String,
    },
    /// Disable one
    Disable {
        /// Its name
        name: String,
    },
    /// Remove one
    Rm {
        /// Its name
        name: String,
    },
}

/// Subcommands of `rthooks`.
#[derive(Debug, Subcommand)]
pub(crate) enum RuntimeHook {
    /// A container is about to be created
    CreateContainer {
        /// Its id
        #[arg(long, default_value = "", hide_default_value = true)]
        container_id: String,
        /// Its root folder
        #[arg(long, default_value = "", hide_default_value = true)]
        root_dir: String,
        /// What the runtime says of it, NAME=VALUE
        #[arg(long, value_name = "NAME=VALUE", value_delimiter = ',')]
        annotations: Vec<String>,
    },
}
