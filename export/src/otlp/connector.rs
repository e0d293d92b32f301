//! How connections to a collector are made: to its address, and encrypted where that says so.

use std::io;
use std::sync::Arc;

use hyper_util::rt::TokioIo;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::endpoint::Endpoint;
use super::tls::TlsFiles;

/// What bytes go over.
pub(super) trait Stream: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Stream for T {}

/// A connection, as hyper takes it.
pub(super) type Connection = TokioIo<Box<dyn Stream>>;

/// Makes connections to one collector.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    pub(super) endpoint: Endpoint,
    pub(super) tls: TlsFiles,
}

impl Connector {
    /// Says what would keep any connection from being made, wherever the collector is.
    ///
    /// # Errors
    /// Files cannot be used, or no certificate can have the collector's name.
    pub(super) fn check(&self) -> io::Result<()> {
        if self.endpoint.is_encrypted() {
            self.encryption()?;
        }
        Ok(())
    }

    /// Connects, and shakes hands with what the files hold now.
    pub(super) async fn connect(self) -> io::Result<Connection> {
        let stream = TcpStream::connect((self.endpoint.host(), self.endpoint.port())).await?;
        stream.set_nodelay(true)?;
        if !self.endpoint.is_encrypted() {
            return Ok(TokioIo::new(Box::new(stream)));
        }
        let (connector, name) = self.encryption()?;
        let stream = connector.connect(name, stream).await?;
        Ok(TokioIo::new(Box::new(stream)))
    }

    fn encryption(&self) -> io::Result<(TlsConnector, ServerName<'static>)> {
        let name = ServerName::try_from(self.endpoint.host().to_owned()).map_err(io::Error::other)?;
        let config = self.tls.read(self.endpoint.protocol().alpn()).map_err(io::Error::other)?;
        Ok((TlsConnector::from(Arc::new(config)), name))
    }
}
