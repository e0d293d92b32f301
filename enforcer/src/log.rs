//! Where log lines go: standard error, as text for people or JSON for machines.

use std::error::Error;
use std::io::{self, IsTerminal as _};

use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{Layer as _, fmt};

use crate::config::{LogFormat, LogSettings};

/// Crates whose messages are ours; of others only what matters is logged.
const OURS: [&str; 5] = ["api", "bpf_probes", "enforcer", "export", "tracing_policy"];

/// How to log as long as nobody has said how.
pub const FALLBACK: LogSettings = LogSettings { level: tracing::Level::INFO, format: LogFormat::Text };

/// Sends log lines to standard error from now on.
///
/// # Errors
/// When that was decided before.
pub fn init(settings: LogSettings) -> Result<(), TryInitError> {
    let level = LevelFilter::from_level(settings.level);
    let filter = OURS.iter().fold(Targets::new().with_default(LevelFilter::WARN), |filter, name| {
        filter.with_target(*name, level)
    });
    let lines = fmt::layer().with_writer(io::stderr).with_target(false);
    let lines = match settings.format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(filter)).try_init()
}

/// An error and what led to it, in one line. Most errors of ours name their cause themselves; it is not said twice.
pub fn sentence(error: &(dyn Error + 'static)) -> String {
    let mut whole = error.to_string();
    let causes = std::iter::successors(error.source(), |&cause| cause.source());
    for text in causes.map(ToString::to_string) {
        if !whole.contains(&text) {
            whole.push_str(": ");
            whole.push_str(&text);
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::sentence;

    #[derive(Debug, thiserror::Error)]
    enum Failure {
        #[error("cannot read x: {source}")]
        Named { source: io::Error },
        #[error("cannot begin")]
        Silent { source: io::Error },
    }

    #[test]
    fn a_cause_is_said_once() {
        let gone = || io::Error::other("gone");
        assert_eq!(sentence(&Failure::Named { source: gone() }), "cannot read x: gone");
        assert_eq!(sentence(&Failure::Silent { source: gone() }), "cannot begin: gone");
    }
}
