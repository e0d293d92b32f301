//! The sink: renders events, and hands them to the thread that sends.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use api::event::{Event, Node};
use api::filter::FieldFilters;
use api::json::write_event;
use tokio::runtime::Builder;
use tokio::sync::watch;

use super::client::Compression;
use super::connector::Connector;
use super::endpoint::Endpoint;
use super::headers::Headers;
use super::queue::{Line, Queue};
use super::record::Source;
use super::sender::Sender;
use super::tls::TlsFiles;
use crate::siem::Form;
use crate::sink::{Counters, OpenError, Sink, WriteError};

/// Between two looks at what became of events.
const LOOK: Duration = Duration::from_secs(1);
/// How long sending may go on at the end.
const FLUSH: Duration = Duration::from_secs(2);

/// How to send to a collector.
#[derive(Debug, Clone)]
pub struct OtlpOptions {
    /// Where it is, and how it is spoken to.
    pub endpoint: Endpoint,
    /// What is sent along.
    pub headers: Headers,
    /// How requests are made smaller.
    pub compression: Compression,
    /// By what it is trusted, and trusts us, where the address says that the connection is encrypted.
    pub tls: TlsFiles,
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
    options: Arc<OtlpOptions>,
    queue: Arc<Queue>,
    /// Whether the connection is to be made anew.
    anew: Arc<AtomicBool>,
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
    /// [`OpenError::Collector`] where files cannot be used, or there can be no thread.
    pub fn open(options: OtlpOptions, node: &Node) -> Result<Self, OpenError> {
        check(&options)?;
        let options = Arc::new(options);
        let failed = |error| failed(&options, &error);
        let runtime = Builder::new_current_thread().enable_all().build().map_err(failed)?;
        let counters = Arc::new(Counters::default());
        let queue = Arc::new(Queue::new(options.bound, Arc::clone(&counters)));
        let anew = Arc::<AtomicBool>::default();
        let (end, ending) = watch::channel(None);
        let sender = Sender {
            queue: Arc::clone(&queue),
            options: Arc::clone(&options),
            client: None,
            anew: Arc::clone(&anew),
            source: Source { node: node.name.to_string(), cluster: node.cluster_name.to_string() },
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
            anew,
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

/// Says what would keep any connection from being made.
fn check(options: &OtlpOptions) -> Result<(), OpenError> {
    let connector = Connector { endpoint: options.endpoint.clone(), tls: options.tls.clone() };
    connector.check().map_err(|error| failed(options, &error))
}

fn failed(options: &OtlpOptions, error: &io::Error) -> OpenError {
    OpenError::Collector { endpoint: options.endpoint.to_string(), reason: error.to_string() }
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

    /// Makes a new connection before the next request, by what the files now hold.
    fn reopen(&mut self) -> Result<(), OpenError> {
        check(&self.options)?;
        self.anew.store(true, Ordering::Relaxed);
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
