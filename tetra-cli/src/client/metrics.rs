//! The daemon's page of metrics.

use std::io::{self, Read as _, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

/// How long to wait for each step of the connection.
const PATIENCE: Duration = Duration::from_secs(5);
/// Largest page that is read, in bytes.
const LIMIT: u64 = 64 << 20;

/// There is no page.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MetricsError {
    /// The daemon serves none.
    #[error("the daemon serves no metrics; start it with --metrics-server")]
    Off,
    /// No connection, or one that broke.
    #[error("cannot read the metrics at {address}: {source}")]
    Read {
        /// Where.
        address: String,
        /// Why not.
        source: io::Error,
    },
    /// Another answer than a page.
    #[error("{address} answers {answer:?} instead of metrics; is it the daemon?")]
    Answer {
        /// Where.
        address: String,
        /// First line of the answer.
        answer: String,
    },
}

/// The page that the server at `address` (HOST:PORT, or :PORT of this machine) has.
pub(crate) fn metrics_page(address: &str) -> Result<String, MetricsError> {
    if address.is_empty() {
        return Err(MetricsError::Off);
    }
    let host = if address.starts_with(':') { format!("127.0.0.1{address}") } else { address.to_owned() };
    let answer = get(&host).map_err(|source| MetricsError::Read { address: host.clone(), source })?;
    let answer = String::from_utf8_lossy(&answer);
    let (head, page) = answer.split_once("\r\n\r\n").unwrap_or((&answer, ""));
    let status = head.lines().next().unwrap_or_default();
    if status.split(' ').nth(1) == Some("200") {
        Ok(page.to_owned())
    } else {
        Err(MetricsError::Answer { address: host, answer: status.chars().take(80).collect() })
    }
}

fn get(host: &str) -> io::Result<Vec<u8>> {
    let address = host.to_socket_addrs()?.next().ok_or(io::ErrorKind::AddrNotAvailable)?;
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    // Of this version the answer is not cut into chunks, and ends with the connection.
    stream.write_all(
        format!("GET /metrics HTTP/1.0\r\nHost: {host}\r\nAccept: text/plain\r\n\r\n").as_bytes(),
    )?;
    let mut answer = Vec::new();
    stream.take(LIMIT).read_to_end(&mut answer)?;
    Ok(answer)
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use std::io::{Read as _, Write as _};
    use std::net::TcpListener;
    use std::thread;

    use super::metrics_page;

    fn answered(answer: &'static str) -> Result<String, String> {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let server = thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let asked = stream.read(&mut [0; 512]).unwrap();
            stream.write_all(answer.as_bytes()).unwrap();
            asked
        });
        let page = metrics_page(&format!(":{}", address.port())).map_err(|error| error.to_string());
        assert!(server.join().unwrap() > 0);
        page
    }

    #[test]
    fn a_page_is_what_follows_a_good_head() {
        assert_eq!(answered("HTTP/1.0 200 OK\r\nA: b\r\n\r\nx 1\n"), Ok("x 1\n".to_owned()));
        let error = answered("HTTP/1.0 404 Not Found\r\n\r\n").unwrap_err();
        assert!(error.contains("404 Not Found"), "{error}");
        assert!(metrics_page("").unwrap_err().to_string().contains("--metrics-server"));
    }
}
