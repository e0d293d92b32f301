//! Where a collector is, and how it is spoken to.

use std::fmt;
use std::net::IpAddr;

use tonic::codegen::http::uri::PathAndQuery;
use tonic::transport::Uri;

/// Where collectors listen for gRPC.
const GRPC_PORT: u16 = 4317;
/// What takes logs, below a collector's own path: <https://opentelemetry.io/docs/specs/otlp/#otlphttp-request>.
const LOGS: &str = "/v1/logs";

/// How a collector is spoken to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Protocol {
    /// By gRPC.
    #[default]
    Grpc,
    /// By HTTP 1.1, with protobuf in the bodies.
    Http,
}

impl Protocol {
    /// All, by the names that they are asked for.
    pub const NAMES: [(&'static str, Self); 2] = [("grpc", Self::Grpc), ("http/protobuf", Self::Http)];

    /// The name that it is asked for.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Grpc => "grpc",
            Self::Http => "http/protobuf",
        }
    }

    /// As the handshake of an encrypted connection calls it.
    pub(super) const fn alpn(self) -> &'static [u8] {
        match self {
            Self::Grpc => b"h2",
            Self::Http => b"http/1.1",
        }
    }
}

/// Address of a collector: `http://HOST:PORT` or `https://HOST:PORT`, for HTTP with its path, in which some vendors have a token: it is not shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Endpoint {
    uri: Uri,
    protocol: Protocol,
}

/// Why a text is no address of a collector.
#[derive(Debug, thiserror::Error)]
#[error(
    "expected http://HOST:PORT or https://HOST:PORT of a collector; it has a path only for http/protobuf"
)]
pub struct EndpointError;

impl Endpoint {
    /// Reads an address. Without a port it is 4317 for gRPC, and that of the scheme for HTTP.
    ///
    /// # Errors
    /// The text is no such address, or has a user and password.
    pub fn new(text: &str, protocol: Protocol) -> Result<Self, EndpointError> {
        let uri: Uri = text.parse().map_err(|_no_uri| EndpointError)?;
        let (Some(scheme @ ("http" | "https")), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
            return Err(EndpointError);
        };
        if uri.query().is_some() || authority.as_str().contains('@') || authority.host().is_empty() {
            return Err(EndpointError);
        }
        let own = uri.path().trim_end_matches('/');
        let (path, usual) = match protocol {
            Protocol::Grpc if !own.is_empty() => return Err(EndpointError),
            Protocol::Grpc => (String::new(), GRPC_PORT),
            Protocol::Http => (
                format!("{}{LOGS}", own.strip_suffix(LOGS).unwrap_or(own)),
                if scheme == "https" { 443 } else { 80 },
            ),
        };
        let port = authority.port_u16().unwrap_or(usual);
        let whole = format!("{scheme}://{}:{port}{path}", authority.host());
        Ok(Self { uri: whole.parse().map_err(|_no_uri| EndpointError)?, protocol })
    }

    /// How it is spoken to.
    pub fn protocol(&self) -> Protocol {
        self.protocol
    }

    /// Whether what is sent there is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.uri.scheme_str() == Some("https")
    }

    /// Whether what is sent there can be read on the way: it is not encrypted and leaves the machine.
    pub fn is_open(&self) -> bool {
        let host = self.host();
        let is_here = host == "localhost" || host.parse().is_ok_and(|ip: IpAddr| ip.is_loopback());
        !self.is_encrypted() && !is_here
    }

    /// Its name or number, without the brackets of IPv6.
    pub(super) fn host(&self) -> &str {
        self.uri.host().unwrap_or_default().trim_matches(['[', ']'])
    }

    pub(super) fn port(&self) -> u16 {
        self.uri.port_u16().unwrap_or_default()
    }

    /// Host and port.
    pub(super) fn authority(&self) -> &str {
        self.uri.authority().map_or("", |authority| authority.as_str())
    }

    pub(super) fn uri(&self) -> &Uri {
        &self.uri
    }

    /// What takes the logs there, for HTTP.
    pub(super) fn path(&self) -> Uri {
        self.uri.path_and_query().map_or_else(Uri::default, |path: &PathAndQuery| path.clone().into())
    }
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, formatter)
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}://{}", self.uri.scheme_str().unwrap_or_default(), self.authority())
    }
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::{Endpoint, Protocol};

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
            let endpoint = Endpoint::new(text, Protocol::Grpc).unwrap();
            assert_eq!((endpoint.to_string().as_str(), endpoint.is_open()), (address, open));
        }
        let wrong = ["", "otel:4317", "ftp://a", "http://", "http://u:p@a", "http://a/v1/logs", "http://a?b"];
        for text in wrong {
            assert!(Endpoint::new(text, Protocol::Grpc).is_err(), "{text}");
        }
    }

    #[test]
    fn for_http_it_may_have_a_path_which_is_not_shown_and_logs_are_below_it() {
        for (text, address, path) in [
            ("http://127.0.0.1:4318", "http://127.0.0.1:4318", "/v1/logs"),
            ("http://otel.example/", "http://otel.example:80", "/v1/logs"),
            ("https://otel.example/secret/", "https://otel.example:443", "/secret/v1/logs"),
            ("https://otel.example/v1/logs", "https://otel.example:443", "/v1/logs"),
        ] {
            let endpoint = Endpoint::new(text, Protocol::Http).unwrap();
            assert_eq!(
                (endpoint.to_string().as_str(), endpoint.path().to_string().as_str()),
                (address, path)
            );
        }
        for text in ["http://u:p@a/v1/logs", "http://a/?token=x"] {
            assert!(Endpoint::new(text, Protocol::Http).is_err(), "{text}");
        }
    }
}
