//! Where log lines go: standard error, and a file if one is named; as text for people or JSON for machines.

use std::error::Error;
use std::fs::{File, OpenOptions};
use std::io::{self, IsTerminal as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use tracing::Level;
use tracing::level_filters::LevelFilter;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::{SubscriberInitExt as _, TryInitError};
use tracing_subscriber::{Layer, Registry, fmt, reload};

use crate::config::{LogFormat, LogSettings};

/// Crates whose messages are ours; of others only what matters is logged.
const OURS: [&str; 5] = ["api", "bpf_probes", "enforcer", "export", "tracing_policy"];

/// How to log as long as nobody has said how.
pub const FALLBACK: LogSettings = LogSettings { level: Level::INFO, format: LogFormat::Text, file: None };

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

/// Why lines cannot be logged as asked.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// The file cannot be written to.
    #[error("the log file {path} cannot be opened: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Where lines go was decided before.
    #[error(transparent)]
    Again(#[from] TryInitError),
}

/// Sends log lines to standard error from now on, and to the file that `settings` name.
///
/// # Errors
/// See [`LogError`].
pub fn init(settings: &LogSettings) -> Result<LevelControl, LogError> {
    let (filter, control) = LevelControl::detached(settings.level);
    let mut outputs = vec![lines(settings.format, io::stderr, io::stderr().is_terminal())];
    if let Some(path) = &settings.file {
        let file = open(path).map_err(|source| LogError::File { path: path.clone(), source })?;
        outputs.push(lines(settings.format, Mutex::new(file), false));
    }
    tracing_subscriber::registry().with(outputs.with_filter(filter)).try_init()?;
    Ok(control)
}

/// For appending; a new one is for its owner alone.
fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

fn lines(
    format: LogFormat,
    writer: impl for<'a> MakeWriter<'a> + Send + Sync + 'static,
    colours: bool,
) -> Box<dyn Layer<Registry> + Send + Sync> {
    let lines = fmt::layer().with_writer(writer).with_target(false);
    match format {
        LogFormat::Text => lines.with_ansi(colours).boxed(),
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
    }
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
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io;
    use std::os::unix::fs::PermissionsExt as _;
    use std::sync::Mutex;

    use tracing::Level;
    use tracing_subscriber::layer::SubscriberExt as _;
    use tracing_subscriber::{Layer as _, fmt};

    use super::{LevelControl, LogFormat, lines, open, sentence};

    /// Whether a message is wanted is remembered for the process by `tracing`, of one subscriber at a time.
    static ONE_LOG: Mutex<()> = Mutex::new(());

    #[test]
    fn the_level_can_be_changed_while_the_log_runs() {
        let _alone = ONE_LOG.lock().unwrap();
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

    // proves: EXP-07
    #[test]
    fn lines_go_to_a_file_as_text_or_json_as_well() {
        let _alone = ONE_LOG.lock().unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("enforcer.log");
        for format in [LogFormat::Text, LogFormat::Json] {
            let output = lines(format, Mutex::new(open(&path).unwrap()), false);
            tracing::subscriber::with_default(tracing_subscriber::registry().with(output), || {
                tracing::info!(policies = 3, "enforcer ready");
            });
        }
        let text = std::fs::read_to_string(&path).unwrap();
        let (first, second) = text.trim().split_once('\n').unwrap();
        assert!(first.ends_with("INFO enforcer ready policies=3"), "{first}");
        let json: serde_json::Value = serde_json::from_str(second).unwrap();
        assert_eq!((&json["message"], &json["policies"]), (&"enforcer ready".into(), &3.into()));
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
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
