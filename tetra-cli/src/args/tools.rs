//! Options of the hidden tools that look at containers and policies from outside of the daemon.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::debug::TableFormat;

/// Options of `cri`.
#[derive(Debug, Args)]
pub(crate) struct Cri {
    /// For scripts that give it: no container runtime is asked
    #[arg(short, long, global = true, value_name = "ADDRESS", hide = true)]
    pub(crate) runtime_endpoint: Option<String>,
    /// Form of the output
    #[arg(short, long, global = true, value_enum, default_value_t = CriFormat::Raw)]
    pub(crate) output: CriFormat,
    #[command(subcommand)]
    pub(crate) what: CriWhat,
}

/// Form of the output of `cri`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum CriFormat {
    /// As it is
    Raw,
    /// A string of JSON
    Json,
}

/// Subcommands of `cri`.
#[derive(Debug, Subcommand)]
pub(crate) enum CriWhat {
    /// Upstream asks the container runtime for its version
    Version,
    /// Print the control group of a container
    #[command(name = "cgroup_path")]
    CgroupPath {
        /// The container's id, or its first 12 letters at least
        container: String,
    },
}

/// Subcommands of `policyfilter`.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyFilter {
    /// Upstream's maps of pods, which are not here
    Dump {
        /// Their file
        #[arg(long, value_name = "FILE")]
        map_fname: Option<PathBuf>,
        /// Form of the output
        #[arg(short, long, value_enum, default_value_t = TableFormat::Tab)]
        output: TableFormat,
    },
    /// Upstream adds a control group to a policy
    Add {
        /// The policy
        policy: String,
        /// The control group
        cgroup: String,
        /// What that is
        #[arg(long, default_value = "file")]
        arg_type: String,
        /// The map's file
        #[arg(long, value_name = "FILE")]
        map_fname: Option<PathBuf>,
    },
    /// Print the id of a control group
    Cgroupid {
        /// Its folder
        folder: PathBuf,
    },
    /// Upstream's policies of a container
    Listpolicies {
        /// The container's id
        container: String,
        /// Address of the container runtime
        #[arg(short, long)]
        runtime_endpoint: Option<String>,
        /// Where control groups are mounted
        #[arg(long)]
        cgroup_mount: Option<PathBuf>,
    },
}

/// Subcommands of `cgtracker`.
#[derive(Debug, Subcommand)]
pub(crate) enum CgroupTracker {
    /// Upstream's map of tracked control groups, which is not here
    Dump {
        /// Its file
        #[arg(long, value_name = "FILE")]
        map_fname: Option<PathBuf>,
    },
    /// Upstream has a control group tracked by another
    Add {
        /// The one
        tracked: String,
        /// The other
        tracker: String,
        /// The map's file
        #[arg(long, value_name = "FILE")]
        map_fname: Option<PathBuf>,
    },
}
