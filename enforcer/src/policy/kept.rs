//! Policies of clients as files in a private directory, so that they outlive the daemon. A file is written whole or not at all.
//!
//! The form is upstream's: `NAME:NAMESPACE:DOMAIN.json` with the text and whether it is enabled; besides, the mode that a client has set. What is
//! found is not trusted: whoever can write such a file decides what every process of the node may do.

use std::fs::{self, DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use bpf_probes::abi::POLICIES;
use nix::unistd::Uid;
use serde_json::{Value, json};
use tracing_policy::policy::Mode;
use tracing_policy::source::{MAX_BYTES, SourceText};

use super::identity::Identity;

const SUFFIX: &str = ".json";
/// What a write that was cut short leaves.
const UNFINISHED: &str = ".json.tmp";
/// Longest file name, `NAME_MAX` of Linux's file systems.
const NAME_MAX: usize = 255;
/// Largest file: a text of the largest size whose every second byte is escaped.
const MAX_FILE: usize = 2 * MAX_BYTES;
/// Files that are looked at: more than twice the policies there can be are not ours.
const MAX_FILES: usize = 2 * POLICIES;
/// Others than the owner may write.
const OTHERS_WRITE: u32 = 0o022;

/// What is kept of a policy.
#[derive(Clone, Debug)]
pub struct Definition {
    /// Its text.
    pub source: SourceText,
    /// Its programs run.
    pub enabled: bool,
    /// Its mode; `None` in files of upstream: that of the text.
    pub mode: Option<Mode>,
}

/// Why a policy cannot be kept.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// The directory cannot be used.
    #[error("the directory {path} for the policies of clients cannot be used: {source}")]
    Directory {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others could put policies there.
    #[error(
        "the directory {path} for the policies of clients belongs to user {owner} and has mode {mode:o}: others could put policies there; \
         make it root's with mode 700"
    )]
    Open {
        /// Which.
        path: PathBuf,
        /// Its owner.
        owner: u32,
        /// Its access mode.
        mode: u32,
    },
    /// The name of the file would be too long.
    #[error(
        "name, namespace and domain have {length} bytes together, and a file's name has at most {NAME_MAX}"
    )]
    Name {
        /// How long it would be.
        length: usize,
    },
    /// The file would be too large.
    #[error("its file would have {size} bytes, and {MAX_FILE} are read")]
    Size {
        /// How large it would be.
        size: usize,
    },
    /// The file cannot be written or removed.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Why a file in the directory is no policy that is restored.
#[derive(Debug, thiserror::Error)]
pub enum UnreadError {
    /// It cannot be read.
    #[error("it cannot be read: {0}")]
    Read(#[from] io::Error),
    /// A link, a directory, a pipe.
    #[error("it is no regular file")]
    NotAFile,
    /// Others could have written it.
    #[error("it belongs to user {owner} and has mode {mode:o}: others could have written it")]
    Open {
        /// Its owner.
        owner: u32,
        /// Its access mode.
        mode: u32,
    },
    /// More than is read.
    #[error("it is larger than the {MAX_FILE} bytes that are read")]
    TooLarge,
    /// Not a name of such a file.
    #[error("its name is not NAME:NAMESPACE:DOMAIN.json")]
    Name,
    /// Not what such a file holds.
    #[error("{0}")]
    Content(String),
}

/// The directory of kept policies.
#[derive(Clone, Debug)]
pub struct KeptPolicies {
    directory: PathBuf,
}

impl KeptPolicies {
    /// Makes the directory with mode 0700. One that exists must be ours, and nobody else's to write to; it gets that mode.
    ///
    /// # Errors
    /// [`KeptError::Directory`], [`KeptError::Open`].
    pub fn open(directory: &Path) -> Result<Self, KeptError> {
        let failed = |source| KeptError::Directory { path: directory.to_owned(), source };
        match DirBuilder::new().recursive(true).mode(0o700).create(directory) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(failed(error)),
            _ => {}
        }
        let found = fs::symlink_metadata(directory).map_err(failed)?;
        if !found.is_dir() {
            return Err(failed(io::ErrorKind::NotADirectory.into()));
        }
        let (owner, mode) = (found.uid(), found.mode() & 0o7777);
        if owner != Uid::effective().as_raw() || mode & OTHERS_WRITE != 0 {
            return Err(KeptError::Open { path: directory.to_owned(), owner, mode });
        }
        fs::set_permissions(directory, Permissions::from_mode(0o700)).map_err(failed)?;
        Ok(Self { directory: directory.to_owned() })
    }

