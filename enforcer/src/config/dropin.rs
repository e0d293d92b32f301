//! Options that files set.
//!
//! Two forms: a directory with one file for each option, whose content is the value (how a `ConfigMap` is mounted), and a YAML file with one
//! key for each option. Later places win over earlier ones; an empty file takes back what an earlier place said.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

/// Most bytes that are read of one file.
const MAX_FILE: u64 = 1024 * 1024;

/// A place where options are looked for.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Place {
    /// A directory of files; it need not exist.
    Directory(PathBuf),
    /// A directory of files that the user named; it must exist.
    RequiredDirectory(PathBuf),
    /// A YAML file; it need not exist.
    Yaml(PathBuf),
}

/// Why the options in files could not be read.
#[derive(Debug, thiserror::Error)]
pub enum DropinError {
    /// A file or directory could not be read.
    #[error("cannot read configuration {path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A YAML file is not a map of options to values.
    #[error("configuration {path} is not a list of `option: value`: {reason}")]
    Yaml {
        /// Which.
        path: PathBuf,
        /// What the parser says.
        reason: String,
    },
}

/// The standard places, first to last; `config_dir` comes behind them.
pub(super) fn places(config_dir: Option<&Path>) -> Vec<Place> {
    let mut places = vec![
        Place::Directory("/usr/lib/tetragon/tetragon.conf.d".into()),
        Place::Directory("/usr/local/lib/tetragon/tetragon.conf.d".into()),
        Place::Yaml("tetragon.yaml".into()),
        Place::Yaml("/etc/tetragon/tetragon.yaml".into()),
        Place::Directory("/etc/tetragon/tetragon.conf.d".into()),
    ];
    places.extend(config_dir.map(|path| Place::RequiredDirectory(path.to_owned())));
    places
}

/// The options that the places set, by name, and what was decided last.
///
/// # Errors
/// When something that exists cannot be read, or a required directory does not exist.
pub(super) fn values(places: &[Place]) -> Result<BTreeMap<String, String>, DropinError> {
    let mut values = BTreeMap::new();
    for place in places {
        let found = match place {
            Place::Directory(path) => absent_is_empty(path, directory(path))?,
            Place::RequiredDirectory(path) => directory(path).map_err(read_error(path))?,
            Place::Yaml(path) => yaml(path)?,
        };
        for (name, value) in found {
            if value.is_empty() {
                values.remove(&name);
            } else {
                values.insert(name, value);
            }
        }
    }
    Ok(values)
}

fn read_error(path: &Path) -> impl FnOnce(io::Error) -> DropinError {
    let path = path.to_owned();
    move |source| DropinError::Read { path, source }
}

fn absent_is_empty<T: Default>(path: &Path, result: io::Result<T>) -> Result<T, DropinError> {
    match result {
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(T::default())
        }
        other => other.map_err(read_error(path)),
    }
}

/// One option for each regular file, by the order of names; symbolic links are followed, directories and hidden files are not read.
fn directory(path: &Path) -> io::Result<BTreeMap<String, String>> {
    let mut values = BTreeMap::new();
    for entry in fs::read_dir(path)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if name.starts_with('.') || !fs::metadata(entry.path())?.is_file() {
            continue;
        }
        values.insert(name, read_bounded(&entry.path())?.trim().to_owned());
    }
    Ok(values)
}

fn yaml(path: &Path) -> Result<BTreeMap<String, String>, DropinError> {
    let text = absent_is_empty(path, read_bounded(path))?;
    if text.trim().is_empty() {
        return Ok(BTreeMap::new());
    }
    let values: BTreeMap<String, serde_json::Value> =
        serde_saphyr::from_str(&text).map_err(|error| DropinError::Yaml {
            path: path.to_owned(),
            reason: error.to_string().lines().next().unwrap_or_default().to_owned(),
        })?;
    values.into_iter().map(|(name, value)| Ok((name, scalar(path, value)?))).collect()
}

fn scalar(path: &Path, value: serde_json::Value) -> Result<String, DropinError> {
    match value {
        serde_json::Value::Null => Ok(String::new()),
        serde_json::Value::String(text) => Ok(text),
        serde_json::Value::Bool(_) | serde_json::Value::Number(_) => Ok(value.to_string()),
        serde_json::Value::Array(_) | serde_json::Value::Object(_) => {
            Err(DropinError::Yaml { path: path.to_owned(), reason: "a value is a list or a map".to_owned() })
        }
    }
}

fn read_bounded(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    fs::File::open(path)?.take(MAX_FILE + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MAX_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "more than 1 MiB"));
    }
    Ok(text)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    // proves: INST-05
    #[test]
    fn a_later_place_wins_and_an_empty_file_takes_back() {
        let (first, second) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(first.path().join("rb-size"), "64K\n").unwrap();
        fs::write(first.path().join("log-level"), "debug\n").unwrap();
        fs::write(first.path().join("btf"), "/a").unwrap();
        fs::write(second.path().join("log-level"), " error ").unwrap();
        fs::write(second.path().join("btf"), "\n").unwrap();
        fs::create_dir(second.path().join("cluster-name")).unwrap();
        let places = [Place::Directory(first.path().into()), Place::RequiredDirectory(second.path().into())];
        let found = values(&places).unwrap();
        let found: Vec<_> = found.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
        assert_eq!(found, [("log-level", "error"), ("rb-size", "64K")]);
    }

    #[test]
    fn files_of_a_config_map_are_read_through_their_links() {
        let directory = tempfile::tempdir().unwrap();
        fs::create_dir(directory.path().join("..data")).unwrap();
        fs::write(directory.path().join("..data/debug"), "true").unwrap();
        std::os::unix::fs::symlink("..data/debug", directory.path().join("debug")).unwrap();
        let found = values(&[Place::RequiredDirectory(directory.path().into())]).unwrap();
        assert_eq!(found.get("debug").map(String::as_str), Some("true"));
    }

    #[test]
    fn only_a_directory_that_was_asked_for_must_exist() {
        assert!(
            values(&[Place::Directory("/no/such".into()), Place::Yaml("/no/such.yaml".into())])
                .unwrap()
                .is_empty()
        );
        let error = values(&[Place::RequiredDirectory("/no/such".into())]).unwrap_err();
        assert!(error.to_string().contains("/no/such"));
    }

    #[test]
    fn a_yaml_file_holds_scalars() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tetragon.yaml");
        fs::write(&path, "rb-size: 1M\nprocess-cache-size: 100\ndebug: true\n").unwrap();
        let found = values(&[Place::Yaml(path.clone())]).unwrap();
        let found: Vec<_> = found.values().map(String::as_str).collect();
        assert_eq!(found, ["true", "100", "1M"]);
        fs::write(&path, "a: [1]\n").unwrap();
        assert!(values(&[Place::Yaml(path)]).unwrap_err().to_string().contains("list or a map"));
    }
}
