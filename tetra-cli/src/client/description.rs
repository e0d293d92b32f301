//! What the daemon says of itself in its run directory.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use serde::Deserialize;

/// Folder in which the daemon leaves its socket and its description.
pub(crate) const RUN_FOLDER: &str = "/var/run/tetragon";
/// Name of the description there.
pub(crate) const FILE: &str = "tetragon-info.json";
/// More than the daemon ever writes.
const LIMIT: u64 = 1 << 20;

/// The description; what is missing in the file is empty here.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Description {
    /// Where it serves calls.
    pub(crate) server_address: String,
    /// Where it serves metrics.
    pub(crate) metrics_address: String,
    /// File that it writes events to.
    pub(crate) export_fname: String,
    /// Its process.
    pub(crate) pid: u32,
}

impl Description {
    /// The description in `folder`; none where there is no daemon, or none that can be read.
    pub(crate) fn read(folder: &Path) -> Option<Self> {
        let mut text = Vec::new();
        File::open(folder.join(FILE)).ok()?.take(LIMIT).read_to_end(&mut text).ok()?;
        serde_json::from_slice(&text).ok()
    }
}
