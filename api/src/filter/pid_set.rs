//! Processes and their descendants, by what events say of parents.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use crate::event::{Event, EventKind, ProcessRef};

/// Most descendants that are remembered; further ones are not found.
const MOST: usize = 1 << 16;

/// Some processes and those that descend from them, as far as events tell: a process of which there was no event hides
/// its children.
#[derive(Debug)]
pub(super) struct PidSet {
    roots: Vec<u32>,
    descendants: Mutex<Descendants>,
}

#[derive(Debug, Default)]
struct Descendants {
    pids: HashSet<u32>,
    /// Its exit was the last event.
    ended: Option<u32>,
}

impl PidSet {
    pub(super) fn new(roots: Vec<u32>) -> Self {
        Self { roots, descendants: Mutex::default() }
    }

    /// Learns from an event, whoever wants it.
    pub(super) fn follow(&self, event: &Event) {
        let Some(pid) = event.process().and_then(|process| process.pid) else { return };
        let mut known = self.descendants.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(ended) = known.ended.take() {
            known.pids.remove(&ended);
        }
        let is_member = |process: &ProcessRef| {
            process.pid.is_some_and(|pid| self.roots.contains(&pid) || known.pids.contains(&pid))
        };
        let descends = event.parent().into_iter().chain(event.ancestors()).any(is_member);
        if descends && !self.roots.contains(&pid) && known.pids.len() < MOST {
            known.pids.insert(pid);
        }
        if matches!(event.kind, EventKind::Exit(_)) {
            known.ended = Some(pid);
        }
    }

    /// Whether the process of `event`, which was followed, is one of them.
    pub(super) fn matches(&self, event: &Event) -> bool {
        let pid = event.process().and_then(|process| process.pid);
        let known = self.descendants.lock().unwrap_or_else(PoisonError::into_inner);
        pid.is_some_and(|pid| self.roots.contains(&pid) || known.pids.contains(&pid))
    }
}
