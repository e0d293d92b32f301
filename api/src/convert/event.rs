//! The event with its envelope.

use std::sync::Arc;

use super::hook::{
    kprobe_from_wire, kprobe_to_wire, loader_from_wire, loader_to_wire, lsm_from_wire, lsm_to_wire,
    processes_from_wire, processes_to_wire, tracepoint_from_wire, tracepoint_to_wire, uprobe_from_wire,
    uprobe_to_wire, usdt_from_wire, usdt_to_wire, who_from_wire,
};
use super::process::{
    binary_properties_from_wire, binary_properties_to_wire, map_from_wire, map_to_wire, process_from_wire,
    process_to_wire, time_from_wire, time_to_wire,
};
use crate::event::{Event, EventKind, Exec, Exit, Node, TestEvent, Throttle};
use crate::name::ThrottleType;
use crate::wire;
use crate::wire::get_events_response::Event as Kind;

/// The message carries no event, or one of a type this version does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the message carries no event of a known type")]
pub struct UnknownEvent;

/// `event` as the message that `GetEvents` streams.
pub fn to_wire(event: &Event) -> wire::GetEventsResponse {
    let (mut kind, envelope) = split_to_wire(event);
    if let Some((process, parent)) = processes(&mut kind) {
        let binary_properties = shown_properties(event);
        *process = event.process().map(|who| wire::Process { binary_properties, ..process_to_wire(who) });
        *parent = event.parent().map(process_to_wire);
    }
    wire::GetEventsResponse { event: Some(kind), ..envelope }
}

/// What an event says, without its process and the parent; and what stands around it.
pub(super) fn split_to_wire(event: &Event) -> (Kind, wire::GetEventsResponse) {
    let envelope = wire::GetEventsResponse {
        event: None,
        node_name: event.node.name.to_string(),
        time: event.time.map(time_to_wire),
        aggregation_info: event.aggregated.map(|count| wire::AggregationInfo { count }),
        cluster_name: event.node.cluster_name.to_string(),
        node_labels: map_to_wire(&event.node.labels),
    };
    (kind_to_wire(&event.kind), envelope)
}

/// What the process of an event shows of its program, which only an exec's does.
pub(super) fn shown_properties(event: &Event) -> Option<wire::BinaryProperties> {
    let EventKind::Exec(exec) = &event.kind else { return None };
    exec.binary_properties.as_deref().map(binary_properties_to_wire)
}

/// Where the process of an event and the parent go.
fn processes(kind: &mut Kind) -> Option<(&mut Option<wire::Process>, &mut Option<wire::Process>)> {
    match kind {
        Kind::ProcessExec(event) => Some((&mut event.process, &mut event.parent)),
        Kind::ProcessExit(event) => Some((&mut event.process, &mut event.parent)),
        Kind::ProcessKprobe(event) => Some((&mut event.process, &mut event.parent)),
        Kind::ProcessTracepoint(event) => Some((&mut event.process, &mut event.parent)),
        Kind::ProcessLoader(event) => Some((&mut event.process, &mut event.parent)),
        Kind::ProcessUprobe(event) => Some((&mut event.process, &mut event.parent)),
        Kind::ProcessLsm(event) => Some((&mut event.process, &mut event.parent)),
        Kind::ProcessUsdt(event) => Some((&mut event.process, &mut event.parent)),
        Kind::ProcessThrottle(_) | Kind::Test(_) | Kind::RateLimitInfo(_) => None,
    }
}

/// The event in `message`. What the sender left out has its default; an unknown number of an enumeration counts as unset.
///
/// # Errors
///
/// [`UnknownEvent`] where the message carries none.
pub fn from_wire(message: wire::GetEventsResponse) -> Result<Event, UnknownEvent> {
    Ok(Event {
        kind: kind_from_wire(message.event.ok_or(UnknownEvent)?),
        time: message.time.and_then(time_from_wire),
        node: Arc::new(Node {
            name: message.node_name.into(),
            cluster_name: message.cluster_name.into(),
            labels: map_from_wire(message.node_labels),
        }),
        aggregated: message.aggregation_info.map(|info| info.count),
    })
}

