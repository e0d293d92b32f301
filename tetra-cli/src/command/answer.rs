//! Asking the daemon once and printing its answer.

use super::foreign::Foreign;
use crate::args::Connection;
use crate::client::{AddressError, CallError, Client, MetricsError};
use crate::print::{Output, OutputError};

/// The answer could not be printed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum AnswerError {
    /// No usable address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// No answer.
    #[error("cannot {what}: {source}")]
    Call {
        /// What was asked for.
        what: &'static str,
        /// Why it is not had.
        source: CallError,
    },
    /// The answer has no JSON form.
    #[error("cannot show the answer as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// The daemon has no metrics.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// There is no such thing here.
    #[error(transparent)]
    Foreign(#[from] Foreign),
    /// Not of the form that is asked for.
    #[error("{0}")]
    Form(String),
    /// No output.
    #[error("{0}")]
    Output(#[from] OutputError),
}

/// Asks with `ask`, which messages call `what`, and prints what `render` makes of the answer.
pub(super) fn print<T>(
    connection: &Connection,
    what: &'static str,
    ask: impl FnOnce(&Client) -> Result<T, CallError>,
    render: impl FnOnce(T) -> Result<String, AnswerError>,
) -> Result<(), AnswerError> {
    let client = Client::new(connection)?;
    let answer = ask(&client).map_err(|source| AnswerError::Call { what, source })?;
    Ok(Output::stdout().write_all(render(answer)?.as_bytes())?)
}
