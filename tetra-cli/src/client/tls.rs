//! Encryption of the connection: TLS 1.3, whom to trust, and what to show.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::args::Connection;

/// Larger than any file with certificates.
const MAX_FILE: u64 = 1 << 20;
/// The protocol of gRPC.
const PROTOCOL: &[u8] = b"h2";

/// Why the connection cannot be encrypted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TlsError {
    /// Half of a pair.
    #[error("--tls-cert-file and --tls-key-file go together; give both or none")]
    Half,
    /// Two answers to one question.
    #[error("--tls-skip-verify trusts everybody; leave --tls-ca-cert-files out, or better --tls-skip-verify")]
    Trust,
    /// A file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A file holds something else.
    #[error("{path}: {reason}")]
    Content {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Nobody is trusted.
    #[error(
        "this machine has no certificates of authorities ({reason}); give those of the daemon's with --tls-ca-cert-files"
    )]
    NobodyToTrust {
        /// What was looked for.
        reason: String,
    },
    /// Not a name that a certificate can have.
    #[error("{name:?} is no name of a server; give the one in its certificate with --tls-server-name")]
    Name {
        /// As given.
        name: String,
    },
    /// The library refuses the combination.
    #[error("the connection cannot be encrypted: {0}")]
    Config(rustls::Error),
}

/// How to encrypt the connection to one server.
#[derive(Clone, Debug)]
pub(super) struct Tls {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

impl Tls {
    /// What the flags ask for, for the server at `host` (with its port); `None`: no encryption.
    pub(super) fn new(connection: &Connection, host: &str) -> Result<Option<Self>, TlsError> {
        if !is_wanted(connection) {
            return Ok(None);
        }
        let provider = Arc::new(ring::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_protocol_versions(&[&rustls::version::TLS13])
            .map_err(TlsError::Config)?;
        let verifier: Arc<dyn ServerCertVerifier> = match connection.tls_skip_verify {
            true if !connection.tls_ca_cert_files.is_empty() => return Err(TlsError::Trust),
            true => Arc::new(Anybody(provider)),
            false => {
                let roots = Arc::new(roots(&connection.tls_ca_cert_files)?);
                WebPkiServerVerifier::builder_with_provider(roots, provider)
                    .build()
                    .map_err(|error| TlsError::Config(rustls::Error::General(error.to_string())))?
            }
        };
        let builder = builder.dangerous().with_custom_certificate_verifier(verifier);
        let mut config = match (&connection.tls_cert_file, &connection.tls_key_file) {
            (None, None) => builder.with_no_client_auth(),
            (Some(certificate), Some(key)) => {
                let chain = certificates(certificate)?;
                let key = PrivateKeyDer::from_pem_slice(&bytes(key)?).map_err(|error| TlsError::Content {
                    path: key.clone(),
                    reason: format!("no private key: {error}"),
                })?;
                builder.with_client_auth_cert(chain, key).map_err(TlsError::Config)?
            }
            _ => return Err(TlsError::Half),
        };
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        let name = connection.tls_server_name.as_deref().unwrap_or_else(|| without_port(host));
        let name = ServerName::try_from(name.to_owned())
            .map_err(|_no_name| TlsError::Name { name: name.to_owned() })?;
        Ok(Some(Self { config: Arc::new(config), name }))
    }

    /// Connects, and shakes hands.
    pub(super) async fn connect(self, host: String) -> io::Result<TlsStream<TcpStream>> {
        let stream = TcpStream::connect(host).await?;
        stream.set_nodelay(true)?;
        TlsConnector::from(self.config).connect(self.name, stream).await
    }
}

/// Whether any of the flags is given.
pub(super) fn is_wanted(connection: &Connection) -> bool {
    connection.tls_cert_file.is_some()
        || connection.tls_key_file.is_some()
        || !connection.tls_ca_cert_files.is_empty()
        || connection.tls_server_name.is_some()
        || connection.tls_skip_verify
}

fn without_port(host: &str) -> &str {
    let name = host.rsplit_once(':').map_or(host, |(name, _)| name);
    name.trim_start_matches('[').trim_end_matches(']')
}

/// The authorities of these files, or the machine's.
fn roots(files: &[PathBuf]) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    for path in files {
        for certificate in certificates(path)? {
            roots
                .add(certificate)
                .map_err(|error| TlsError::Content { path: path.clone(), reason: error.to_string() })?;
        }
    }
    if files.is_empty() {
        let found = rustls_native_certs::load_native_certs();
        let (usable, _others) = roots.add_parsable_certificates(found.certs);
        if usable == 0 {
            let reason =
                found.errors.first().map_or_else(|| "none is installed".to_owned(), ToString::to_string);
            return Err(TlsError::NobodyToTrust { reason });
        }
    }
    Ok(roots)
}

/// The certificates of a PEM file, one at least.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let content = |reason: String| TlsError::Content { path: path.to_owned(), reason };
    let bytes = bytes(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if found.is_empty() => Err(content("no certificate in it".to_owned())),
        found => found.map_err(|error| content(format!("no certificate: {error}"))),
    }
}

fn bytes(path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |source| TlsError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(MAX_FILE).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}

/// Trusts whoever answers, as `--tls-skip-verify` asks: who listens in between is not noticed.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.0.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::without_port;

    #[test]
    fn the_name_of_a_server_is_its_host() {
        for (host, name) in [("node:1", "node"), ("[::1]:54321", "::1"), ("10.0.0.1:1", "10.0.0.1")] {
            assert_eq!(without_port(host), name);
        }
    }
}