fn kind_to_wire(kind: &EventKind) -> Kind {
    match kind {
        EventKind::Exec(event) => Kind::ProcessExec(exec_to_wire(event)),
        EventKind::Exit(event) => Kind::ProcessExit(exit_to_wire(event)),
        EventKind::Kprobe(event) => Kind::ProcessKprobe(kprobe_to_wire(event)),
        EventKind::Tracepoint(event) => Kind::ProcessTracepoint(tracepoint_to_wire(event)),
        EventKind::Loader(event) => Kind::ProcessLoader(loader_to_wire(event)),
        EventKind::Uprobe(event) => Kind::ProcessUprobe(uprobe_to_wire(event)),
        EventKind::Throttle(event) => Kind::ProcessThrottle(wire::ProcessThrottle {
            r#type: event.kind.number(),
            cgroup: event.cgroup.to_string(),
        }),
        EventKind::Lsm(event) => Kind::ProcessLsm(lsm_to_wire(event)),
        EventKind::Usdt(event) => Kind::ProcessUsdt(usdt_to_wire(event)),
        EventKind::Test(event) => {
            let &TestEvent { arg0, arg1, arg2, arg3 } = event;
            Kind::Test(wire::Test { arg0, arg1, arg2, arg3 })
        }
        EventKind::RateLimit(dropped) => {
            Kind::RateLimitInfo(wire::RateLimitInfo { number_of_dropped_process_events: *dropped })
        }
    }
}

fn kind_from_wire(kind: Kind) -> EventKind {
    match kind {
        Kind::ProcessExec(event) => EventKind::Exec(exec_from_wire(event)),
        Kind::ProcessExit(event) => EventKind::Exit(exit_from_wire(event)),
        Kind::ProcessKprobe(event) => EventKind::Kprobe(kprobe_from_wire(event)),
        Kind::ProcessTracepoint(event) => EventKind::Tracepoint(tracepoint_from_wire(event)),
        Kind::ProcessLoader(event) => EventKind::Loader(loader_from_wire(event)),
        Kind::ProcessUprobe(event) => EventKind::Uprobe(uprobe_from_wire(event)),
        Kind::ProcessThrottle(event) => EventKind::Throttle(Throttle {
            kind: ThrottleType::from_number(event.r#type).unwrap_or_default(),
            cgroup: event.cgroup.into(),
        }),
        Kind::ProcessLsm(event) => EventKind::Lsm(lsm_from_wire(event)),
        Kind::ProcessUsdt(event) => EventKind::Usdt(usdt_from_wire(event)),
        Kind::Test(event) => {
            let wire::Test { arg0, arg1, arg2, arg3 } = event;
            EventKind::Test(TestEvent { arg0, arg1, arg2, arg3 })
        }
        Kind::RateLimitInfo(info) => EventKind::RateLimit(info.number_of_dropped_process_events),
    }
}

fn exec_to_wire(event: &Exec) -> wire::ProcessExec {
    wire::ProcessExec { process: None, parent: None, ancestors: processes_to_wire(&event.ancestors) }
}

fn exec_from_wire(event: wire::ProcessExec) -> Exec {
    let mut process = event.process;
    let binary_properties = process.as_mut().and_then(|process| process.binary_properties.take());
    Exec {
        process: who_from_wire(process),
        parent: event.parent.map(process_from_wire),
        ancestors: processes_from_wire(event.ancestors),
        binary_properties: binary_properties.map(|binary| Arc::new(binary_properties_from_wire(binary))),
    }
}

fn exit_to_wire(event: &Exit) -> wire::ProcessExit {
    wire::ProcessExit {
        process: None,
        parent: None,
        signal: event.signal.to_string(),
        status: event.status,
        time: event.time.map(time_to_wire),
        ancestors: processes_to_wire(&event.ancestors),
    }
}

fn exit_from_wire(event: wire::ProcessExit) -> Exit {
    Exit {
        process: who_from_wire(event.process),
        parent: event.parent.map(process_from_wire),
        signal: event.signal.into(),
        status: event.status,
        time: event.time.and_then(time_from_wire),
        ancestors: processes_from_wire(event.ancestors),
    }
}
