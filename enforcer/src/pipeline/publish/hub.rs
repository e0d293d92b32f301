//! The subscribers, and what each gets.

use std::future::poll_fn;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use api::event::Event;

use super::super::spare::Returned;
use super::BATCH;
use super::queue::{Batch, Delivery, Queue, Received, Selection};
use api::filter::FilterLists;

/// What a subscriber wants.
#[derive(Clone, Debug)]
pub struct Subscribe {
    /// Its name in metrics.
    pub name: String,
    /// Events that wait for it at most; further ones are lost to it.
    pub capacity: usize,
    /// Which events.
    pub filter: FilterLists,
}

/// What became of the events offered to one subscriber: `offered = filtered + queued + lost`.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct SubscriberStats {
    /// Its name.
    pub name: String,
    /// Events published since it subscribed.
    pub offered: u64,
    /// Those that its filter held back.
    pub filtered: u64,
    /// Those that entered its queue.
    pub queued: u64,
    /// Those that found the queue full.
    pub lost: u64,
    /// Those in the queue now.
    pub waiting: usize,
}

#[derive(Debug)]
struct Subscriber {
    name: String,
    filter: FilterLists,
    queue: Queue,
    offered: AtomicU64,
    filtered: AtomicU64,
}

impl Subscriber {
    fn offer(&self, batch: &Arc<Batch>) {
        let mut selection = Selection::default();
        for (index, event) in batch.events().iter().enumerate() {
            if self.filter.wants(event) {
                selection.insert(index);
            }
        }
        self.offered.fetch_add(batch.events().len() as u64, Ordering::Relaxed);
        self.filtered.fetch_add((batch.events().len() - selection.len()) as u64, Ordering::Relaxed);
        self.queue.push(batch, &selection);
    }

    fn stats(&self) -> SubscriberStats {
        let (queued, lost, waiting) = self.queue.counts();
        SubscriberStats {
            name: self.name.clone(),
            offered: self.offered.load(Ordering::Relaxed),
            filtered: self.filtered.load(Ordering::Relaxed),
            queued,
            lost,
            waiting,
        }
    }
}

#[derive(Debug, Default)]
struct Shared {
    subscribers: Vec<Arc<Subscriber>>,
    closed: bool,
    /// Events lost by subscribers that are gone.
    lost_before: u64,
}

/// Where events are published and subscribed to. Clones are the same hub.
#[derive(Clone, Debug, Default)]
pub struct Hub {
    shared: Arc<Mutex<Shared>>,
    returned: Returned,
}

impl Hub {
    /// A hub without subscribers.
    pub fn new() -> Self {
        Self::default()
    }

    /// Where the memory of delivered events goes.
    pub(crate) fn returned(&self) -> Returned {
        self.returned.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Shared> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Subscribes to what is published from now on. On a closed hub the subscription is at its end.
    pub fn subscribe(&self, subscribe: Subscribe) -> Subscription {
        let subscriber = Arc::new(Subscriber {
            name: subscribe.name,
            filter: subscribe.filter,
            queue: Queue::new(subscribe.capacity),
            offered: AtomicU64::new(0),
            filtered: AtomicU64::new(0),
        });
        let mut shared = self.lock();
        if shared.closed {
            subscriber.queue.close();
        } else {
            shared.subscribers.push(Arc::clone(&subscriber));
        }
        drop(shared);
        Subscription { hub: self.clone(), subscriber }
    }

    /// Offers `events`, at most [`super::BATCH`], to every subscriber, and empties them.
    pub(crate) fn publish(&self, events: &mut Vec<Event>) {
        let shared = self.lock();
        if events.is_empty() || shared.subscribers.is_empty() {
            events.clear();
            return;
        }
        let published = if events.len() < BATCH {
            // Of a batch that is not full, what waits in a queue has no more room than it needs.
            std::mem::take(events)
        } else {
            std::mem::replace(events, self.returned.batch())
        };
        let batch = Arc::new(Batch::new(published, self.returned.clone()));
        for subscriber in &shared.subscribers {
            subscriber.offer(&batch);
        }
    }

    /// Ends all subscriptions once they are read to their end.
    pub(crate) fn close(&self) {
        let mut shared = self.lock();
        shared.closed = true;
        for subscriber in &shared.subscribers {
            subscriber.queue.close();
        }
    }

    /// What became of events, by subscriber.
    pub fn stats(&self) -> Vec<SubscriberStats> {
        self.lock().subscribers.iter().map(|subscriber| subscriber.stats()).collect()
    }

    /// Events lost by all subscribers that there ever were.
    pub fn lost(&self) -> u64 {
        let shared = self.lock();
        shared.lost_before + shared.subscribers.iter().map(|subscriber| subscriber.stats().lost).sum::<u64>()
    }
}

/// One subscriber's end. Dropping it unsubscribes.
#[derive(Debug)]
pub struct Subscription {
    hub: Hub,
    subscriber: Arc<Subscriber>,
}

impl Subscription {
    /// The next events; `None` when the pipeline has ended and all was read. Cancel safe: a dropped future takes nothing.
    pub async fn recv(&mut self) -> Option<Delivery> {
        poll_fn(|context| self.subscriber.queue.poll(context)).await
    }

