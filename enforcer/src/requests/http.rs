//! Fetching a URL.

use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tracing_policy::policy::{Scheme, Url};

use super::RequestError;
use super::tls::Trust;

/// Fetches it, and looks at nothing but that there is an answer.
pub(super) async fn get(url: &Url, trust: &Trust) -> Result<(), RequestError> {
    let stream = TcpStream::connect((url.host(), url.port())).await?;
    match url.scheme() {
        Scheme::Http => exchange(url, stream).await,
        Scheme::Https => exchange(url, trust.shake_hands(stream, url.host()).await?).await,
    }
}

async fn exchange(
    url: &Url,
    stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static,
) -> Result<(), RequestError> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let host = if url.host().contains(':') { format!("[{}]", url.host()) } else { url.host().to_owned() };
    let host = if url.port() == url.scheme().port() { host } else { format!("{host}:{}", url.port()) };
    let agent = concat!("enforcer/", env!("CARGO_PKG_VERSION"));
    let request = Request::get(url.path())
        .header("host", host)
        .header("user-agent", agent)
        .header("connection", "close")
        .body(String::new())?;
    let driver = tokio::spawn(connection);
    let answer = sender.send_request(request).await;
    driver.abort();
    answer?;
    Ok(())
}
