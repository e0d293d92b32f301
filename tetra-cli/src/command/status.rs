//! `tetra status`

use api::wire;

use crate::args::Connection;
use crate::client::{AddressError, CallError, Client};
use crate::print::{Output, OutputError, escape};

/// The status could not be printed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StatusError {
    /// No usable address.
    #[error(transparent)]
    Address(#[from] AddressError),
    /// No answer.
    #[error("cannot get the status: {0}")]
    Call(#[from] CallError),
    /// No output.
    #[error("{0}")]
    Output(#[from] OutputError),
}

/// Prints the health of the daemon: the first entry's details, then a line for each further detail it reports.
pub(crate) fn run(connection: &Connection) -> Result<(), StatusError> {
    Ok(Output::stdout().write_all(text(&Client::new(connection)?)?.as_bytes())?)
}

/// What is printed.
pub(super) fn text(client: &Client) -> Result<String, CallError> {
    let health = client.call(async |mut service| {
        service.get_health(wire::GetHealthStatusRequest { event_set: Vec::new() }).await
    })?;
    Ok(render(&health.health_status))
}

fn render(statuses: &[wire::HealthStatus]) -> String {
    let Some((first, further)) = statuses.split_first() else {
        return "Health Status: no status available\n".to_owned();
    };
    let mut text = format!("Health Status: {}\n", escape::visible_lines(first.details.trim_end()));
    for details in
        further.iter().map(|status| status.details.trim_end()).filter(|details| !details.is_empty())
    {
        text.push_str(&escape::visible_lines(details));
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    use api::wire::HealthStatus;

    use super::render;

    fn status(details: &str) -> HealthStatus {
        HealthStatus { details: details.to_owned(), ..HealthStatus::default() }
    }

    #[test]
    fn further_details_follow_on_lines_of_their_own() {
        let text = render(&[status("running"), status("lost exec: 0\nlost hook: 7"), status("")]);
        assert_eq!(text, "Health Status: running\nlost exec: 0\nlost hook: 7\n");
        assert_eq!(render(&[status("running\nlost exec: 1")]), "Health Status: running\nlost exec: 1\n");
    }

    #[test]
    fn foreign_bytes_do_not_reach_the_terminal() {
        assert_eq!(render(&[status("\u{1b}[2J")]), "Health Status: \\x1b[2J\n");
        assert_eq!(render(&[]), "Health Status: no status available\n");
    }
}
