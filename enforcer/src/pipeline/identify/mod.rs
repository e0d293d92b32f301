//! Stage 3: records to their processes.
//!
//! In come records in causal order, out go [`Subject`]s: the process that a record is about and its parent, as events show them. The
//! [`table`] of processes is bounded; what it does not know is looked up in procfs within a budget, and else shown as `unknown`.

mod data;
mod describe;
mod environment;
mod exec;
mod exit;
mod fork;
mod hook;
mod order;
mod proc;
mod release;
mod resolve;
mod start;
mod table;
mod users;

pub use data::DataStats;
pub use environment::ShownVariables;
pub use proc::{LookupStats, Replay, RunningProcess, ScanError};
pub(crate) use resolve::{Identify, Subject};
use table::Incarnation;
pub use table::TableStats;
