//! Encryption of what is fetched, and whom to trust with it.

use std::sync::{Arc, OnceLock};

use rustls::pki_types::ServerName;
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::RequestError;

/// The authorities that servers' certificates must come from. They are read when the first request needs them: those of the machine take some hundred kilobytes,
/// and most daemons never make one.
#[derive(Debug, Default)]
pub(super) struct Trust {
    config: OnceLock<Arc<ClientConfig>>,
}

impl Trust {
    /// These authorities, instead of the machine's.
    #[cfg(test)]
    pub(super) fn in_these(roots: RootCertStore) -> Self {
        let config = OnceLock::new();
        // it is empty
        let _first = config.set(Arc::new(configuration(roots).expect("the versions that ring has")));
        Self { config }
    }

    /// Shakes hands with the server of that name, which must prove it.
    pub(super) async fn shake_hands(
        &self,
        stream: TcpStream,
        host: &str,
    ) -> Result<TlsStream<TcpStream>, RequestError> {
        let name = ServerName::try_from(host.to_owned()).map_err(|_no_name| RequestError::NoServerName)?;
        let connector = TlsConnector::from(self.config()?);
        Ok(connector.connect(name, stream).await?)
    }

    fn config(&self) -> Result<Arc<ClientConfig>, RequestError> {
        if let Some(known) = self.config.get() {
            return Ok(Arc::clone(known));
        }
        let found = rustls_native_certs::load_native_certs();
        let mut roots = RootCertStore::empty();
        let (usable, _others) = roots.add_parsable_certificates(found.certs);
        if usable == 0 {
            let why = found.errors.first().map_or_else(|| "there are none".to_owned(), ToString::to_string);
            return Err(RequestError::NobodyToTrust(why));
        }
        let config = Arc::new(configuration(roots)?);
        Ok(Arc::clone(self.config.get_or_init(|| config)))
    }
}

fn configuration(roots: RootCertStore) -> Result<ClientConfig, RequestError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions()?;
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::io::{Read, Write};
    use std::net::{SocketAddr, TcpListener};
    use std::sync::Arc;
    use std::sync::atomic::Ordering;
    use std::thread::{self, JoinHandle};
    use std::time::{Duration, Instant};

    use rustls::pki_types::pem::PemObject;
    use rustls::pki_types::{CertificateDer, PrivateKeyDer};
    use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
    use tracing_policy::policy::{Request, Url};

    use super::Trust;
    use crate::requests::Requests;

    /// A certificate for `localhost` until 2126, its key, and the authority that it comes from; made by `openssl`, of no worth to anybody.
    const SERVER: &[u8] = include_bytes!("../../testdata/tls/server.pem");
    const KEY: &[u8] = include_bytes!("../../testdata/tls/server.key");
    const AUTHORITY: &[u8] = include_bytes!("../../testdata/tls/ca.pem");

    /// Serves one connection; what was asked, or nothing if no hands were shaken.
    fn serve(host: &str) -> (SocketAddr, JoinHandle<Option<String>>) {
        let host = if host == "localhost" { "127.0.0.1" } else { host };
        let listener = TcpListener::bind((host, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let config = ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(
                vec![CertificateDer::from_pem_slice(SERVER).unwrap()],
                PrivateKeyDer::from_pem_slice(KEY).unwrap(),
            )
            .unwrap();
        let served = thread::spawn(move || {
            let (stream, _) = listener.accept().unwrap();
            stream.set_read_timeout(Some(Duration::from_mins(1))).unwrap();
            let mut stream = StreamOwned::new(ServerConnection::new(Arc::new(config)).unwrap(), stream);
            let mut text = Vec::new();
            let mut byte = [0];
            while !text.ends_with(b"\r\n\r\n") {
                stream.read_exact(&mut byte).ok()?;
                text.push(byte[0]);
            }
            stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n").ok()?;
            Some(String::from_utf8(text).unwrap().to_ascii_lowercase())
        });
        (address, served)
    }

    /// What a server hears of a request for a URL by whoever trusts these; whether it was answered.
    fn ask(host: &str, trusted: &[&[u8]]) -> (Option<String>, bool) {
        let mut roots = RootCertStore::empty();
        for authority in trusted {
            roots.add(CertificateDer::from_pem_slice(authority).unwrap()).unwrap();
        }
        let (address, served) = serve(host);
        let requests =
            Requests::start_trusting("127.0.0.1:9".parse().unwrap(), Trust::in_these(roots)).unwrap();
        let url = Url::new(&format!("https://{host}:{}/a?b", address.port())).unwrap();
        requests.ask(&Request::Get(url));
        let counters = requests.counters();
        let start = Instant::now();
        loop {
            let (made, failed) =
                (counters.made.load(Ordering::Relaxed), counters.failed.load(Ordering::Relaxed));
            if made + failed == 1 {
                return (served.join().unwrap(), made == 1);
            }
            assert!(start.elapsed() < Duration::from_mins(1));
            thread::yield_now();
        }
    }

    // proves: ACT-09
    #[test]
    fn a_server_is_asked_in_secret_if_it_proves_its_name_and_else_not_at_all() {
        for host in ["localhost", "127.0.0.1"] {
            let (heard, answered) = ask(host, &[AUTHORITY]);
            let heard = heard.unwrap();
            assert!(heard.starts_with("get /a?b http/1.1\r\n") && answered, "{heard}");
            assert!(heard.contains(&format!("\r\nhost: {host}:")), "{heard}");
        }
        // an authority that nobody trusts, and a name that the certificate does not have
        assert_eq!(ask("localhost", &[]), (None, false));
        assert_eq!(ask("127.0.0.2", &[AUTHORITY]), (None, false));
    }
}
