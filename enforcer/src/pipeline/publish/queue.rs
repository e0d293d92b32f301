//! The bounded queue of one subscriber.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use api::event::Event;

use super::super::spare::Returned;
use super::BATCH;

const WORDS: usize = BATCH / 64;

/// Which events of a batch, by index.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Selection {
    words: [u64; WORDS],
}

impl Selection {
    pub(super) fn insert(&mut self, index: usize) {
        if let Some(word) = self.words.get_mut(index / 64) {
            *word |= 1 << (index % 64);
        }
    }

    pub(super) fn contains(&self, index: usize) -> bool {
        self.words.get(index / 64).is_some_and(|word| word & (1 << (index % 64)) != 0)
    }

    pub(super) fn len(&self) -> usize {
        self.words.iter().map(|word| word.count_ones() as usize).sum()
    }

    /// Only the first `count` of it.
    fn first(&self, count: usize) -> Self {
        let mut first = Self::default();
        (0..BATCH).filter(|index| self.contains(*index)).take(count).for_each(|index| first.insert(index));
        first
    }
}

/// Events that were published together. Who lets go of it last returns what they are made of.
#[derive(Debug)]
pub(super) struct Batch {
    events: Vec<Event>,
    returned: Returned,
}

impl Batch {
    pub(super) const fn new(events: Vec<Event>, returned: Returned) -> Self {
        Self { events, returned }
    }

    pub(super) fn events(&self) -> &[Event] {
        &self.events
    }
}

impl Drop for Batch {
    fn drop(&mut self) {
        self.returned.take(std::mem::take(&mut self.events));
    }
}

/// Events of one batch that one subscriber wanted.
#[derive(Clone, Debug)]
pub struct Delivery {
    batch: Arc<Batch>,
    selection: Selection,
}

impl Delivery {
    /// The events, in order.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.batch
            .events()
            .iter()
            .enumerate()
            .filter(|(index, _)| self.selection.contains(*index))
            .map(|(_, event)| event)
    }

    /// How many.
    pub fn len(&self) -> usize {
        self.selection.len()
    }

    /// Whether there is none, which is never delivered.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A queue, its publisher's and its subscriber's side.
#[derive(Debug)]
pub(super) struct Queue {
    /// Most events in it.
    capacity: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    deliveries: VecDeque<Delivery>,
    waiting: usize,
    queued: u64,
    lost: u64,
    closed: bool,
    nudged: bool,
    waker: Option<Waker>,
}

/// What a thread that waited got.
#[derive(Clone, Debug)]
pub enum Received {
    /// Events.
    Events(Delivery),
    /// None before the time was over or someone nudged.
    Nothing,
    /// None, and none will come.
    End,
}

impl Queue {
    pub(super) fn new(capacity: usize) -> Self {
        Self { capacity: capacity.max(1), state: Mutex::default(), changed: Condvar::new() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts as much of `selection` in as there is room for, from the first on; the rest is lost.
    ///
    /// A batch of which less than half is wanted is not shared but copied, so that what waits in the queue holds at most twice the memory of
    /// the events that count.
    pub(super) fn push(&self, batch: &Arc<Batch>, selection: &Selection) {
        let wanted = selection.len();
        if wanted == 0 {
            return;
        }
        let mut state = self.lock();
        let room = if state.closed { 0 } else { self.capacity.saturating_sub(state.waiting).min(wanted) };
        state.lost += (wanted - room) as u64;
        if room == 0 {
            return;
        }
        let selection = if room < wanted { selection.first(room) } else { *selection };
        let delivery = if room * 2 < batch.events().len() {
            compact(batch, &selection)
        } else {
            Delivery { batch: Arc::clone(batch), selection }
        };
        state.deliveries.push_back(delivery);
        state.waiting += room;
        state.queued += room as u64;
        let waker = state.waker.take();
        drop(state);
        self.wake(waker);
    }

    /// Nothing comes any more; what is there can still be read.
    pub(super) fn close(&self) {
        let mut state = self.lock();
        state.closed = true;
        let waker = state.waker.take();
        drop(state);
        self.wake(waker);
    }

    fn wake(&self, waker: Option<Waker>) {
        self.changed.notify_all();
        if let Some(waker) = waker {
            waker.wake();
        }
    }

    /// The oldest delivery; `Ready(None)` when the queue is closed and empty.
    pub(super) fn poll(&self, context: &Context<'_>) -> Poll<Option<Delivery>> {
        let mut state = self.lock();
        if let Some(delivery) = state.take() {
            return Poll::Ready(Some(delivery));
        }
        if state.closed {
            return Poll::Ready(None);
        }
        state.waker = Some(context.waker().clone());
        Poll::Pending
    }

    /// The same, waiting in this thread, until `deadline` or a nudge.
    pub(super) fn wait(&self, deadline: Option<Instant>) -> Received {
        let mut state = self.lock();
        loop {
            if let Some(delivery) = state.take() {
                return Received::Events(delivery);
            }
            if state.closed {
                return Received::End;
            }
            let left = deadline.map(|deadline| deadline.saturating_duration_since(Instant::now()));
            if std::mem::take(&mut state.nudged) || left.is_some_and(|left| left.is_zero()) {
                return Received::Nothing;
            }
            state = match left {
                Some(left) => {
                    self.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0
                }
                None => self.changed.wait(state).unwrap_or_else(PoisonError::into_inner),
            };
        }
    }

    /// Ends the wait of the subscriber's thread, or its next.
    pub(super) fn nudge(&self) {
        self.lock().nudged = true;
        self.changed.notify_all();
    }

    /// Events queued since the start, lost, and waiting now.
    pub(super) fn counts(&self) -> (u64, u64, usize) {
        let state = self.lock();
        (state.queued, state.lost, state.waiting)
    }
}

impl State {
    fn take(&mut self) -> Option<Delivery> {
        let delivery = self.deliveries.pop_front()?;
        self.waiting -= delivery.len();
        Some(delivery)
    }
}

/// A batch of its own with the selected events only.
fn compact(batch: &Batch, selection: &Selection) -> Delivery {
    let mut events = Vec::with_capacity(selection.len());
    let wanted = batch
        .events()
        .iter()
        .enumerate()
        .filter(|(index, _)| selection.contains(*index))
        .map(|(_, event)| event.clone());
    events.extend(wanted);
    let mut selection = Selection::default();
    (0..events.len()).for_each(|index| selection.insert(index));
    Delivery { batch: Arc::new(Batch::new(events, batch.returned.clone())), selection }
}
