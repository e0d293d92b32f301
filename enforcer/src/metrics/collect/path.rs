//! The event path: what became of records, and what is remembered of processes, values and calls.

use bpf_probes::abi::RecordKind;

use super::super::catalogue::{
    CACHE_ENTRIES, CACHE_INSERTS, CALLS, CALLS_GIVEN_UP, CGIDMAP, CGIDMAP_ERRORS, DATA_CAPACITY,
    DATA_EVENT_SIZE, DATA_EVENTS, DATA_EVICTIONS, DATA_MISSES, DATA_SIZE, ERRORS, FLAGS, HANDLER_ERRORS,
    HANDLING_LATENCY, LOADER_STATS, LOOKUPS, MERGE_PUSHED, MERGED, MISSING_PROCESS, MSG_OP, NO_EVENT,
    OUT_OF_ORDER, POLICYFILTER_NO_IMAGE, POLICYFILTER_NO_NAME, PROCESS_CAPACITY, PROCESS_CAPACITY_EVICTIONS,
    PROCESS_EARLY, PROCESS_EVICTIONS, PROCESS_MISSES, PROCESSES, PROCESSES_RELEASED, QUEUE_LOST,
    QUEUE_RECEIVED, RING_BYTES, RING_ERRORS, RING_RECEIVED, RING_RECORDS, SKIPPED_BYTES,
    WATCHER_POD_EVICTIONS, WATCHER_POD_HITS,
};
use super::super::page::{Page, Value};
use crate::pipeline::{NoEvent, Totals};
use crate::server::Observed;

/// Upstream's number of a message.
const fn op_code(kind: RecordKind) -> &'static str {
    match kind {
        RecordKind::Exec => "5",
        RecordKind::Exit | RecordKind::Gone => "7",
        RecordKind::Hook | RecordKind::Return => "13",
        RecordKind::Fork => "23",
        RecordKind::Data => "24",
        RecordKind::Throttle => "27",
    }
}

pub(super) fn collect(observed: &Observed, page: &mut Page) {
    let totals = observed.pipeline.totals();
    records(&totals, page);
    for (ring, bytes) in &observed.ring_bytes {
        page.add(&RING_BYTES, &[ring], *bytes);
    }
    processes(&totals, observed, page);
    long_values(&totals, observed, page);
    calls(&totals, observed, page);
    // What upstream has and these do not need, or do not have yet; see the catalogue.
    for metric in [&QUEUE_LOST, &CACHE_ENTRIES, &CACHE_INSERTS, &CGIDMAP, &CGIDMAP_ERRORS] {
        page.set(metric, 0);
    }
    for metric in [&POLICYFILTER_NO_IMAGE, &POLICYFILTER_NO_NAME, &WATCHER_POD_EVICTIONS, &WATCHER_POD_HITS] {
        page.set(metric, 0);
    }
}

fn records(totals: &Totals, page: &mut Page) {
    page.set(&RING_RECEIVED, totals.read());
    page.set(&QUEUE_RECEIVED, totals.read());
    page.add(&RING_RECORDS, &["events"], totals.events_ring);
    page.add(&RING_RECORDS, &["enforcement"], totals.enforcement_ring);
    page.set(&RING_ERRORS, totals.corrupt_rings);
    page.set(&SKIPPED_BYTES, totals.skipped_bytes);
    page.set(&OUT_OF_ORDER, totals.unordered);
    page.set(&MISSING_PROCESS, totals.unknown_process);
    for kind in RecordKind::ALL {
        page.add(&MSG_OP, &[op_code(kind)], totals.decoded(kind));
        if let Some(latency) = totals.latency(kind) {
            page.add(&HANDLING_LATENCY, &[op_code(kind)], Value::Ranges(Box::new(*latency)));
        }
    }
    for reason in NoEvent::ALL {
        let count = totals.no_event(reason);
        page.add(&NO_EVENT, &[reason.name()], count);
        if reason.is_loss() {
            page.add(&ERRORS, &[reason.name()], count);
        }
    }
    for (kind, count) in totals.malformed() {
        match kind {
            Some(kind) => page.add(&HANDLER_ERRORS, &["event_handler_failed", op_code(kind)], count),
            None => page.add(&HANDLER_ERRORS, &["unknown_opcode", "0"], count),
        }
    }
    for (word, count) in totals.flags() {
        page.add(&FLAGS, &[word], count);
    }
}

fn processes(totals: &Totals, observed: &Observed, page: &mut Page) {
    let (table, lookups) = (&totals.table, &totals.lookups);
    page.set(&PROCESSES, table.entries as u64);
    page.set(&PROCESS_CAPACITY, observed.process_capacity as u64);
    page.set(&PROCESSES_RELEASED, table.released as u64);
    page.set(&PROCESS_EVICTIONS, table.removed);
    page.set(&PROCESS_CAPACITY_EVICTIONS, table.evicted);
    page.set(&PROCESS_EARLY, table.released_early);
    page.add(&PROCESS_MISSES, &["get"], lookups.made + lookups.refused);
    page.add(&LOOKUPS, &["found"], lookups.found);
    page.add(&LOOKUPS, &["gone"], lookups.made - lookups.found);
    page.add(&LOOKUPS, &["refused"], lookups.refused);
    page.add(&LOADER_STATS, &["LoaderReceived"], totals.loader_events);
}

fn long_values(totals: &Totals, observed: &Observed, page: &mut Page) {
    let data = &totals.data;
    page.set(&DATA_SIZE, data.held as u64);
    page.set(&DATA_CAPACITY, observed.long_values as u64);
    page.set(&DATA_EVICTIONS, data.evicted);
    page.add(&DATA_MISSES, &["get"], data.missed);
    for (event, count) in [
        ("Received", data.received),
        ("Added", data.begun),
        ("Appended", data.received - data.begun),
        ("Matched", data.whole),
        ("NotMatched", data.incomplete),
        ("Bad", data.broken),
    ] {
        page.add(&DATA_EVENTS, &[event], count);
    }
    page.add(&DATA_EVENT_SIZE, &["ok"], Value::Ranges(Box::new(data.whole_sizes)));
    page.add(&DATA_EVENT_SIZE, &["bad"], Value::Ranges(Box::new(data.incomplete_sizes)));
}

fn calls(totals: &Totals, observed: &Observed, page: &mut Page) {
    let returns = &totals.returns;
    page.set(&CALLS, returns.waiting);
    page.set(&MERGE_PUSHED, returns.evicted + returns.ended);
    page.add(&CALLS_GIVEN_UP, &["evicted"], returns.evicted);
    page.add(&CALLS_GIVEN_UP, &["process_ended"], returns.ended);
    for (function, joined) in observed.pipeline.joined() {
        page.add(&MERGED, &[&function, "exit", &function, "enter", "ok"], joined);
    }
    let alone = totals.no_event(NoEvent::NotEntered);
    if alone > 0 {
        page.add(&MERGED, &["", "exit", "", "", "error"], alone);
    }
}
