//! The small HTTP server that shows the metrics.

use std::io;
use std::net::SocketAddr;

use axum::Router;
use axum::http::header::CONTENT_TYPE;
use axum::routing::get;
use tokio_util::sync::CancellationToken;

use super::observed::Observed;
use super::socket::{BindError, TcpSocket};
use crate::metrics;

const TEXT: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// The metrics server, bound and not yet serving.
#[derive(Debug)]
pub struct MetricsServer {
    socket: TcpSocket,
}

impl MetricsServer {
    /// Binds the address.
    ///
    /// # Errors
    /// [`BindError::Tcp`].
    pub fn bind(address: SocketAddr) -> Result<Self, BindError> {
        Ok(Self { socket: TcpSocket::bind(address)? })
    }

    /// Where it is.
    pub const fn address(&self) -> SocketAddr {
        self.socket.address()
    }

    /// Serves `/metrics` until `stop`.
    ///
    /// # Errors
    /// When the listener cannot be used.
    pub async fn serve(self, observed: Observed, stop: CancellationToken) -> io::Result<()> {
        let listener = tokio::net::TcpListener::from_std(self.socket.listener()?)?;
        let answer = move || {
            let text = metrics::text(&observed);
            async move { ([(CONTENT_TYPE, TEXT)], text) }
        };
        let pages = Router::new().route("/metrics", get(answer));
        axum::serve(listener, pages).with_graceful_shutdown(stop.cancelled_owned()).await
    }
}
