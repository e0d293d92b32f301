//! Where log lines go: standard error, as text for people or JSON for machines.

use std::error::Error;
use std::io::{self, IsTerminal as _};

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{Layer as _, Registry, fmt, reload};

use crate::config::{LogFormat, LogSettings};

/// Crates whose messages are ours; of others only what matters is logged.
const OURS: [&str; 5] = ["api", "bpf_probes", "enforcer", "export", "tracing_policy"];

/// How to log as long as nobody has said how.
pub const FALLBACK: LogSettings = LogSettings { level: Level::INFO, format: LogFormat::Text };

/// How much is logged; it can be changed while the daemon runs. Clones are of one log.
#[derive(Clone, Debug)]
pub struct LevelControl(reload::Handle<Targets, Registry>);

impl LevelControl {
    /// A level, and the filter that follows it as long as it lives.
    pub(crate) fn detached(level: Level) -> (reload::Layer<Targets, Registry>, Self) {
        let (filter, handle) = reload::Layer::new(targets(level));
        (filter, Self(handle))
    }

    /// The most detailed lines that are logged.
    pub fn level(&self) -> Level {
        let all = [Level::TRACE, Level::DEBUG, Level::INFO, Level::WARN];
        let logs = |level: &Level| self.0.with_current(|filter| filter.would_enable(OURS[0], level));
        all.into_iter().find(|level| logs(level).unwrap_or_default()).unwrap_or(Level::ERROR)
    }

    /// Logs lines up to that level from now on.
    pub fn set(&self, level: Level) {
        // It fails only where the log is gone, and then there is nothing to change.
        drop(self.0.reload(targets(level)));
    }
}

/// Our crates up to that level, others where it matters.
fn targets(level: Level) -> Targets {
    let level = LevelFilter::from_level(level);
    OURS.iter()
        .fold(Targets::new().with_default(LevelFilter::WARN), |filter, name| filter.with_target(*name, level))
}

/// Sends log lines to standard error from now on.
///
/// # Errors
/// When that was decided before.
pub fn init(settings: LogSettings) -> Result<LevelControl, TryInitError> {
    let (filter, control) = LevelControl::detached(settings.level);
    let lines = fmt::layer().with_writer(io::stderr).with_target(false);
    let lines = match settings.format {
        LogFormat::Text => lines.with_ansi(io::stderr().is_terminal()).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(filter)).try_init()?;
    Ok(control)
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

    use tracing::Level;
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::{Layer as _, fmt};

    use super::{LevelControl, sentence};

    #[test]
    fn the_level_can_be_changed_while_the_log_runs() {
        let (filter, control) = LevelControl::detached(Level::INFO);
        let lines = fmt::layer().with_writer(io::sink);
        tracing::subscriber::with_default(
            tracing_subscriber::registry().with(lines.with_filter(filter)),
            || {
                for level in [Level::INFO, Level::TRACE, Level::ERROR, Level::WARN, Level::DEBUG] {
                    control.set(level);
                    assert_eq!(control.level(), level);
                    assert_eq!(tracing::enabled!(target: "enforcer", Level::DEBUG), level >= Level::DEBUG);
                }
            },
        );
    }

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
