//! Joins the layers: command line over environment over files.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsString;
use std::path::Path;

use super::dropin::{self, DropinError};
use super::environment;
use super::flags::Flags;
use super::foreign;
use super::settings::{Settings, SettingsError};

/// What was asked for, and what is to be said about it once logging works.
#[derive(Debug)]
pub struct Configuration {
    /// The settings.
    pub settings: Settings,
    /// What is to be said of options in configuration files that do nothing here.
    pub notes: Vec<String>,
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// Files cannot be read.
    #[error(transparent)]
    Files(#[from] DropinError),
    /// A value in a file or in the environment is wrong.
    #[error("{layer}: {reason}")]
    Value {
        /// Where it is from.
        layer: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// The options make no sense together.
    #[error(transparent)]
    Settings(#[from] SettingsError),
}

/// The configuration that `flags`, the environment and the standard files give on a machine with `cpus` possible CPUs.
///
/// # Errors
/// When a file cannot be read or an option is wrong.
pub fn load(
    flags: Flags,
    environment: impl Fn(&str) -> Option<OsString>,
    cpus: u32,
) -> Result<Configuration, ConfigError> {
    let names = Flags::names();
    let variables = environment::values(&names, environment);
    let variables = layer("environment", &variables)?;
    let above = flags.over(variables);
    let config_dir = above.config_dir.clone().filter(|path| !path.is_empty());
    let mut files = dropin::values(&dropin::places(config_dir.as_deref().map(Path::new)))?;
    let unknown = take_unknown(&mut files, &names);
    let merged = above.over(layer("configuration files", &files)?);
    Ok(Configuration { settings: Settings::new(merged, cpus)?, notes: foreign::notes(&unknown) })
}

fn layer(layer: &'static str, values: &BTreeMap<String, String>) -> Result<Flags, ConfigError> {
    Flags::from_values(values.iter().map(|(name, value)| (name.as_str(), value.as_str())))
        .map_err(|reason| ConfigError::Value { layer, reason })
}

/// Removes and returns the names that are no option: upstream's packages bring files for options that mean nothing here.
fn take_unknown(values: &mut BTreeMap<String, String>, names: &[String]) -> BTreeMap<String, String> {
    let known: BTreeSet<&str> = names.iter().map(String::as_str).collect();
    values.extract_if(.., |name, _| !known.contains(name.as_str())).collect()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_wins_over_the_environment_and_that_over_files() {
        let directory = tempfile::tempdir().unwrap();
        for (name, value) in [
            ("rb-size-total", "64K"),
            ("cluster-name", "file"),
            ("log-level", "error"),
            ("gops-address", "x"),
        ] {
            std::fs::write(directory.path().join(name), value).unwrap();
        }
        let flags =
            Flags::from_values([("config-dir", directory.path().to_str().unwrap()), ("rb-size-total", "4M")])
                .unwrap();
        let environment = |name: &str| match name {
            "TETRAGON_RB_SIZE_TOTAL" => Some("128K".into()),
            "TETRAGON_CLUSTER_NAME" => Some("environment".into()),
            _ => None,
        };
        let found = load(flags, environment, 1).unwrap();
        assert_eq!(found.settings.bounds.ring_bytes, 4 << 20);
        assert_eq!(found.settings.cluster_name, "environment");
        assert_eq!(found.settings.log.level, tracing::Level::ERROR);
        assert!(found.notes.iter().any(|note| note.contains("gops-address")), "{:?}", found.notes);
    }

    #[test]
    fn a_wrong_value_says_where_it_is_from() {
        let environment = |name: &str| (name == "TETRAGON_PROCESS_CACHE_SIZE").then(|| "many".into());
        let error = load(Flags::default(), environment, 1).unwrap_err().to_string();
        assert!(error.starts_with("environment: ") && error.contains("process-cache-size"), "{error}");
    }
}
