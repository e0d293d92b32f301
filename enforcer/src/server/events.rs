//! `GetEvents`: one listener's stream.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Instant;

use api::convert::to_wire;
use api::event::Event;
use api::filter::{Aggregation, FieldFilters, FilterError, FilterLists, Offered};
use api::wire::{GetEventsRequest, GetEventsResponse};
use tokio::time::Sleep;
use tonic::Status;
use tonic::codegen::tokio_stream::Stream;

use crate::pipeline::{Hub, Subscribe, Subscription};

/// The events of one subscription as messages.
#[derive(Debug)]
pub struct EventStream {
    subscription: Subscription,
    fields: FieldFilters,
    aggregation: Option<Held>,
    /// Converted and not yet sent.
    waiting: VecDeque<GetEventsResponse>,
}

/// Events that are gathered before they are sent.
#[derive(Debug)]
struct Held {
    aggregation: Aggregation,
    timer: Pin<Box<Sleep>>,
}

/// Opens a stream of what the request asks for, from now on.
pub(super) fn open(
    hub: &Hub,
    request: &GetEventsRequest,
    name: String,
    capacity: usize,
) -> Result<EventStream, Status> {
    let refuse = |error: FilterError| Status::invalid_argument(error.to_string());
    let filter = FilterLists::compile(&request.allow_list, &request.deny_list).map_err(refuse)?;
    let fields = FieldFilters::compile(&request.field_filters).map_err(refuse)?;
    let aggregation = request.aggregation_options.as_ref().map(|options| Held {
        aggregation: Aggregation::requested(options),
        timer: Box::pin(tokio::time::sleep_until(Instant::now().into())),
    });
    let subscription = hub.subscribe(Subscribe { name, capacity, filter });
    Ok(EventStream { subscription, fields, aggregation, waiting: VecDeque::new() })
}

impl EventStream {
    fn send(&mut self, event: &Event) {
        let message = to_wire(event);
        self.waiting.push_back(if self.fields.is_none() { message } else { self.fields.apply(message) });
    }

    /// Takes an event that came.
    fn take(&mut self, event: &Event, now: Instant) {
        let offered = self.aggregation.as_mut().map(|held| held.aggregation.offer(event, now));
        if offered != Some(Offered::Held) {
            self.send(event);
        }
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
    type Item = Result<GetEventsResponse, Status>;

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
                }
                Poll::Ready(None) => {
                    this.release();
                    if this.waiting.is_empty() {
                        return Poll::Ready(None);
                    }
                }
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
