//! `GetEvents`: one listener's stream. One that is too slow loses events of its own, and a `rate_limit_info` in the stream says how many.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant, SystemTime};

use api::convert::{EncodedEvent, Encoder, to_wire};
use api::event::{Event, EventKind, Node, Timestamp};
use api::filter::{Aggregation, FieldFilters, FilterError, FilterLists, Offered};
use api::wire::GetEventsRequest;
use tokio::time::Sleep;
use tonic::Status;
use tonic::codegen::tokio_stream::Stream;

use crate::pipeline::{Hub, Subscribe, Subscription};

/// Between two messages that say what was lost, while events come.
const TELL: Duration = Duration::from_secs(1);

/// The events of one subscription as messages.
#[derive(Debug)]
pub struct EventStream {
    subscription: Subscription,
    fields: FieldFilters,
    aggregation: Option<Held>,
    losses: Losses,
    encoder: Encoder,
    /// Encoded and not yet sent.
    waiting: VecDeque<EncodedEvent>,
}

/// Events that are gathered before they are sent.
#[derive(Debug)]
struct Held {
    aggregation: Aggregation,
    timer: Pin<Box<Sleep>>,
}

/// What the listener was told of its losses.
#[derive(Debug)]
struct Losses {
    node: Arc<Node>,
    /// Events lost that it knows of.
    told: u64,
    when: Option<Instant>,
}

impl Losses {
    /// What there is to tell when `lost` events are lost in all: nothing twice, and not too often unless it is `urgent`.
    fn tell(&mut self, lost: u64, now: Instant, urgent: bool) -> Option<Event> {
        let new = lost - self.told;
        let is_early = self.when.is_some_and(|when| now < when + TELL);
        if new == 0 || (is_early && !urgent) {
            return None;
        }
        (self.told, self.when) = (lost, Some(now));
        let time = Timestamp::from(SystemTime::now());
        Some(Event::new(EventKind::RateLimit(new), time, Arc::clone(&self.node)))
    }
}

impl EventStream {
    /// A stream of what the request asks for, from now on. `name` is the listener's in metrics; `capacity` is how many events wait for it at most.
    ///
    /// # Errors
    /// When a filter of the request is none.
    pub fn open(
        hub: &Hub,
        node: &Arc<Node>,
        request: &GetEventsRequest,
        name: String,
        capacity: usize,
    ) -> Result<Self, Status> {
        let refuse = |error: FilterError| Status::invalid_argument(error.to_string());
        let filter = FilterLists::compile(&request.allow_list, &request.deny_list).map_err(refuse)?;
        let fields = FieldFilters::compile(&request.field_filters).map_err(refuse)?;
        let aggregation = request.aggregation_options.as_ref().map(|options| Held {
            aggregation: Aggregation::requested(options),
            timer: Box::pin(tokio::time::sleep_until(Instant::now().into())),
        });
        let subscription = hub.subscribe(Subscribe { name, capacity, filter });
        let losses = Losses { node: Arc::clone(node), told: 0, when: None };
        let (encoder, waiting) = (Encoder::default(), VecDeque::new());
        Ok(Self { subscription, fields, aggregation, losses, encoder, waiting })
    }

    fn send(&mut self, event: &Event) {
        let encoded = if self.fields.is_none() {
            self.encoder.event(event)
        } else {
            self.encoder.message(&self.fields.apply(to_wire(event)))
        };
        self.waiting.push_back(encoded);
    }

    /// Takes an event that came.
    fn take(&mut self, event: &Event, now: Instant) {
        let offered = self.aggregation.as_mut().map(|held| held.aggregation.offer(event, now));
        if offered != Some(Offered::Held) {
            self.send(event);
        }
    }

    /// Says how many events found no room since this was last said; whether there were any.
    fn tell_losses(&mut self, now: Instant, urgent: bool) -> bool {
        let told = self.losses.tell(self.subscription.stats().lost, now, urgent);
        self.waiting.extend(told.as_ref().map(|event| self.encoder.event(event)));
        told.is_some()
    }

    /// Sends all that was gathered.
    fn release(&mut self) {
        let held = self.aggregation.as_mut().map(|held| held.aggregation.take());
        for event in held.into_iter().flatten() {
            self.send(&event);
        }
    }

    /// Sends what was gathered if its time is over; wakes the stream when it will be.
    fn poll_held(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let Some(held) = &mut self.aggregation else { return Poll::Pending };
        let Some(due) = held.aggregation.due() else { return Poll::Pending };
        held.timer.as_mut().reset(due.into());
        let over = held.timer.as_mut().poll(context);
        if over.is_ready() {
            self.release();
        }
        over
    }
}

impl Stream for EventStream {
    type Item = Result<EncodedEvent, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(message) = this.waiting.pop_front() {
                return Poll::Ready(Some(Ok(message)));
            }
            if this.poll_held(context).is_ready() {
                continue;
            }
            match this.subscription.poll_recv(context) {
                Poll::Ready(Some(delivery)) => {
                    let now = Instant::now();
                    delivery.events().for_each(|event| this.take(event, now));
                    this.tell_losses(now, false);
                }
                Poll::Ready(None) => {
                    this.release();
                    this.tell_losses(Instant::now(), true);
                    if this.waiting.is_empty() {
                        return Poll::Ready(None);
                    }
                }
                Poll::Pending if this.tell_losses(Instant::now(), true) => {}
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::pin::Pin;
    use std::sync::Arc;
    use std::task::{Context, Poll, Waker};

    use api::event::{Event, EventKind, Node, TestEvent, Timestamp};
    use api::wire::get_events_response::Event as Kind;
    use api::wire::{GetEventsRequest, GetEventsResponse};
    use prost::Message as _;
    use tonic::codegen::tokio_stream::Stream as _;

    use super::EventStream;
    use crate::pipeline::Hub;

    /// What can be read now: `arg0` of events, or how many were lost.
    fn read(stream: &mut EventStream) -> Vec<Result<u64, u64>> {
        let mut read = Vec::new();
        let mut context = Context::from_waker(Waker::noop());
        while let Poll::Ready(Some(message)) = Pin::new(&mut *stream).poll_next(&mut context) {
            let message = GetEventsResponse::decode(message.unwrap().as_bytes()).unwrap();
            let event = message.event.unwrap();
            if let Kind::RateLimitInfo(info) = event {
                read.push(Err(info.number_of_dropped_process_events));
            } else if let Kind::Test(event) = event {
                read.push(Ok(event.arg0));
            }
        }
        read
    }

    // proves: API-02 (losses), REL-03 (streams)
    #[test]
    fn a_slow_listener_is_told_how_many_events_it_lost_behind_those_that_it_got() {
        let (hub, node) = (Hub::new(), Arc::new(Node::named("n")));
        let publish = |numbers: std::ops::Range<u64>| {
            let kinds = numbers.map(|arg0| EventKind::Test(TestEvent { arg0, ..TestEvent::default() }));
            let event = |kind| Event::new(kind, Timestamp::from_nanos(0), Arc::clone(&node));
            hub.publish(&mut kinds.map(event).collect());
        };
        let mut stream =
            EventStream::open(&hub, &node, &GetEventsRequest::default(), "n".to_owned(), 2).unwrap();
        publish(0..5);
        assert_eq!(read(&mut stream), [Ok(0), Ok(1), Err(3)]);
        publish(5..7);
        assert_eq!(read(&mut stream), [Ok(5), Ok(6)], "nothing twice");
        publish(7..10);
        hub.close();
        assert_eq!(read(&mut stream), [Ok(7), Ok(8), Err(1)]);
    }
}
