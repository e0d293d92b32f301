//! Ended processes that nobody refers to, waiting for their removal.
//!
//! Removal takes two steps, so that events that come late still find their process: at its first step a process becomes ready, at the next
//! it goes. Where processes end faster than that, the oldest go sooner.

use std::collections::VecDeque;

use super::Incarnation;

/// The queue of those to be removed, oldest first.
#[derive(Debug, Default)]
pub(super) struct ReleaseQueue {
    queue: VecDeque<Incarnation>,
    /// How many at the front were there at the last step.
    ready: usize,
}

impl ReleaseQueue {
    pub(super) fn len(&self) -> usize {
        self.queue.len()
    }

    pub(super) fn push(&mut self, id: Incarnation) {
        self.queue.push_back(id);
    }

    /// Those that go at the next step.
    pub(super) fn ready(&self) -> impl Iterator<Item = Incarnation> {
        self.queue.iter().take(self.ready).copied()
    }

    /// The oldest, ready or not.
    pub(super) fn pop(&mut self) -> Option<Incarnation> {
        let id = self.queue.pop_front()?;
        self.ready = self.ready.saturating_sub(1);
        Some(id)
    }

    /// The oldest, if it is ready.
    pub(super) fn pop_ready(&mut self) -> Option<Incarnation> {
        if self.ready == 0 { None } else { self.pop() }
    }

    /// A step: all that wait are ready from now on.
    pub(super) fn step(&mut self) {
        self.ready = self.queue.len();
    }
}
