//! Processes as procfs shows them: those that ran before the daemon, and those whose records were lost.
//!
//! What can be made to wait (by a process that holds its own memory map, or runs from a file system of its own) is read in a helper thread
//! with a deadline: see `patience.rs`.

mod lookup;
mod parse;
mod patience;
mod process;
mod scan;

pub(super) use lookup::Lookup;
pub use lookup::LookupStats;
pub use process::RunningProcess;
pub use scan::{Replay, ScanError};
