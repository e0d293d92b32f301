//! `tetra tracingpolicy modify FILE`

use std::path::{Path, PathBuf};

use super::file::{FileError, read};
use super::{PolicyError, mode};
use crate::args::Mode;
use crate::print::Output;

/// A policy's text was not changed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ModifyError {
    /// No text.
    #[error(transparent)]
    File(#[from] FileError),
    /// No policy, or one of a form that cannot be changed.
    #[error("cannot modify {path:?}: {source}")]
    Mode {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: mode::ModeError,
    },
}

/// Prints the policy in `path` with another mode, its other bytes as they are. What is no policy is refused in any case.
pub(super) fn run(path: &Path, mode: Option<Mode>) -> Result<(), PolicyError> {
    let text = read(path).map_err(ModifyError::File)?;
    let name = path.to_string_lossy();
    let text = match mode {
        Some(mode) => mode::set(&name, &text, mode),
        None => mode::parse(&name, &text).map(|_policy| text),
    };
    let text = text.map_err(|source| ModifyError::Mode { path: path.to_owned(), source })?;
    // The user's own file goes where he sends it, byte for byte.
    Ok(Output::stdout().write_all(text.as_bytes())?)
}
