//! Stage 6: events to each sink and listener.
//!
//! In comes a batch, out it goes, shared, into the queue of each subscriber that wants any of it. The publisher never waits: a full queue
//! loses its own and counts it. For each subscriber, `offered = filtered + queued + lost` and `queued = taken + waiting`.

mod hub;
mod queue;

pub use hub::{Hub, Nudge, Subscribe, SubscriberStats, Subscription};
pub use queue::{Delivery, Received};

/// Most events in a batch.
pub(crate) const BATCH: usize = 256;
