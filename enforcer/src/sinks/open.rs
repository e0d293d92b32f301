//! Opens what the settings ask for.

use std::io;
use std::sync::Arc;
use std::time::Instant;

use api::event::Node;
use api::filter::Aggregation;
use export::json::{FileSink, StdoutSink};
use export::otlp::OtlpSink;
use export::sink::{OpenError, Sink};
use export::{Limit, Shape, Shaped};

use super::{EventLog, SinkThread};
use crate::config::{ExportSettings, ExportTarget};
use crate::pipeline::{Hub, Subscribe};

/// Why no events can be exported.
#[derive(Debug, thiserror::Error)]
pub enum ExportError {
    /// A sink does not open.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// No thread for one.
    #[error("no thread could be started: {0}")]
    Thread(io::Error),
}

/// The sinks that write, and how to change the export file's.
type Sinks = (Vec<SinkThread>, Option<EventLog>);

/// Opens the sinks, each behind a queue of so many events of `hub`.
pub(crate) fn open(
    settings: &ExportSettings,
    queue: usize,
    hub: &Hub,
    node: &Arc<Node>,
) -> Result<Sinks, ExportError> {
    let start = |name: &str, sink: Box<dyn Sink>| {
        let filter = settings.events.clone();
        let subscribe = Subscribe { name: name.to_owned(), capacity: queue, filter };
        SinkThread::start(sink, hub.subscribe(subscribe)).map_err(ExportError::Thread)
    };
    let (mut threads, mut log) = (Vec::new(), None);
    match &settings.target {
        Some(ExportTarget::File(path)) => {
            let sink = FileSink::open(path, settings.file.clone())?;
            let rotation = sink.rotation();
            let thread = start("export", shaped(settings, sink, node))?;
            log = Some(EventLog::new(rotation, thread.nudge()));
            threads.push(thread);
        }
        Some(ExportTarget::Stdout) => {
            let sink = StdoutSink::open(settings.file.fields.clone(), settings.file.form)?;
            threads.push(start("export", shaped(settings, sink, node))?);
        }
        None => {}
    }
    if let Some(collector) = &settings.collector {
        if collector.endpoint.is_open() {
            tracing::warn!(
                "events go to {} without encryption: whoever is on the way can read them",
                collector.endpoint
            );
        }
        let sink = OtlpSink::open(collector.clone(), node)?;
        threads.push(start("otlp", shaped(settings, sink, node))?);
    }
    Ok((threads, log))
}

/// A sink behind the rate and the aggregation that are asked for, of its own.
fn shaped<S: Sink + 'static>(settings: &ExportSettings, sink: S, node: &Arc<Node>) -> Box<dyn Sink> {
    let shape = Shape {
        aggregation: settings.aggregation.map(|how| Aggregation::new(how.window, how.held)),
        limit: settings.rate_limit.map(|limit| Limit::new(limit, Instant::now())),
    };
    Box::new(Shaped::new(sink, shape, Arc::clone(node)))
}
