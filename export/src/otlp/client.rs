//! The connection to a collector.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use opentelemetry_proto::tonic::collector::logs::v1::logs_service_client::LogsServiceClient;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Uri};

use crate::sink::OpenError;

/// Where collectors listen for gRPC.
const PORT: u16 = 4317;
/// How often a silent connection is asked whether somebody is there.
const ASK: Duration = Duration::from_secs(30);
/// How long the answer to that may take.
const ANSWER: Duration = Duration::from_secs(10);
/// Larger than any file with certificates.
const MAX_FILE: u64 = 1 << 20;
/// An answer holds a number and a sentence.
const MAX_ANSWER: usize = 64 << 10;

pub(super) type Client = LogsServiceClient<Channel>;

/// Address of a collector: `http://HOST:PORT` or `https://HOST:PORT`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint(Uri);

/// Why a text is no address of a collector.
#[derive(Debug, thiserror::Error)]
#[error("expected http://HOST:PORT or https://HOST:PORT of a collector that takes OTLP over gRPC")]
pub struct EndpointError;

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        let uri: Uri = text.parse().map_err(|_no_uri| EndpointError)?;
        let (Some(scheme @ ("http" | "https")), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(EndpointError);
        };
        let is_bare = uri.path() == "/" && uri.query().is_none() && !authority.as_str().contains('@');
        if !is_bare || authority.host().is_empty() {
            return Err(EndpointError);
        }
        let port = authority.port_u16().unwrap_or(PORT);
        let whole = format!("{scheme}://{}:{port}", authority.host());
        whole.parse().map(Self).map_err(|_no_uri| EndpointError)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let authority = self.0.authority().map_or("", |authority| authority.as_str());
        write!(formatter, "{}://{authority}", self.0.scheme_str().unwrap_or_default())
    }
}

impl Endpoint {
    /// Whether what is sent there can be read on the way: it is not encrypted and leaves the machine.
    pub fn is_open(&self) -> bool {
        let host = self.0.host().unwrap_or_default().trim_matches(['[', ']']);
        let is_here = host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback());
        !self.is_encrypted() && !is_here
    }

    fn is_encrypted(&self) -> bool {
        self.0.scheme_str() == Some("https")
    }

    /// A client that connects when it is first used, and again whenever it has to. To be called where tokio runs.
    ///
    /// # Errors
    /// [`OpenError::Collector`] where the `authorities` cannot be used.
    pub(super) fn client(&self, authorities: Option<&Path>, timeout: Duration) -> Result<Client, OpenError> {
        let failed = |reason: String| OpenError::Collector { endpoint: self.to_string(), reason };
        let mut channel = Channel::builder(self.0.clone())
            .connect_timeout(timeout)
            .http2_keep_alive_interval(ASK)
            .keep_alive_timeout(ANSWER);
        if self.is_encrypted() {
            let trust = match authorities {
                Some(path) => ClientTlsConfig::new().ca_certificate(certificates(path).map_err(failed)?),
                None => ClientTlsConfig::new().with_native_roots(),
            };
            channel = channel.tls_config(trust).map_err(|error| failed(why(&error)))?;
        }
        Ok(LogsServiceClient::new(channel.connect_lazy()).max_decoding_message_size(MAX_ANSWER))
    }
}

/// The certificates of a PEM file, one at least.
fn certificates(path: &Path) -> Result<Certificate, String> {
    let mut pem = Vec::new();
    let read = |pem: &mut Vec<u8>| -> io::Result<usize> { File::open(path)?.take(MAX_FILE).read_to_end(pem) };
    read(&mut pem).map_err(|error| format!("{}: {error}", path.display()))?;
    if !String::from_utf8_lossy(&pem).contains("-----BEGIN CERTIFICATE-----") {
        return Err(format!("{}: no certificate in it", path.display()));
    }
    Ok(Certificate::from_pem(pem))
}

/// An error with what it comes from: the first of tonic's only say that something failed.
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

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::Endpoint;

    #[test]
    fn an_address_has_a_scheme_a_host_and_nothing_secret() {
        for (text, address, open) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318", false),
            ("http://localhost", "http://localhost:4317", false),
            ("https://[::1]:1/", "https://[::1]:1", false),
            ("http://[::1]", "http://[::1]:4317", false),
            ("http://otel.example", "http://otel.example:4317", true),
            ("https://otel.example", "https://otel.example:4317", false),
        ] {
            let endpoint: Endpoint = text.parse().unwrap();
            assert_eq!((endpoint.to_string().as_str(), endpoint.is_open()), (address, open));
        }
        let wrong = ["", "otel:4317", "ftp://a", "http://", "http://u:p@a", "http://a/v1/logs", "http://a?b"];
        for text in wrong {
            assert!(text.parse::<Endpoint>().is_err(), "{text}");
        }
    }
}
