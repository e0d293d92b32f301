//! `GetEvents`: one listener's stream.

use std::collections::VecDeque;
use std::pin::Pin;
use std::task::{Context, Poll};

use api::convert::to_wire;
use api::filter::FilterLists;
use api::wire::{GetEventsRequest, GetEventsResponse};
use tonic::Status;
use tonic::codegen::tokio_stream::Stream;

use crate::pipeline::{Hub, Subscribe, Subscription};

/// The events of one subscription as messages.
#[derive(Debug)]
pub struct EventStream {
    subscription: Subscription,
    /// Converted and not yet sent.
    waiting: VecDeque<GetEventsResponse>,
}

/// Opens a stream of what the request asks for, from now on.
pub(super) fn open(
    hub: &Hub,
    request: &GetEventsRequest,
    name: String,
    capacity: usize,
) -> Result<EventStream, Status> {
    if !request.field_filters.is_empty() {
        return Err(Status::unimplemented(
            "field filters are not supported yet; leave out the fields option",
        ));
    }
    let filter = FilterLists::compile(&request.allow_list, &request.deny_list)
        .map_err(|error| Status::invalid_argument(error.to_string()))?;
    Ok(EventStream {
        subscription: hub.subscribe(Subscribe { name, capacity, filter }),
        waiting: VecDeque::new(),
    })
}

impl Stream for EventStream {
    type Item = Result<GetEventsResponse, Status>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(message) = self.waiting.pop_front() {
                return Poll::Ready(Some(Ok(message)));
            }
            match self.subscription.poll_recv(context) {
                Poll::Ready(Some(delivery)) => self.waiting.extend(delivery.events().map(to_wire)),
                Poll::Ready(None) => return Poll::Ready(None),
                Poll::Pending => return Poll::Pending,
            }
        }
    }
}
