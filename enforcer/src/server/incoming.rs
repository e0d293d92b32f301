//! Clients that come in by TCP: so many at once and no more, whatever is out there. Hands are shaken beside each other, within a time.

use std::future::Future;
use std::io;
use std::net::TcpListener;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::transport::server::Connected;

use super::tls::Tls;

/// Clients of one listener at once; further ones wait.
const CONNECTIONS: usize = 256;
/// Time for a handshake.
const PATIENCE: Duration = Duration::from_secs(10);
/// Connections that wait to be served.
const READY: usize = 16;
/// After an accept that failed: of descriptors, some may be free again.
const PAUSE: Duration = Duration::from_millis(100);

/// The connection to a client who has been let in.
#[derive(Debug)]
pub(super) struct Held<S> {
    stream: S,
    /// Given back when the connection ends.
    _place: OwnedSemaphorePermit,
}

/// Connections of one listener.
pub(super) type Incoming<S> = ReceiverStream<io::Result<Held<S>>>;

/// Clients as they come.
///
/// # Errors
/// When the listener cannot be used.
pub(super) fn open(listener: TcpListener) -> io::Result<Incoming<TcpStream>> {
    incoming(listener, |stream| async move { Ok(stream) })
}

/// Clients that speak TLS, and are let in by it.
///
/// # Errors
/// When the listener cannot be used.
pub(super) fn encrypted(listener: TcpListener, tls: Arc<Tls>) -> io::Result<Incoming<TlsStream<TcpStream>>> {
    incoming(listener, move |stream| {
        let tls = Arc::clone(&tls);
        async move {
            let config = tls.config().ok_or_else(|| io::Error::other("there is no certificate yet"))?;
            TlsAcceptor::from(config).accept(stream).await
        }
    })
}

fn incoming<S, F>(
    listener: TcpListener,
    shake: impl Fn(TcpStream) -> F + Send + Sync + 'static,
) -> io::Result<Incoming<S>>
where
    S: Send + 'static,
    F: Future<Output = io::Result<S>> + Send + 'static,
{
    let (ready, taken) = mpsc::channel(READY);
    tokio::spawn(accept(tokio::net::TcpListener::from_std(listener)?, shake, ready));
    Ok(ReceiverStream::new(taken))
}

/// Takes clients as long as somebody takes them from here.
async fn accept<S, F>(
    listener: tokio::net::TcpListener,
    shake: impl Fn(TcpStream) -> F,
    ready: mpsc::Sender<io::Result<Held<S>>>,
) where
    S: Send + 'static,
    F: Future<Output = io::Result<S>> + Send + 'static,
{
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        let next = async {
            let place = Arc::clone(&places).acquire_owned().await.map_err(io::Error::other)?;
            let (stream, _) = listener.accept().await?;
            stream.set_nodelay(true)?;
            Ok((stream, place))
        };
        let next: io::Result<_> = tokio::select! {
            next = next => next,
            () = ready.closed() => return,
        };
        match next {
            Ok((stream, place)) => {
                let client = stream.peer_addr().map(|address| address.to_string()).unwrap_or_default();
                tokio::spawn(let_in(client, shake(stream), place, ready.clone()));
            }
            Err(error) => {
                tracing::debug!("a client could not be taken: {error}");
                tokio::time::sleep(PAUSE).await;
            }
        }
    }
}

async fn let_in<S>(
    client: String,
    shaken: impl Future<Output = io::Result<S>>,
    place: OwnedSemaphorePermit,
    ready: mpsc::Sender<io::Result<Held<S>>>,
) {
    match tokio::time::timeout(PATIENCE, shaken).await {
        Ok(Ok(stream)) => {
            if ready.send(Ok(Held { stream, _place: place })).await.is_err() {
                tracing::debug!("{client} came too late");
            }
        }
        Ok(Err(error)) => tracing::debug!("{client} is not let in: {error}"),
        Err(_elapsed) => tracing::debug!("{client} is not let in: the handshake took too long"),
    }
}

impl<S> Connected for Held<S> {
    type ConnectInfo = ();

    fn connect_info(&self) -> Self::ConnectInfo {}
}

impl<S: AsyncRead + Unpin> AsyncRead for Held<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Held<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
