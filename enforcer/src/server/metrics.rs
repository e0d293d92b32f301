//! The metrics page, and the small HTTP server that shows it.

use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpListener};

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, MetricEncoder};
use prometheus_client::metrics::MetricType;
use prometheus_client::registry::Registry;
use tokio_util::sync::CancellationToken;

use super::observed::Observed;
use super::page::{Metric, MetricKind, page};
use super::socket::BindError;

const TEXT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The metrics server, bound and not yet serving.
#[derive(Debug)]
pub struct MetricsServer {
    listener: TcpListener,
    address: SocketAddr,
}

impl MetricsServer {
    /// Binds the address.
    ///
    /// # Errors
    /// [`BindError::Tcp`].
    pub fn bind(address: SocketAddr) -> Result<Self, BindError> {
        let bind = || {
            let listener = TcpListener::bind(address)?;
            listener.set_nonblocking(true)?;
            let address = listener.local_addr()?;
            Ok(Self { listener, address })
        };
        bind().map_err(|source| BindError::Tcp { address, source })
    }

    /// Where it is.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves `/metrics` until `stop`.
    ///
    /// # Errors
    /// When the listener cannot be used.
    pub async fn serve(self, observed: Observed, stop: CancellationToken) -> io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(self.listener)?;
        let answer = move || {
            let text = metrics_text(&observed);
            async move { ([(CONTENT_TYPE, TEXT)], text) }
        };
        let pages = Router::new().route("/metrics", get(answer));
        axum::serve(listener, pages).with_graceful_shutdown(stop.cancelled_owned()).await
    }
}

/// All metrics as text.
pub fn metrics_text(observed: &Observed) -> String {
    let mut registry = Registry::default();
    registry.register_collector(Box::new(Page(page(observed))));
    let mut text = String::new();
    if let Err(error) = encode(&mut text, &registry) {
        tracing::error!("the metrics could not be written: {error}");
    }
    text
}

/// A page that is encoded once.
#[derive(Debug)]
struct Page(Vec<Metric>);

impl Collector for Page {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        for metric in &self.0 {
            let kind = match metric.kind {
                MetricKind::Counter => MetricType::Counter,
                MetricKind::Gauge => MetricType::Gauge,
            };
            let mut family = encoder.encode_descriptor(metric.name, metric.help, None, kind)?;
            for (labels, value) in &metric.samples {
                if labels.is_empty() {
                    write_value(&mut family, metric.kind, *value)?;
                } else {
                    write_value(&mut family.encode_family(labels)?, metric.kind, *value)?;
                }
            }
        }
        Ok(())
    }
}

fn write_value(sample: &mut MetricEncoder<'_>, kind: MetricKind, value: u64) -> fmt::Result {
    match kind {
        MetricKind::Counter => sample.encode_counter::<Vec<(String, String)>, _, u64>(&value, None),
        MetricKind::Gauge => sample.encode_gauge(&i64::try_from(value).unwrap_or(i64::MAX)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_and_gauges_are_written_with_their_labels() {
        let metric = |kind, name| Metric {
            kind,
            name,
            help: "Help",
            samples: vec![(vec![("a", "x\"y".to_owned())], 7)],
        };
        let mut registry = Registry::default();
        let metrics = vec![metric(MetricKind::Counter, "c"), metric(MetricKind::Gauge, "g")];
        registry.register_collector(Box::new(Page(metrics)));
        let mut text = String::new();
        assert!(encode(&mut text, &registry).is_ok());
        assert!(text.contains("c_total{a=\"x\\\"y\"} 7\n") && text.contains("g{a=\"x\\\"y\"} 7\n"), "{text}");
    }
}
