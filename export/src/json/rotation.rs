//! When a file of events is put aside, and what becomes of it.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// When a file is put aside, how many such files are kept, and how.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rotation {
    /// Bytes after which the next line goes to a new file. A single longer line has a file of its own.
    pub max_bytes: u64,
    /// Time after which a file that holds anything is put aside; `None`: however old it is.
    pub interval: Option<Duration>,
    /// Files put aside that are kept, the newest; 0: all.
    pub backups: usize,
    /// Files put aside are compressed.
    pub compress: bool,
}

impl Default for Rotation {
    fn default() -> Self {
        Self { max_bytes: 10 << 20, interval: None, backups: 5, compress: false }
    }
}

/// The rotation of a sink that runs. Clones are the same.
#[derive(Debug, Clone, Default)]
pub struct RotationHandle(Arc<Mutex<Rotation>>);

impl RotationHandle {
    pub(super) fn new(rotation: Rotation) -> Self {
        Self(Arc::new(Mutex::new(rotation)))
    }

    /// What holds now.
    pub fn get(&self) -> Rotation {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From the next line on, this holds.
    pub fn set(&self, rotation: Rotation) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = rotation;
    }
}
