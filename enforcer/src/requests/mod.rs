//! Requests that policies make through the daemon: `GetUrl` and `DnsLookup`.
//!
//! Off unless `--allow-policy-requests` is given: an agent that sends requests from every node on a policy's word is a way out of the node, and a hammer. What is asked
//! for waits in a queue with a bound, a few are made at a time, each within a limit of time; answers are not looked at, and no redirect is followed.

mod dns;
mod http;
mod tls;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Semaphore, mpsc};
use tracing_policy::policy::Request;

use tls::Trust;

/// Requests that wait at most; more are dropped and counted.
const QUEUE: usize = 256;
/// Requests that are made at a time.
const AT_ONCE: usize = 4;
/// How long one may take.
const LIMIT: Duration = Duration::from_secs(5);

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
enum RequestError {
    #[error("{0}")]
    Io(#[from] std::io::Error),
    #[error("{0}")]
    Http(#[from] hyper::Error),
    #[error("no request can be made of it: {0}")]
    Form(#[from] hyper::http::Error),
    #[error("no encryption with it: {0}")]
    Tls(#[from] rustls::Error),
    #[error("a server of that name cannot prove who it is")]
    NoServerName,
    #[error(
        "this machine has no authorities to trust, in SSL_CERT_FILE, SSL_CERT_DIR or /etc/ssl/certs: {0}"
    )]
    NobodyToTrust(String),
    #[error("no answer within {} s", LIMIT.as_secs())]
    Late,
}

/// What became of requests.
#[derive(Debug, Default)]
pub struct RequestCounters {
    /// Answered.
    pub made: AtomicU64,
    /// Not answered in time, or with an error.
    pub failed: AtomicU64,
    /// Not made, because too many waited.
    pub dropped: AtomicU64,
}

/// Takes requests.
#[derive(Clone, Debug)]
pub struct Requests {
    queue: mpsc::Sender<Request>,
    counters: Arc<RequestCounters>,
}

impl Requests {
    /// Starts the thread that makes them; names are asked of `resolver`. It ends when all who may ask are gone.
    ///
    /// # Errors
    /// When there can be no thread.
    pub fn start(resolver: SocketAddr) -> std::io::Result<Self> {
        Self::start_trusting(resolver, Trust::default())
    }

    fn start_trusting(resolver: SocketAddr, trust: Trust) -> std::io::Result<Self> {
        let (queue, requests) = mpsc::channel(QUEUE);
        let counters = Arc::new(RequestCounters::default());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let counted = Arc::clone(&counters);
        std::thread::Builder::new().name("requests".to_owned()).spawn(move || {
            runtime.block_on(make_all(requests, resolver, Arc::new(trust), &counted));
            runtime.shutdown_background();
        })?;
        Ok(Self { queue, counters })
    }

    /// Asks, unless too much waits.
    pub fn ask(&self, request: &Request) {
        if self.queue.try_send(request.clone()).is_err() {
            self.counters.dropped.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What became of them.
    pub fn counters(&self) -> &RequestCounters {
        &self.counters
    }
}

async fn make_all(
    mut requests: mpsc::Receiver<Request>,
    resolver: SocketAddr,
    trust: Arc<Trust>,
    counters: &Arc<RequestCounters>,
) {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    while let Some(request) = requests.recv().await {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let (counters, trust) = (Arc::clone(counters), Arc::clone(&trust));
        tokio::spawn(async move {
            let made = tokio::time::timeout(LIMIT, make(&request, resolver, &trust)).await;
            match made.unwrap_or(Err(RequestError::Late)) {
                Ok(()) => counters.made.fetch_add(1, Ordering::Relaxed),
                Err(error) => {
                    tracing::debug!(?request, "a policy's request failed: {error}");
                    counters.failed.fetch_add(1, Ordering::Relaxed)
                }
            };
            drop(place);
        });
    }
}

async fn make(request: &Request, resolver: SocketAddr, trust: &Trust) -> Result<(), RequestError> {
    match request {
        Request::Get(url) => http::get(url, trust).await,
        Request::Lookup(name) => dns::look_up(name, resolver).await,
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpListener, UdpSocket};
    use std::sync::atomic::Ordering;
    use std::time::{Duration, Instant};

    use tracing_policy::policy::{HostName, Request, Url};

    use super::{QUEUE, Requests};

    const LONG: Option<Duration> = Some(Duration::from_mins(1));

    fn wait_for(what: impl Fn() -> bool) {
        let start = Instant::now();
        while !what() {
            assert!(start.elapsed() < Duration::from_mins(1));
            std::thread::yield_now();
        }
    }

    // proves: ACT-09 (GetUrl)
    #[test]
    fn a_url_is_fetched_once_and_a_redirect_is_not_followed() {
        let server = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = server.local_addr().unwrap();
        let requests = Requests::start("127.0.0.1:9".parse().unwrap()).unwrap();
        let url = Url::new(&format!("http://{address}/a/b?c=d")).unwrap();
        requests.ask(&Request::Get(url));
        let (mut stream, _) = server.accept().unwrap();
        stream.set_read_timeout(LONG).unwrap();
        let mut text = Vec::new();
        let mut byte = [0];
        while !text.ends_with(b"\r\n\r\n") {
            stream.read_exact(&mut byte).unwrap();
            text.push(byte[0]);
        }
        let text = String::from_utf8(text).unwrap().to_ascii_lowercase();
        assert!(text.starts_with("get /a/b?c=d http/1.1\r\n"), "{text}");
        assert!(text.contains(&format!("\r\nhost: {address}\r\n")), "{text}");
        let answer =
            format!("HTTP/1.1 302 Found\r\nLocation: http://{address}/again\r\nContent-Length: 0\r\n\r\n");
        stream.write_all(answer.as_bytes()).unwrap();
        wait_for(|| requests.counters().made.load(Ordering::Relaxed) == 1);
        drop(requests);
        server.set_nonblocking(true).unwrap();
        assert!(server.accept().is_err(), "the redirect was followed");
    }

    // proves: ACT-09 (DnsLookup)
    #[test]
    fn a_name_is_asked_of_the_resolver() {
        let server = UdpSocket::bind("127.0.0.1:0").unwrap();
        server.set_read_timeout(LONG).unwrap();
        let requests = Requests::start(server.local_addr().unwrap()).unwrap();
        requests.ask(&Request::Lookup(HostName::new("www.example.com").unwrap()));
        let mut question = [0; 512];
        let (length, from) = server.recv_from(&mut question).unwrap();
        let expected = b"\x01\x00\0\x01\0\0\0\0\0\0\x03www\x07example\x03com\0\0\x01\0\x01";
        assert_eq!(&question[2..length], expected);
        // an answer to another question first
        let mut other = question;
        other[0] ^= 1;
        server.send_to(&other[..length], from).unwrap();
        server.send_to(&question[..length], from).unwrap();
        wait_for(|| requests.counters().made.load(Ordering::Relaxed) == 1);
    }

    #[test]
    fn what_is_refused_fails_and_a_flood_is_dropped() {
        let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
        let requests = Requests::start(closed).unwrap();
        let url = Request::Get(Url::new(&format!("http://{closed}/")).unwrap());
        for _ in 0..1000 * QUEUE {
            requests.ask(&url);
        }
        let counters = requests.counters();
        assert!(counters.dropped.load(Ordering::Relaxed) > 0);
        wait_for(|| counters.failed.load(Ordering::Relaxed) > 0);
        assert_eq!(counters.made.load(Ordering::Relaxed), 0);
    }
}
