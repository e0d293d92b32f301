//! `tetra tracingpolicy add FILE`

use std::path::{Path, PathBuf};

use api::wire;

use super::file::{FileError, read};
use super::{PolicyError, mode};
use crate::args::Mode;
use crate::client::{CallError, Client};
use crate::print::{Output, escape};

/// A policy was not added.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AddError {
    /// No text.
    #[error(transparent)]
    File(#[from] FileError),
    /// The mode could not be set.
    #[error("cannot add {path:?}: {source}")]
    Mode {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: mode::ModeError,
    },
    /// The daemon refused it.
    #[error("cannot add {path:?}: {source}")]
    Call {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: CallError,
    },
}

/// Sends the policy in `path` to the daemon; returns when it is live.
pub(super) fn run(client: &Client, path: &Path, mode: Option<Mode>, domain: &str) -> Result<(), PolicyError> {
    let mut yaml = read(path).map_err(AddError::File)?;
    if let Some(mode) = mode {
        yaml = mode::set(&path.to_string_lossy(), &yaml, mode)
            .map_err(|source| AddError::Mode { path: path.to_owned(), source })?;
    }
    let request = wire::AddTracingPolicyRequest { yaml, domain: domain.to_owned() };
    client
        .call(async |mut service| service.add_tracing_policy(request.clone()).await)
        .map_err(|source| AddError::Call { path: path.to_owned(), source })?;
    let name = path.to_string_lossy();
    Ok(Output::stdout()
        .write_all(format!("tracing policy \"{}\" added\n", escape::visible(&name)).as_bytes())?)
}
