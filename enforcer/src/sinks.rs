//! Sinks, each on a thread of its own behind its own queue of the hub.

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};
use std::time::Instant;

use api::event::Event;
use export::sink::{Counters, Sink};

use crate::pipeline::Subscription;

/// A sink at work. It ends when the hub is closed and everything is read.
#[derive(Debug)]
pub(crate) struct SinkThread {
    name: String,
    counters: Arc<Counters>,
    thread: JoinHandle<()>,
}

impl SinkThread {
    /// Starts writing what `subscription` brings to `sink`.
    ///
    /// # Errors
    /// When no thread can be made.
    pub(crate) fn start(sink: Box<dyn Sink>, subscription: Subscription) -> io::Result<Self> {
        let (name, counters) = (sink.name().to_owned(), sink.counters());
        let thread =
            thread::Builder::new().name("sink".to_owned()).spawn(move || write_all(sink, subscription))?;
        Ok(Self { name, counters, thread })
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its counters.
    pub(crate) const fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// Waits for its end; `false` when it has not ended by `deadline`, and what it holds is lost.
    pub(crate) fn join(self, deadline: Instant) -> bool {
        while !self.thread.is_finished() {
            if Instant::now() >= deadline {
                return false;
            }
            thread::park_timeout(std::time::Duration::from_millis(5));
        }
        self.thread.join().is_ok()
    }
}

/// Writes until the hub ends. A target that fails is told of once, and once when it works again.
fn write_all(mut sink: Box<dyn Sink>, mut subscription: Subscription) {
    let mut failing = false;
    while let Some(delivery) = subscription.recv_blocking() {
        let batch: Vec<Arc<Event>> = delivery.events().cloned().map(Arc::new).collect();
        match (sink.write(&batch), failing) {
            (Err(error), false) => {
                failing = true;
                tracing::error!("{error}");
            }
            (Ok(()), true) => {
                failing = false;
                tracing::info!("{} takes events again", sink.name());
            }
            (Ok(()), false) | (Err(_), true) => {}
        }
    }
    if let Err(error) = sink.finish() {
        tracing::error!("{error}");
    }
}
