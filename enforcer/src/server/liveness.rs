//! The service that tells orchestrators whether the daemon lives: gRPC's standard one, on a port of its own, without encryption. It tells
//! nothing else and changes nothing.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use tonic_health::ServingStatus;

use super::incoming;
use super::socket::{BindError, TcpSocket};
use crate::config::{HealthSettings, Wish};
use crate::policy::Policies;

/// The name that upstream's probes ask for.
const SERVICE: &str = "liveness";
/// Requests that are answered at once; further ones wait.
const AT_ONCE: u32 = 16;
/// A probe makes a connection and leaves it; one who stays takes the place of others.
const CONNECTION_AGE: Duration = Duration::from_mins(5);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// The health server, bound and not yet serving.
#[derive(Debug)]
pub struct HealthServer {
    socket: TcpSocket,
    interval: Duration,
}

impl HealthServer {
    /// Binds the address. Where it is only the default, and another has it, there is no such server.
    ///
    /// # Errors
    /// [`BindError::Tcp`].
    pub fn bind(settings: HealthSettings) -> Result<Option<Self>, BindError> {
        match bind(settings.address) {
            Ok(socket) => Ok(Some(Self { socket, interval: settings.interval })),
            Err(BindError::Tcp { source, .. }) if settings.wish == Wish::Default => {
                tracing::warn!(
                    "there is no health service: {}: {source}; --health-server-address names another address, or none",
                    settings.address
                );
                Ok(None)
            }
            Err(error) => Err(error),
        }
    }

    /// Where it is.
    pub const fn address(&self) -> SocketAddr {
        self.socket.address()
    }

    /// Serves until `stop`; lives as long as policies can be changed.
    ///
    /// # Errors
    /// When the listener cannot be used.
    pub async fn serve(self, policies: Policies, stop: CancellationToken) -> io::Result<()> {
        let (reporter, service) = tonic_health::server::health_reporter();
        let tell = async || {
            let status =
                if policies.are_served() { ServingStatus::Serving } else { ServingStatus::NotServing };
            reporter.set_service_status("", status).await;
            reporter.set_service_status(SERVICE, status).await;
        };
        // before anybody can ask
        tell().await;
        let mut tick = tokio::time::interval(self.interval);
        let watch = async {
            loop {
                tick.tick().await;
                tell().await;
            }
        };
        let incoming = incoming::open(self.socket.listener()?)?;
        let served = Server::builder()
            .max_concurrent_streams(AT_ONCE)
            .max_connection_age(CONNECTION_AGE)
            .timeout(PATIENCE)
            .add_service(service)
            .serve_with_incoming_shutdown(incoming, stop.cancelled_owned());
        tokio::select! {
            served = served => served.map_err(io::Error::other),
            () = watch => Ok(()),
        }
    }
}

/// Binds; every address is those of IPv4 where the machine has no other.
fn bind(address: SocketAddr) -> Result<TcpSocket, BindError> {
    let without_ipv6 = |error: &io::Error| error.raw_os_error() == Some(libc::EAFNOSUPPORT);
    match TcpSocket::bind(address) {
        Err(BindError::Tcp { source, .. }) if without_ipv6(&source) && address.ip().is_unspecified() => {
            TcpSocket::bind((Ipv4Addr::UNSPECIFIED, address.port()).into())
        }
        bound => bound,
    }
}
