//! What one running daemon owns on its machine: the run directory, the lock that keeps a second daemon out, and the file that tells clients where it
//! is. Everything is under one directory, so that several daemons can run beside each other in tests.

mod cgroups;
mod info_file;
mod node;
mod pid_file;
mod processes;
mod run_dir;

pub use cgroups::{CgroupError, Cgroups};
pub use info_file::{Info, InfoFile};
pub use node::node_name;
pub use pid_file::{PidFile, PidFileError};
pub use processes::ProcessesInProc;
pub use run_dir::{RunDirError, make_run_dir};
