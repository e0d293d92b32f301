//! Stage 1: rings to raw records.
//!
//! In come two rings that kernel programs fill, out go their records, borrowed, in an order that keeps causes before effects. Nothing is
//! copied and nothing is dropped here; what the kernel side could not write it counts itself (`abi::Counters`).

mod merge;
mod poll;
mod recorded;
mod source;

pub use merge::RingName;
pub(crate) use merge::{Merge, Next, RawRecord};
pub(crate) use poll::{Stop, Waiter};
pub use recorded::{Recorded, record_bytes};
pub use source::{RecordSource, Sources};
