//! The event path: from the rings to each sink's queue, on one plain thread.
//!
//! | stage | in | out |
//! | --- | --- | --- |
//! | [`read`] | two rings | `RawRecord`, causes before effects |
//! | [`decode`] | bytes | [`record::Record`], every length checked, borrowed |
//! | [`identify`] | a record | its process and parent, from a bounded table |
//! | [`enrich`] | an identified record | an [`api::event::Event`] |
//! | [`publish`] | a batch of events | shared in the queue of each whose [`api::filter`] wants any |
//!
//! A record borrows its ring until it has become an event, so the stages share one thread; one reader keeps the order over both rings.
//! What goes in comes out or is counted: [`Totals::balanced`]. Nothing here waits for a subscriber.

mod ancestors;
mod build_id;
mod clock;
mod config;
mod counters;
mod decode;
mod enrich;
mod histogram;
mod identify;
mod inspect;
mod layout;
mod patience;
mod publish;
mod read;
mod record;
mod returns;
mod run;
mod series;
mod spare;
mod stages;
mod throttle;

pub use ancestors::{AncestorKind, AncestorKinds};
pub use clock::{Clock, SystemClock};
pub use config::Config;
pub use counters::{NoEvent, PipelineCounters, Totals};
pub use decode::DecodeErrorKind;
pub use histogram::Histogram;
pub use identify::{DataStats, LookupStats, Replay, RunningProcess, ScanError, ShownVariables, TableStats};
pub use inspect::{Ended, Inspector, KnownProcess, Stage};
pub use layout::{HookLayout, Layouts, ValueLayout};
pub use publish::{Delivery, Hub, Nudge, Received, Subscribe, SubscriberStats, Subscription};
pub use read::{RecordSource, Recorded, RingName, Sources, record_bytes};
pub use returns::ReturnStats;
pub use run::{Pipeline, PipelineHandle, SpawnError, Summary};
pub(crate) use series::FOREIGN;
pub use series::{ProgramCounts, Series};
pub use throttle::ThrottleStats;

#[cfg(test)]
mod tests;
