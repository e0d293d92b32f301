//! A piece of the archive, and why one may be missing.

use std::io;
use std::path::{Path, PathBuf};

/// Why an item is missing.
#[derive(Debug, thiserror::Error)]
pub(super) enum ItemError {
    /// A file could not be read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A program could not be run, or failed.
    #[error("{0}")]
    Command(String),
    /// Something did not answer.
    #[error("{0}")]
    Answer(String),
    /// It took too long.
    #[error("given up after {seconds} s")]
    Late {
        /// The limit.
        seconds: u64,
    },
    /// There is no such thing here.
    #[error("{0}")]
    Absent(&'static str),
}

impl ItemError {
    pub(super) fn file(path: &Path, source: io::Error) -> Self {
        Self::File { path: path.to_owned(), source }
    }

    pub(super) fn answer(error: impl std::fmt::Display) -> Self {
        Self::Answer(error.to_string())
    }
}

/// The bytes of an item.
pub(super) type Collected = Result<Vec<u8>, ItemError>;

/// What the bytes of an item may hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Content {
    /// Text with settings or arguments, from which secrets are taken.
    Settings,
    /// What has no secrets: figures of the kernel, binary data.
    Figures,
}

/// A file of the archive.
pub(super) struct Item {
    /// Its name, relative.
    pub(super) name: String,
    /// What it may hold.
    pub(super) content: Content,
    /// Brings its bytes.
    pub(super) collect: Box<dyn FnOnce() -> Collected + Send>,
}

impl std::fmt::Debug for Item {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Item").field("name", &self.name).finish_non_exhaustive()
    }
}

impl Item {
    /// An item from which secrets are taken.
    pub(super) fn settings(name: &str, collect: impl FnOnce() -> Collected + Send + 'static) -> Self {
        Self { name: name.to_owned(), content: Content::Settings, collect: Box::new(collect) }
    }

    /// An item that holds none.
    pub(super) fn figures(name: &str, collect: impl FnOnce() -> Collected + Send + 'static) -> Self {
        Self { name: name.to_owned(), content: Content::Figures, collect: Box::new(collect) }
    }
}
