//! `tetra version`

use api::wire;

use crate::args::{Connection, Version};
use crate::client::{AddressError, CallError, Client};
use crate::print::{Output, OutputError, escape};

/// The version could not be printed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum VersionError {
    /// No usable address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// No answer.
    #[error("cannot get the version of the daemon: {0}")]
    Call(#[from] CallError),
    /// No output.
    #[error("{0}")]
    Output(#[from] OutputError),
}

/// Prints the version of `tetra`, and of the daemon where asked for.
pub(crate) fn run(connection: &Connection, options: Version) -> Result<(), VersionError> {
    let mut output = Output::stdout();
    output.write_all(format!("CLI version: v{}\n", env!("CARGO_PKG_VERSION")).as_bytes())?;
    if options.build {
        // The names are those of upstream's command; there is no Go in this one.
        let fact = |known: Option<&'static str>| known.unwrap_or("unknown");
        let lines = format!(
            "GoVersion: none\nDate: {}\nGitCommit: {}\nGitTreeState: {}\n",
            fact(option_env!("ENFORCER_GIT_DATE")),
            fact(option_env!("ENFORCER_GIT_COMMIT")),
            fact(option_env!("ENFORCER_GIT_TREE")),
        );
        output.write_all(lines.as_bytes())?;
    }
    if options.server {
        let client = Client::new(connection)?;
        let answer =
            client.call(async |mut service| service.get_version(wire::GetVersionRequest {}).await)?;
        output.write_all(format!("Server version: {}\n", escape::visible(&answer.version)).as_bytes())?;
    }
    Ok(())
}
