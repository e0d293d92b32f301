//! `tetra tracingpolicy add FILE`

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use api::wire;

use super::{PolicyError, mode};
use crate::args::Mode;
use crate::client::{CallError, Client};
use crate::print::{Output, escape};

/// Largest policy that is sent, in bytes. More than any daemon takes.
const LIMIT: u64 = 64 << 20;

/// A policy was not added.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AddError {
    /// The file could not be read.
    #[error("cannot read {path:?}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file is too large.
    #[error("{path:?} is larger than {LIMIT} bytes, too large for a policy")]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file is no text.
    #[error("{path:?} is not UTF-8 text: byte {offset} is out of place")]
    Encoding {
        /// The file.
        path: PathBuf,
        /// Where the text ends.
        offset: usize,
    },
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
    let mut yaml = read(path)?;
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

fn read(path: &Path) -> Result<String, AddError> {
    let read = || -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(LIMIT + 1).read_to_end(&mut bytes)?;
        Ok(bytes)
    };
    let bytes = read().map_err(|source| AddError::Read { path: path.to_owned(), source })?;
    if bytes.len() as u64 > LIMIT {
        return Err(AddError::TooLarge { path: path.to_owned() });
    }
    String::from_utf8(bytes).map_err(|error| AddError::Encoding {
        path: path.to_owned(),
        offset: error.utf8_error().valid_up_to(),
    })
}
