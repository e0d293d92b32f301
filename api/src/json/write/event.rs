//! The event with its envelope.

use super::hook;
use super::object::Object;
use super::process::{process, process_with};
use crate::event::{Event, EventKind, Exec, Exit, TestEvent};

/// Appends `event` to `out` as one JSON object without a line end.
///
/// Allocates nothing once `out` is large enough, except where a process of the event was never rendered before.
pub fn write_event(event: &Event, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    match &event.kind {
        EventKind::Exec(kind) => object.message("process_exec", Some(kind), exec),
        EventKind::Exit(kind) => object.message("process_exit", Some(kind), exit),
        EventKind::Kprobe(kind) => object.message("process_kprobe", Some(kind), hook::kprobe),
        EventKind::Tracepoint(kind) => object.message("process_tracepoint", Some(kind), hook::tracepoint),
        EventKind::Loader(kind) => object.message("process_loader", Some(kind), hook::loader),
        EventKind::Uprobe(kind) => object.message("process_uprobe", Some(kind), hook::uprobe),
        EventKind::Throttle(kind) => object.message("process_throttle", Some(kind), hook::throttle),
        EventKind::Lsm(kind) => object.message("process_lsm", Some(kind), hook::lsm),
        EventKind::Usdt(kind) => object.message("process_usdt", Some(kind), hook::usdt),
        EventKind::Test(kind) => object.message("test", Some(kind), test),
        EventKind::RateLimit(dropped) => {
            object.message("rate_limit_info", Some(*dropped), |dropped, object| {
                object.u64("number_of_dropped_process_events", dropped);
            });
        }
    }
    object.string("node_name", &event.node.name);
    object.time("time", event.time);
    object.message("aggregation_info", event.aggregated, |count, object| object.u64("count", count));
    object.string("cluster_name", &event.node.cluster_name);
    object.map("node_labels", event.node.labels.iter());
    object.end();
}

fn exec(event: &Exec, object: &mut Object<'_>) {
    object.message("process", Some(&event.process), |who, object| {
        process_with(who, event.binary_properties.as_deref(), object);
    });
    object.message("parent", event.parent.as_ref(), process);
    object.messages("ancestors", &event.ancestors, process);
}

fn exit(event: &Exit, object: &mut Object<'_>) {
    object.message("process", Some(&event.process), process);
    object.message("parent", event.parent.as_ref(), process);
    object.string("signal", &event.signal);
    object.u32("status", event.status);
    object.time("time", event.time);
    object.messages("ancestors", &event.ancestors, process);
}

fn test(event: &TestEvent, object: &mut Object<'_>) {
    object.u64("arg0", event.arg0);
    object.u64("arg1", event.arg1);
    object.u64("arg2", event.arg2);
    object.u64("arg3", event.arg3);
}
