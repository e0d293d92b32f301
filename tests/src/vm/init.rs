//! What the host tells the init of the machine to do: one [`Job`], as JSON in the initramfs.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where the job lies in the machine.
pub const JOB_PATH: &str = "/etc/e2e-job.json";

/// Where the modules lie in the machine; they are loaded in the order of their names.
pub const MODULE_DIR: &str = "/usr/lib/e2e-modules";

/// Files that the job leaves here are sent to the host when it ends.
pub const OUT_DIR: &str = "/out";

/// One run of one command in a machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The command and its arguments; empty for a shell on the first serial port.
    pub command: Vec<String>,
    /// Variables beyond `PATH` and `HOME`.
    pub environment: Vec<(String, String)>,
    /// Values to write below `/proc/sys`, before the command starts: `("kernel/bpf_stats_enabled", "1")`.
    pub sysctls: Vec<(String, String)>,
    /// Working folder of the command; `/` if there is none.
    pub folder: Option<PathBuf>,
}
