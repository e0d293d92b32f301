//! The base programs: exec, fork, exit, gained privileges; the stub for handing over; the marker of running processes.
//!
//! Each file returns blueprints. Invariants: every program counts what it could not report ([`crate::abi::Loss`]); the process table has an entry for every
//! process that was forked or called exec since the base collection was attached, until it exits.

mod base;
mod cgroup;
mod classify;
mod context;
mod exec;
mod exit;
mod fork;
mod gains;
mod handover;
mod mark;
mod number;
mod recording;
pub mod shared;
mod throttle;

pub use base::{BaseOptions, BaseTargets, DEFAULT_PROCESSES, base, base_at};
pub use context::argument;
pub use exec::Environment;
pub use handover::{SLOTS, STUB, stub};
pub use mark::{MARK, mark};
pub use recording::recording;
pub use throttle::{CgroupRate, RateError};

use crate::builder::BuildError;

/// Why a base program could not be made.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum SensorError {
    /// The program could not be built for this kernel.
    #[error(transparent)]
    Build(#[from] BuildError),
    /// The kernel lets nothing attach where processes begin and end.
    #[error(transparent)]
    Plan(#[from] crate::attach::PlanError),
    /// A hook number beyond the cells.
    #[error("hook number {number} is beyond the {} hand-over cells", crate::abi::HANDOVER_CELLS)]
    HookNumber {
        /// The number.
        number: u32,
    },
    /// The target attaches nothing.
    #[error("nothing can be attached there")]
    Target,
}
