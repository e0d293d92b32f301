//! What clients see: the gRPC service on its sockets, and the metrics page.
//!
//! Everything here runs on the tokio runtime and only looks ([`Observed`]) or asks ([`crate::policy::Policies`]); it holds no lock across an await,
//! and a slow client costs its own queue only.

mod containers;
mod debug;
mod event_log;
mod events;
mod health;
mod incoming;
mod info;
mod liveness;
mod metrics;
mod observed;
mod policies;
mod processes;
mod service;
mod socket;
mod tls;

pub use crate::sinks::EventLog;
pub use containers::Containers;
pub use events::EventStream;
pub(crate) use health::complaints;
pub use liveness::HealthServer;
pub use metrics::MetricsServer;
pub use observed::{EventLabels, Observed, ProgramMisses};
pub use service::{MAX_REQUEST, Service, serve};
pub use socket::{BindError, BoundSocket, TcpSocket, UnixSocket, bind};
pub use tls::{Tls, TlsError};
