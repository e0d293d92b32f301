//! Those who get the events.

use super::super::catalogue::{
    EXPORTED, EXPORTED_BYTES, LAST_EXPORTED, LISTENER_LOST, LISTENER_WAITING, OVERFLOWED, RATE_LIMITED,
    SINK_DROPPED,
};
use super::super::page::Page;
use crate::server::Observed;

pub(super) fn collect(observed: &Observed, page: &mut Page) {
    page.set(&OVERFLOWED, observed.hub.lost());
    for listener in observed.hub.stats() {
        page.add(&LISTENER_LOST, &[&listener.name], listener.lost);
        page.add(&LISTENER_WAITING, &[&listener.name], listener.waiting as u64);
    }
    for metric in [&EXPORTED, &EXPORTED_BYTES, &RATE_LIMITED] {
        page.set(metric, 0);
    }
    let mut newest = 0;
    for (name, counters) in &observed.sinks {
        let counts = counters.counts();
        page.set(&EXPORTED, counts.written);
        page.set(&EXPORTED_BYTES, counts.bytes);
        page.set(&RATE_LIMITED, counts.limited);
        page.add(&SINK_DROPPED, &[name], counts.dropped);
        newest = newest.max(u64::try_from(counts.newest).unwrap_or_default());
    }
    page.set(&LAST_EXPORTED, newest);
}
