//! Events as OpenTelemetry logs, sent to a collector by OTLP over gRPC or HTTP.
//!
//! In: events, which become JSON lines in a bounded queue. Out: batches of log records, made of those lines by the thread that sends them.
//!
//! Invariants:
//! - An event is counted once: as written when the collector has taken it, as dropped when the collector refuses it, when there is no room,
//!   or when the time to send it is over.
//! - Nobody waits for the collector but the thread that sends.
//! - What a field filter takes out of the JSON is in no attribute either.
//! - What a collector says is told without the values of our headers.

mod client;
mod connector;
mod endpoint;
mod grpc;
mod headers;
mod http;
mod pause;
mod queue;
mod record;
mod sender;
mod sink;
mod tls;

pub use client::Compression;
pub use endpoint::{Endpoint, EndpointError, Protocol};
pub use headers::{Headers, HeadersError};
pub use sink::{OtlpOptions, OtlpSink};
pub use tls::{Identity, TlsFiles};
