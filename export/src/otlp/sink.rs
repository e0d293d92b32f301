//! The sink: renders events, and hands them to the thread that sends.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use api::event::{Event, Node};
use api::filter::FieldFilters;
use api::json::write_event;
use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;

use super::client::{Client, Endpoint};
use super::headers::Headers;
use super::queue::{Line, Queue};
use super::record::Source;
use super::sender::Sender;
use crate::siem::Form;
use crate::sink::{Counters, OpenError, Sink, WriteError};

/// Between two looks at what became of events.
const LOOK: Duration = Duration::from_secs(1);
/// How long sending may go on at the end.
const FLUSH: Duration = Duration::from_secs(2);

/// How to send to a collector.
#[derive(Debug, Clone)]
pub struct OtlpOptions {
    /// Where it is.
    pub endpoint: Endpoint,
    /// What is sent along.
    pub headers: Headers,
    /// PEM file with the authorities that its certificate must come from, instead of the machine's.
    pub authorities: Option<PathBuf>,
    /// How long its answer may take.
    pub timeout: Duration,
    /// How many bytes of events may wait.
    pub bound: usize,
    /// Which fields of events are sent.
    pub fields: FieldFilters,
    /// How an event looks in the body of its record.
    pub form: Form,
}

/// Sends events to an OpenTelemetry collector.
///
/// A collector that is down, slow or refuses does not stop it: events wait in a bounded queue, the newest that find no room are dropped and counted.
#[derive(Debug)]
pub struct OtlpSink {
    name: String,
    options: OtlpOptions,
    queue: Arc<Queue>,
    client: Arc<Mutex<Client>>,
    runtime: Handle,
    end: watch::Sender<Option<Instant>>,
    thread: Option<JoinHandle<()>>,
    counters: Arc<Counters>,
    /// A line before its fields are filtered, and after.
    whole: Vec<u8>,
    filtered: Vec<u8>,
}

impl OtlpSink {
    /// Starts the thread that sends. The collector need not be there yet.
    ///
    /// # Errors
    ///
    /// [`OpenError::Collector`] where the authorities cannot be used, or there can be no thread.
    pub fn open(options: OtlpOptions, node: &Node) -> Result<Self, OpenError> {
        let failed = |error: io::Error| OpenError::Collector {
            endpoint: options.endpoint.to_string(),
            reason: error.to_string(),
        };
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let handle = runtime.handle().clone();
        let client = Arc::new(Mutex::new(client(&options, &handle)?));
        let counters = Arc::new(Counters::default());
        let queue = Arc::new(Queue::new(options.bound, Arc::clone(&counters)));
        let (end, ending) = watch::channel(None);
        let sender = Sender {
            queue: Arc::clone(&queue),
            client: Arc::clone(&client),
            headers: options.headers.metadata(),
            source: Source { node: node.name.to_string(), cluster: node.cluster_name.to_string() },
            form: options.form,
            timeout: options.timeout,
            end: ending,
        };
        let work = move || {
            runtime.block_on(sender.run());
            runtime.shutdown_background();
        };
        let thread = thread::Builder::new().name("otlp".to_owned()).spawn(work).map_err(failed)?;
        Ok(Self {
            name: format!("otlp {}", options.endpoint),
            options,
            queue,
            client,
            runtime: handle,
            end,
            thread: Some(thread),
            counters,
            whole: Vec::new(),
            filtered: Vec::new(),
        })
    }

    fn render(&mut self, event: &Event) -> Box<[u8]> {
        self.whole.clear();
        write_event(event, &mut self.whole);
        if self.options.fields.is_none() {
            return self.whole.as_slice().into();
        }
        self.filtered.clear();
        self.options.fields.copy_json(&self.whole, event.event_type(), &mut self.filtered);
        self.filtered.as_slice().into()
    }

    /// What went wrong since this was last asked, or still does.
    fn report(&self) -> Result<(), WriteError> {
        let Some(trouble) = self.queue.trouble() else { return Ok(()) };
        Err(WriteError::Target {
            name: self.name.clone(),
            source: io::Error::other(trouble.reason),
            dropped: trouble.dropped,
            held: trouble.held,
        })
    }

    /// Has the thread end, at `deadline` at the latest.
    fn stop(&mut self, deadline: Instant) {
        self.end.send_replace(Some(deadline));
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            self.queue.give_up();
        }
    }
}

fn client(options: &OtlpOptions, runtime: &Handle) -> Result<Client, OpenError> {
    let _inside = runtime.enter();
    options.endpoint.client(options.authorities.as_deref(), options.timeout)
}

fn nanoseconds_now() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}

impl Sink for OtlpSink {
    fn name(&self) -> &str {
        &self.name
    }

    fn write(&mut self, events: &mut dyn Iterator<Item = &Event>) -> Result<(), WriteError> {
        let observed = nanoseconds_now();
        for event in events {
            self.counters.add_received(event);
            let json = self.render(event);
            self.queue.push(Line { json, observed });
        }
        self.queue.wake();
        self.report()
    }

    fn due(&self) -> Option<Instant> {
        self.queue.is_busy().then(|| Instant::now() + LOOK)
    }

    fn tick(&mut self) -> Result<(), WriteError> {
        self.report()
    }

    /// Reads the authorities anew, and makes a new connection.
    fn reopen(&mut self) -> Result<(), OpenError> {
        let client = client(&self.options, &self.runtime)?;
        *self.client.lock().unwrap_or_else(PoisonError::into_inner) = client;
        Ok(())
    }

    fn finish(&mut self) -> Result<(), WriteError> {
        self.stop(Instant::now() + FLUSH);
        self.report()
    }

    fn counters(&self) -> Arc<Counters> {
        Arc::clone(&self.counters)
    }
}

impl Drop for OtlpSink {
    fn drop(&mut self) {
        self.stop(Instant::now());
    }
}
