//! `tetra tracingpolicy`: one subcommand a file.

mod add;
mod change;
mod domains;
mod file;
mod generate;
mod list;
mod mode;
mod modify;

use crate::args::{Connection, Policy};
use crate::client::{AddressError, CallError, Client};
use crate::print::OutputError;

use add::AddError;
use change::Change;
use generate::GenerateError;
use modify::ModifyError;

/// A policy command failed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PolicyError {
    /// No usable address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// A policy was not added.
    #[error(transparent)]
    Add(#[from] AddError),
    /// A policy's text was not changed.
    #[error(transparent)]
    Modify(#[from] ModifyError),
    /// A policy was not made.
    #[error("cannot generate a policy: {0}")]
    Generate(#[from] GenerateError),
    /// A policy was not changed.
    #[error("cannot {verb} tracing policy {name:?}: {source}")]
    Change {
        /// What was asked.
        verb: &'static str,
        /// Of which policy.
        name: String,
        /// Why not.
        source: CallError,
    },
    /// No list.
    #[error("cannot list tracing policies: {0}")]
    List(CallError),
    /// No list of domains.
    #[error("cannot list the domains of policies: {0}")]
    Domains(CallError),
    /// The list has no JSON form.
    #[error("cannot show the list as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// No output.
    #[error("{0}")]
    Output(#[from] OutputError),
}

/// Does what `command` says.
pub(crate) fn run(connection: &Connection, command: &Policy) -> Result<(), PolicyError> {
    let client = || Client::new(connection);
    match command {
        Policy::Modify { file, mode } => modify::run(file, *mode),
        Policy::Generate { match_binary, what } => generate::run(what, match_binary.as_deref()),
        Policy::Domains { output } => domains::run(&client()?, *output),
        Policy::Add { file, mode, domain } => add::run(&client()?, file, *mode, domain),
        Policy::Delete(policy) => change::run(&client()?, policy, Change::Delete),
        Policy::Enable(policy) => change::run(&client()?, policy, Change::Enable),
        Policy::Disable(policy) => change::run(&client()?, policy, Change::Disable),
        Policy::SetMode { policy, mode } => change::run(&client()?, policy, Change::Mode(*mode)),
        Policy::List { output, domain } => list::run(&client()?, *output, domain),
    }
}
