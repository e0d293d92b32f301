//! Options of `tetra tracingpolicy`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

use super::command::ListFormat;

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
    /// List the domains of policies
    Domains {
        /// Form of the list
        #[arg(short, long, value_enum, default_value_t = ListFormat::Text)]
        output: ListFormat,
    },
    /// Print the policy in a file with changes, without a daemon
    Modify {
        /// The file
        file: PathBuf,
        /// Mode to set
        #[arg(short, long, value_enum)]
        mode: Option<Mode>,
    },
    /// Print a policy made from what this machine has
    Generate {
        /// Only calls made by this program
        #[arg(short, long, global = true, value_name = "PATH")]
        match_binary: Option<String>,
        /// What to hook
        #[command(subcommand)]
        what: Generate,
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

/// What `tracingpolicy generate` makes a policy of.
#[derive(Debug, Subcommand)]
pub(crate) enum Generate {
    /// Nothing, to be filled in
    Empty,
    /// A kprobe for each system call of this kernel
    AllSyscalls,
    /// One kprobe for a list of all system calls of this kernel
    AllSyscallsList,
    /// One kprobe for a list of the functions that this kernel can trace
    FtraceList {
        /// Only functions whose name has a match of this expression
        #[arg(short, long, default_value = "", hide_default_value = true)]
        regex: String,
    },
    /// A uprobe for all functions of a program or library
    Uprobes {
        /// Its file
        #[arg(short, long, value_name = "PATH")]
        binary: PathBuf,
    },
    /// All static probes (USDT) of a program or library
    Usdts {
        /// Its file
        #[arg(short, long, value_name = "PATH")]
        binary: PathBuf,
    },
}