    /// The same for a stream: polls for the next events.
    pub fn poll_recv(&mut self, context: &std::task::Context<'_>) -> std::task::Poll<Option<Delivery>> {
        self.subscriber.queue.poll(context)
    }

    /// The same, for a thread.
    pub fn recv_blocking(&mut self) -> Option<Delivery> {
        loop {
            match self.recv_until(None) {
                Received::Events(delivery) => return Some(delivery),
                Received::Nothing => {}
                Received::End => return None,
            }
        }
    }

    /// The same, for a thread that waits until `deadline` or a nudge only.
    pub fn recv_until(&mut self, deadline: Option<Instant>) -> Received {
        self.subscriber.queue.wait(deadline)
    }

    /// By which others end the wait of this subscriber's thread.
    pub fn nudge(&self) -> Nudge {
        Nudge(Arc::clone(&self.subscriber))
    }

    /// What became of the events offered so far.
    pub fn stats(&self) -> SubscriberStats {
        self.subscriber.stats()
    }
}

/// Ends the wait of one subscriber's thread.
#[derive(Clone, Debug)]
pub struct Nudge(Arc<Subscriber>);

impl Nudge {
    /// Ends it, or the next one.
    pub fn nudge(&self) {
        self.0.queue.nudge();
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let lost = self.subscriber.stats().lost;
        let mut shared = self.hub.lock();
        let before = shared.subscribers.len();
        shared.subscribers.retain(|subscriber| !Arc::ptr_eq(subscriber, &self.subscriber));
        if shared.subscribers.len() < before {
            shared.lost_before += lost;
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};

    use api::event::{Event, EventKind, Node, TestEvent, Timestamp};
    use api::wire::Filter;

    use super::super::super::spare::Spare;
    use super::{BATCH, Hub, Instant, Received, Subscribe, SubscriberStats, Subscription};
    use api::filter::FilterLists;

    fn events(numbers: std::ops::Range<u64>) -> Vec<Event> {
        let node = Arc::new(Node::default());
        let event = |arg0| {
            let kind = if arg0 % 10 == 0 {
                EventKind::RateLimit(arg0)
            } else {
                EventKind::Test(TestEvent { arg0, ..TestEvent::default() })
            };
            Event::new(kind, Timestamp::default(), Arc::clone(&node))
        };
        numbers.map(event).collect()
    }

    fn number(event: &Event) -> u64 {
        if let EventKind::Test(test) = &event.kind {
            test.arg0
        } else if let EventKind::RateLimit(number) = &event.kind {
            *number
        } else {
            u64::MAX
        }
    }

    fn subscribe(hub: &Hub, capacity: usize, filter: FilterLists) -> Subscription {
        hub.subscribe(Subscribe { name: "s".to_owned(), capacity, filter })
    }

    fn read(subscription: &mut Subscription) -> Vec<u64> {
        let mut numbers = Vec::new();
        while let Poll::Ready(Some(delivery)) = subscription.poll_recv(&Context::from_waker(Waker::noop())) {
            assert_eq!(delivery.len(), delivery.events().count());
            numbers.extend(delivery.events().map(number));
        }
        numbers
    }

    fn tens() -> FilterLists {
        let filter = Filter { event_set: vec![40_001], ..Filter::default() };
        FilterLists::compile(&[filter], &[]).unwrap()
    }

    #[test]
    fn each_subscriber_gets_what_it_wants_in_order() {
        let hub = Hub::new();
        let mut all = subscribe(&hub, 1000, FilterLists::none());
        let mut some = subscribe(&hub, 1000, tens());
        hub.publish(&mut events(0..BATCH as u64));
        hub.publish(&mut events(1000..1003));
        assert_eq!(read(&mut all), (0..BATCH as u64).chain(1000..1003).collect::<Vec<_>>());
        let expected: Vec<u64> = (0..BATCH as u64).step_by(10).chain([1000]).collect();
        assert_eq!(read(&mut some), expected);
    }

    // proves: MET-04 (queues), REL-03 (queues)
    #[test]
    fn a_full_queue_loses_its_own_newest_and_counts_it_and_others_lose_nothing() {
        let hub = Hub::new();
        let mut slow = subscribe(&hub, 150, FilterLists::none());
        let mut fast = subscribe(&hub, 10_000, FilterLists::none());
        for start in [0, 100, 200] {
            hub.publish(&mut events(start..start + 100));
        }
        assert_eq!(read(&mut slow), (0..150).collect::<Vec<_>>());
        assert_eq!(read(&mut fast), (0..300).collect::<Vec<_>>());
        hub.publish(&mut events(300..310));
        let stats = slow.stats();
        let expected = SubscriberStats {
            name: "s".to_owned(),
            offered: 310,
            filtered: 0,
            queued: 160,
            lost: 150,
            waiting: 10,
        };
        assert_eq!(stats, expected);
        assert_eq!(hub.lost(), 150);
        drop(slow);
        assert_eq!(hub.lost(), 150, "what a gone subscriber lost stays counted");
        assert_eq!(hub.stats().len(), 1);
    }

    #[test]
    fn offered_is_filtered_and_queued_and_lost() {
        let hub = Hub::new();
        let subscription = subscribe(&hub, 3, tens());
        hub.publish(&mut events(0..100));
        let stats = subscription.stats();
        assert_eq!((stats.offered, stats.filtered, stats.queued, stats.lost), (100, 90, 3, 7));
    }

    #[test]
    fn a_few_events_of_a_large_batch_do_not_keep_the_batch() {
        let hub = Hub::new();
        let mut some = subscribe(&hub, 1000, tens());
        let mut batch = events(0..200);
        let watched = Arc::downgrade(&batch[1].node);
        let kept = Event::new(EventKind::RateLimit(0), Timestamp::default(), Arc::new(Node::default()));
        batch[0] = kept;
        for index in (10..200).step_by(10) {
            batch[index].node = Arc::new(Node::default());
        }
        hub.publish(&mut batch);
        Spare::new(hub.returned()).collect();
        assert!(watched.upgrade().is_none(), "the batch, with events that nobody wanted, is given back");
        assert_eq!(read(&mut some).len(), 20);
    }

    #[test]
    fn a_closed_hub_lets_subscribers_read_to_the_end() {
        let hub = Hub::new();
        let mut subscription = subscribe(&hub, 10, FilterLists::none());
        hub.publish(&mut events(0..2));
        hub.close();
        assert_eq!(subscription.recv_blocking().unwrap().len(), 2);
        assert!(subscription.recv_blocking().is_none());
        assert!(subscribe(&hub, 10, FilterLists::none()).recv_blocking().is_none());
    }

    #[test]
    fn a_wait_ends_at_its_time_or_by_a_nudge() {
        let hub = Hub::new();
        let mut subscription = subscribe(&hub, 10, FilterLists::none());
        assert!(matches!(subscription.recv_until(Some(Instant::now())), Received::Nothing));
        let nudge = subscription.nudge();
        let waits = std::thread::spawn(move || {
            assert!(matches!(subscription.recv_until(None), Received::Nothing));
            subscription
        });
        nudge.nudge();
        let mut subscription = waits.join().unwrap();
        hub.publish(&mut events(0..2));
        nudge.nudge();
        assert!(matches!(subscription.recv_until(None), Received::Events(_)), "events come first");
        assert!(matches!(subscription.recv_until(None), Received::Nothing));
    }

    #[test]
    fn a_waiting_thread_and_a_waiting_task_are_woken() {
        let hub = Hub::new();
        let mut blocking = subscribe(&hub, 10, FilterLists::none());
        let mut task = subscribe(&hub, 10, FilterLists::none());
        let publisher = hub.clone();
        let waits = std::thread::spawn(move || blocking.recv_blocking().map(|delivery| delivery.len()));
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let publishes = std::thread::spawn(move || publisher.publish(&mut events(0..5)));
        assert_eq!(runtime.block_on(task.recv()).unwrap().len(), 5);
        assert_eq!(waits.join().unwrap(), Some(5));
        publishes.join().unwrap();
    }
}
