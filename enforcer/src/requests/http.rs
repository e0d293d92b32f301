//! Fetching a URL.

use hyper::Request;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tracing_policy::policy::Url;

use super::RequestError;

/// Fetches it, and looks at nothing but that there is an answer.
pub(super) async fn get(url: &Url) -> Result<(), RequestError> {
    let stream = TcpStream::connect((url.host(), url.port())).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let host = if url.host().contains(':') { format!("[{}]", url.host()) } else { url.host().to_owned() };
    let host = if url.port() == 80 { host } else { format!("{host}:{}", url.port()) };
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
