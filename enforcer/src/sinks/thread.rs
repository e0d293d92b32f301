//! A sink on a thread of its own behind its own queue of the hub.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use export::json::{Rotation, RotationHandle};
use export::sink::{Counters, Sink};

use crate::pipeline::{Nudge, Received, Subscription};

/// A sink at work. It ends when the hub is closed and everything is read.
#[derive(Debug)]
pub(crate) struct SinkThread {
    name: String,
    counters: Arc<Counters>,
    reopen: Arc<AtomicBool>,
    nudge: Nudge,
    thread: JoinHandle<()>,
}

impl SinkThread {
    /// Starts writing what `subscription` brings to `sink`.
    ///
    /// # Errors
    /// When no thread can be made.
    pub(crate) fn start(sink: Box<dyn Sink>, subscription: Subscription) -> io::Result<Self> {
        let (name, counters, nudge) = (sink.name().to_owned(), sink.counters(), subscription.nudge());
        let reopen = Arc::new(AtomicBool::new(false));
        let asked = Arc::clone(&reopen);
        let work = move || Work { sink, subscription, reopen: asked, failing: false }.run();
        let thread = thread::Builder::new().name("sink".to_owned()).spawn(work)?;
        Ok(Self { name, counters, reopen, nudge, thread })
    }

    /// Its name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Its counters.
    pub(crate) const fn counters(&self) -> &Arc<Counters> {
        &self.counters
    }

    /// By which its thread is woken.
    pub(crate) fn nudge(&self) -> Nudge {
        self.nudge.clone()
    }

    /// Has it open its target anew, after someone moved it away.
    pub(crate) fn reopen(&self) {
        self.reopen.store(true, Ordering::Release);
        self.nudge.nudge();
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

/// Changes the export file's rotation while it is written to.
#[derive(Clone, Debug)]
pub struct EventLog {
    rotation: RotationHandle,
    nudge: Nudge,
}

impl EventLog {
    /// The rotation of the sink that `nudge` wakes.
    pub(crate) const fn new(rotation: RotationHandle, nudge: Nudge) -> Self {
        Self { rotation, nudge }
    }

    /// What holds now.
    pub(crate) fn rotation(&self) -> Rotation {
        self.rotation.get()
    }

    /// From now on, this holds.
    pub(crate) fn set_rotation(&self, rotation: Rotation) {
        self.rotation.set(rotation);
        self.nudge.nudge();
    }
}

struct Work {
    sink: Box<dyn Sink>,
    subscription: Subscription,
    reopen: Arc<AtomicBool>,
    failing: bool,
}

impl Work {
    /// Writes until the hub ends. A target that fails is told of once, and once when it works again.
    fn run(mut self) {
        loop {
            let received = self.subscription.recv_until(self.sink.due());
            if self.reopen.swap(false, Ordering::Acquire) {
                match self.sink.reopen() {
                    Ok(()) => tracing::info!("{} is opened anew", self.sink.name()),
                    Err(error) => tracing::error!("{error}; events go on where they went"),
                }
            }
            let result = match received {
                Received::Events(delivery) => self.sink.write(&mut delivery.events()),
                Received::Nothing => self.sink.tick(),
                Received::End => break,
            };
            match (result, self.failing) {
                (Err(error), false) => {
                    self.failing = true;
                    tracing::error!("{error}");
                }
                (Ok(()), true) => {
                    self.failing = false;
                    tracing::info!("{} takes events again", self.sink.name());
                }
                (Ok(()), false) | (Err(_), true) => {}
            }
        }
        if let Err(error) = self.sink.finish() {
            tracing::error!("{error}");
        }
    }
}