    /// What the files hold, by their name; what is left of a write that was cut short is removed.
    ///
    /// # Errors
    /// When the directory cannot be read.
    pub fn read(&self) -> Result<Vec<Found>, KeptError> {
        let failed = |source| KeptError::Directory { path: self.directory.clone(), source };
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            if found.len() >= MAX_FILES {
                tracing::warn!(
                    "{} has more than {MAX_FILES} files; the others are not looked at",
                    self.directory.display()
                );
                break;
            }
            if path.as_os_str().as_encoded_bytes().ends_with(UNFINISHED.as_bytes()) {
                remove(&path)?;
                continue;
            }
            let read = file_identity(&path)
                .ok_or(UnreadError::Name)
                .and_then(|identity| Ok((identity, read_definition(&path)?)));
            found.push(Found { path, read });
        }
        found.sort_by(|one, other| one.path.cmp(&other.path));
        Ok(found)
    }

    /// Keeps a policy, in place of what was kept of it. When this returns it is on the disk.
    ///
    /// # Errors
    /// [`KeptError::Name`], [`KeptError::Size`], [`KeptError::File`].
    pub fn write(&self, identity: &Identity, definition: &Definition) -> Result<(), KeptError> {
        let path = self.path(identity)?;
        let text = json!({
            "yaml": definition.source.text(),
            "enabled": definition.enabled,
            "mode": definition.mode.map(mode_word),
        })
        .to_string();
        if text.len() > MAX_FILE {
            return Err(KeptError::Size { size: text.len() });
        }
        let failed = |source| KeptError::File { path: path.clone(), source };
        let next = path.with_extension("json.tmp");
        remove(&next)?;
        let written = write_new(&next, text.as_bytes()).and_then(|()| fs::rename(&next, &path));
        if let Err(error) = written {
            remove(&next)?;
            return Err(failed(error));
        }
        self.sync().map_err(failed)
    }

    /// Keeps a policy no longer; one that was not kept is no error.
    ///
    /// # Errors
    /// [`KeptError::File`].
    pub fn erase(&self, identity: &Identity) -> Result<(), KeptError> {
        let path = self.path(identity)?;
        remove(&path)?;
        self.sync().map_err(|source| KeptError::File { path, source })
    }

    /// Where a policy is kept.
    ///
    /// # Errors
    /// [`KeptError::Name`].
    pub(super) fn path(&self, identity: &Identity) -> Result<PathBuf, KeptError> {
        let Identity { namespace, name, domain } = identity;
        let stem = [name, namespace, domain].map(|part| escaped(part)).join(":");
        let length = stem.len() + UNFINISHED.len();
        if length > NAME_MAX {
            return Err(KeptError::Name { length });
        }
        Ok(self.directory.join(format!("{stem}{SUFFIX}")))
    }

    fn sync(&self) -> io::Result<()> {
        File::open(&self.directory)?.sync_all()
    }
}

/// A file of the directory.
#[derive(Debug)]
pub struct Found {
    /// Which.
    pub path: PathBuf,
    /// What it holds.
    pub read: Result<(Identity, Definition), UnreadError>,
}

fn remove(path: &Path) -> Result<(), KeptError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            Err(KeptError::File { path: path.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn read_definition(path: &Path) -> Result<Definition, UnreadError> {
    // Neither follows a link nor waits for the other end of a pipe.
    let flags = libc::O_NOFOLLOW | libc::O_NONBLOCK;
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Err(error) if error.raw_os_error() == Some(libc::ELOOP) => return Err(UnreadError::NotAFile),
        opened => opened?,
    };
    let found = file.metadata()?;
    if !found.is_file() {
        return Err(UnreadError::NotAFile);
    }
    let (owner, mode) = (found.uid(), found.mode() & 0o7777);
    if owner != Uid::effective().as_raw() || mode & OTHERS_WRITE != 0 {
        return Err(UnreadError::Open { owner, mode });
    }
    let mut bytes = Vec::new();
    file.take(MAX_FILE as u64 + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_FILE {
        return Err(UnreadError::TooLarge);
    }
    definition(path, &bytes)
}

fn definition(path: &Path, bytes: &[u8]) -> Result<Definition, UnreadError> {
    let wrong = |what: &str| UnreadError::Content(what.to_owned());
    let value: Value =
        serde_json::from_slice(bytes).map_err(|error| UnreadError::Content(format!("no JSON: {error}")))?;
    let text = value.get("yaml").and_then(Value::as_str).ok_or_else(|| wrong("it has no text `yaml`"))?;
    let enabled = value
        .get("enabled")
        .and_then(Value::as_bool)
        .ok_or_else(|| wrong("`enabled` is neither true nor false"))?;
    let mode = match value.get("mode") {
        None | Some(Value::Null) => None,
        Some(word) => {
            let known = [Mode::Enforce, Mode::Monitor, Mode::MonitorOnly];
            let mode = known.into_iter().find(|mode| Some(mode_word(*mode)) == word.as_str());
            Some(mode.ok_or_else(|| wrong("`mode` is neither enforce nor monitor"))?)
        }
    };
    let source = SourceText::from_bytes(&path.display().to_string(), text.as_bytes())
        .map_err(|error| UnreadError::Content(error.to_string()))?;
    Ok(Definition { source, enabled, mode })
}

const fn mode_word(mode: Mode) -> &'static str {
    match mode {
        Mode::Enforce => "enforce",
        Mode::Monitor => "monitor",
        Mode::MonitorOnly => "monitor_only",
    }
}

/// The part of a file's name: bytes that mean something there, or could, as `%` and two digits.
fn escaped(part: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    part.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}

fn unescaped(part: &str) -> Option<String> {
    let mut pieces = part.split('%');
    let mut bytes = pieces.next()?.as_bytes().to_vec();
    for piece in pieces {
        let (digits, rest) = piece.split_at_checked(2)?;
        bytes.push(u8::from_str_radix(digits, 16).ok()?);
        bytes.extend(rest.bytes());
    }
    String::from_utf8(bytes).ok()
}

/// Whose file it is by its name.
fn file_identity(path: &Path) -> Option<Identity> {
    let stem = path.file_name()?.to_str()?.strip_suffix(SUFFIX)?;
    let mut parts = stem.split(':').map(unescaped);
    let (name, namespace, domain) = (parts.next()??, parts.next()??, parts.next()??);
    (parts.next().is_none() && !name.is_empty() && !domain.is_empty()).then_some(Identity {
        namespace,
        name,
        domain,
    })
}

#[cfg(test)]
#[path = "kept_tests.rs"]
mod tests;
