//! Events for the tests of what writes lines.

use std::sync::Arc;

use api::event::{Event, EventKind, Node, TestEvent, Timestamp};

/// Events that tell their number in `arg0`.
pub(super) fn events(count: u64) -> Vec<Event> {
    let node = Arc::new(Node::named("n"));
    let kinds = (0..count).map(|arg0| EventKind::Test(TestEvent { arg0, ..TestEvent::default() }));
    kinds.map(|kind| Event::new(kind, Timestamp::from_nanos(1), Arc::clone(&node))).collect()
}
