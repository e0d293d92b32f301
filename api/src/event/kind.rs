//! The event itself.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{Exec, Exit, Kprobe, Loader, Lsm, ProcessRef, Throttle, Timestamp, Tracepoint, Uprobe, Usdt};
use crate::name::EventType;

/// The node that events come from: one value, shared by all its events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Node {
    /// `node_name` of every event.
    pub name: Box<str>,
    /// `cluster_name` of every event, where configured.
    pub cluster_name: Box<str>,
    /// `node_labels` of every event.
    pub labels: BTreeMap<Box<str>, Box<str>>,
}

impl Node {
    /// A node known by its name only.
    pub fn named(name: &str) -> Self {
        Self { name: name.into(), ..Self::default() }
    }
}

/// Payload of the `test` event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct TestEvent {
    /// Any number.
    pub arg0: u64,
    /// Any number.
    pub arg1: u64,
    /// Any number.
    pub arg2: u64,
    /// Any number.
    pub arg3: u64,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EventKind {
    /// `process_exec`
    Exec(Exec),
    /// `process_exit`
    Exit(Exit),
    /// `process_kprobe`
    Kprobe(Kprobe),
    /// `process_tracepoint`
    Tracepoint(Tracepoint),
    /// `process_loader`
    Loader(Loader),
    /// `process_uprobe`
    Uprobe(Uprobe),
    /// `process_throttle`
    Throttle(Throttle),
    /// `process_lsm`
    Lsm(Lsm),
    /// `process_usdt`
    Usdt(Usdt),
    /// `test`
    Test(TestEvent),
    /// `rate_limit_info`: how many events the exporter dropped to keep its rate.
    RateLimit(u64),
}

/// One event, as every sink and listener sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// What happened.
    pub kind: EventKind,
    /// When; some events of upstream carry no time.
    pub time: Option<Timestamp>,
    /// Where.
    pub node: Arc<Node>,
    /// `aggregation_info.count`; `None` where the event stands for itself.
    pub aggregated: Option<u64>,
}

impl Event {
    /// An event at `time` on `node`.
    pub fn new(kind: EventKind, time: Timestamp, node: Arc<Node>) -> Self {
        Self { kind, time: Some(time), node, aggregated: None }
    }

    /// The type by which filters name the event.
    pub fn event_type(&self) -> EventType {
        match &self.kind {
            EventKind::Exec(_) => EventType::ProcessExec,
            EventKind::Exit(_) => EventType::ProcessExit,
            EventKind::Kprobe(_) => EventType::ProcessKprobe,
            EventKind::Tracepoint(_) => EventType::ProcessTracepoint,
            EventKind::Loader(_) => EventType::ProcessLoader,
            EventKind::Uprobe(_) => EventType::ProcessUprobe,
            EventKind::Throttle(_) => EventType::ProcessThrottle,
            EventKind::Lsm(_) => EventType::ProcessLsm,
            EventKind::Usdt(_) => EventType::ProcessUsdt,
            EventKind::Test(_) => EventType::Test,
            EventKind::RateLimit(_) => EventType::RateLimitInfo,
        }
    }

    /// The process it is about; `None` for throttle, test and rate limit.
    pub fn process(&self) -> Option<&ProcessRef> {
        match &self.kind {
            EventKind::Exec(event) => Some(&event.process),
            EventKind::Exit(event) => Some(&event.process),
            EventKind::Kprobe(event) => Some(&event.process),
            EventKind::Tracepoint(event) => Some(&event.process),
            EventKind::Loader(event) => Some(&event.process),
            EventKind::Uprobe(event) => Some(&event.process),
            EventKind::Lsm(event) => Some(&event.process),
            EventKind::Usdt(event) => Some(&event.process),
            EventKind::Throttle(_) | EventKind::Test(_) | EventKind::RateLimit(_) => None,
        }
    }

    /// The parent of that process, where known.
    pub fn parent(&self) -> Option<&ProcessRef> {
        match &self.kind {
            EventKind::Exec(event) => event.parent.as_ref(),
            EventKind::Exit(event) => event.parent.as_ref(),
            EventKind::Kprobe(event) => event.parent.as_ref(),
            EventKind::Tracepoint(event) => event.parent.as_ref(),
            EventKind::Loader(event) => event.parent.as_ref(),
            EventKind::Uprobe(event) => event.parent.as_ref(),
            EventKind::Lsm(event) => event.parent.as_ref(),
            EventKind::Usdt(event) => event.parent.as_ref(),
            EventKind::Throttle(_) | EventKind::Test(_) | EventKind::RateLimit(_) => None,
        }
    }

    /// The ancestors from the parent's parent upwards; empty where not asked for.
    pub fn ancestors(&self) -> &[ProcessRef] {
        match &self.kind {
            EventKind::Exec(event) => &event.ancestors,
            EventKind::Exit(event) => &event.ancestors,
            EventKind::Kprobe(event) => &event.ancestors,
            EventKind::Tracepoint(event) => &event.ancestors,
            EventKind::Loader(event) => &event.ancestors,
            EventKind::Uprobe(event) => &event.ancestors,
            EventKind::Lsm(event) => &event.ancestors,
            EventKind::Usdt(event) => &event.ancestors,
            EventKind::Throttle(_) | EventKind::Test(_) | EventKind::RateLimit(_) => &[],
        }
    }

    /// The policy behind it; `None` for events of the base sensors.
    pub fn policy_name(&self) -> Option<&str> {
        match &self.kind {
            EventKind::Kprobe(event) => Some(&event.origin.policy_name),
            EventKind::Tracepoint(event) => Some(&event.origin.policy_name),
            EventKind::Uprobe(event) => Some(&event.origin.policy_name),
            EventKind::Lsm(event) => Some(&event.origin.policy_name),
            EventKind::Usdt(event) => Some(&event.origin.policy_name),
            EventKind::Exec(_)
            | EventKind::Exit(_)
            | EventKind::Loader(_)
            | EventKind::Throttle(_)
            | EventKind::Test(_)
            | EventKind::RateLimit(_) => None,
        }
    }
}
