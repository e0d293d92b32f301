//! Those who get the events.

use export::sink::Counts;

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
    let mut all = Counts::default();
    for (name, counters) in &observed.sinks {
        let counts = counters.counts();
        page.add(&SINK_DROPPED, &[name], counts.dropped);
        all.written += counts.written;
        all.bytes += counts.bytes;
        all.limited += counts.limited;
        all.newest = all.newest.max(counts.newest);
    }
    page.set(&EXPORTED, all.written);
    page.set(&EXPORTED_BYTES, all.bytes);
    page.set(&RATE_LIMITED, all.limited);
    page.set(&LAST_EXPORTED, u64::try_from(all.newest).unwrap_or_default());
}
