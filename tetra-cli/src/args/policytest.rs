//! Options of `tetra policytest`.

use std::path::PathBuf;

use clap::{Args, Subcommand, ValueEnum};

/// Subcommands of `policytest`.
#[derive(Debug, Subcommand)]
pub(crate) enum PolicyTest {
    /// List the tests that are built in
    List {
        /// With their parameters
        #[arg(long)]
        list_params: bool,
    },
    /// Run tests: a policy is loaded for processes of the test's own, these act, and what comes of it is compared
    Run(RunTests),
    /// Print the policies of tests
    DumpPolicy {
        /// Names of tests, or their files
        names: Vec<String>,
        /// Set a parameter of all of them
        #[arg(long, value_name = "NAME=VALUE", value_delimiter = ',')]
        set_param: Vec<String>,
    },
    /// The process whose children act
    #[command(hide = true)]
    Stage {
        /// What events tell its children by
        token: String,
    },
    /// A process that acts
    #[command(hide = true)]
    Act {
        /// What events tell it by
        token: String,
        /// The acts as JSON
        acts: String,
    },
}

/// Options of `policytest run`.
#[derive(Debug, Args)]
pub(crate) struct RunTests {
    /// Names of tests, or files with one each
    pub(crate) names: Vec<String>,
    /// Run all tests that are built in
    #[arg(long)]
    pub(crate) all_tests: bool,
    /// Run each test with every combination of its parameters' values
    #[arg(long, conflicts_with = "set_param")]
    pub(crate) all_params: bool,
    /// Set a parameter of all tests
    #[arg(long, value_name = "NAME=VALUE", value_delimiter = ',')]
    pub(crate) set_param: Vec<String>,
    /// Form of the results
    #[arg(long, value_enum, default_value_t = ResultFormat::Text)]
    pub(crate) output: ResultFormat,
    /// File to write the results to, instead of standard output
    #[arg(long, value_name = "FILE")]
    pub(crate) output_file: Option<PathBuf>,
    /// For scripts that give it: this program makes the acts itself
    #[arg(long, value_name = "DIRECTORY", hide = true)]
    pub(crate) bindir: Option<PathBuf>,
    /// File to write the policy of each test to
    #[arg(long, value_name = "FILE")]
    pub(crate) dump_policy_path: Option<PathBuf>,
    /// Have the policies only monitor; the acts must then go as if there were none
    #[arg(long)]
    pub(crate) monitor_mode: bool,
}

/// Form of results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ResultFormat {
    /// Lines
    Text,
    /// A line of JSON for each test
    Json,
}
