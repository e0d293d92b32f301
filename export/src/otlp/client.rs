//! A collector, by either protocol.

use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsServiceRequest, ExportLogsServiceResponse};

use super::connector::Connector;
use super::endpoint::Protocol;
use super::grpc::Grpc;
use super::http::Http;
use super::sink::OtlpOptions;

/// An answer holds a number and a sentence.
pub(super) const MAX_ANSWER: usize = 64 << 10;

/// How requests are made smaller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Compression {
    /// They are not.
    #[default]
    None,
    /// With gzip.
    Gzip,
}

impl Compression {
    /// All, by the names that they are asked for.
    pub const NAMES: [(&'static str, Self); 2] = [("none", Self::None), ("gzip", Self::Gzip)];

    /// The name that it is asked for.
    pub const fn name(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
        }
    }
}

/// Why a request did not succeed. What it says is foreign text.
#[derive(Debug)]
pub(super) enum Failure {
    /// It may another time, and not before so long.
    Later(String, Option<Duration>),
    /// The collector will never take it.
    Refused(String),
}

/// Sends requests to a collector. It connects when it is first used, and again whenever it has to.
#[derive(Debug)]
pub(super) enum Client {
    Grpc(Grpc),
    Http(Http),
}

impl Client {
    /// To be called where tokio runs.
    pub(super) fn new(options: &OtlpOptions) -> Self {
        let connector = Connector { endpoint: options.endpoint.clone(), tls: options.tls.clone() };
        let headers = options.headers.metadata();
        match options.endpoint.protocol() {
            Protocol::Grpc => Self::Grpc(Grpc::new(connector, headers, options.compression, options.timeout)),
            Protocol::Http => Self::Http(Http::new(connector, headers, options.compression)),
        }
    }

    /// Sends one request.
    ///
    /// # Errors
    /// It did not arrive, or was not taken.
    pub(super) async fn export(
        &mut self,
        message: ExportLogsServiceRequest,
    ) -> Result<ExportLogsServiceResponse, Failure> {
        match self {
            Self::Grpc(grpc) => grpc.export(message).await,
            Self::Http(http) => http.export(message).await,
        }
    }
}

/// An error with what it comes from: the first of tonic's and hyper's only say that something failed.
pub(super) fn why(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let further = error.to_string();
        if !text.ends_with(&further) {
            text = format!("{text}: {further}");
        }
        cause = error.source();
    }
    text
}
