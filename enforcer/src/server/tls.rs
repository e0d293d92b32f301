//! Encryption of the API: TLS 1.3, clients by their certificates, and files that are read again when they change.
//!
//! Whether a file has changed is asked at each handshake. What cannot be used leaves what was used before in place: a certificate that is
//! exchanged before its key locks nobody out.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{RootCertStore, ServerConfig};

use crate::config::{Clients, TlsSettings};

/// Larger than any file with certificates.
const MAX_FILE: u64 = 1 << 20;
/// The protocol of gRPC.
const PROTOCOL: &[u8] = b"h2";

/// Why files cannot be used for encryption.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{path}: {source}")]
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
    /// The files do not fit.
    #[error("{certificate} and {key}: {reason}")]
    Pair {
        /// The certificate.
        certificate: PathBuf,
        /// Its key.
        key: PathBuf,
        /// Why.
        reason: String,
    },
}

impl TlsError {
    fn is_missing_file(&self) -> bool {
        matches!(self, Self::Read { source, .. } if source.kind() == io::ErrorKind::NotFound)
    }
}

/// The encryption of one server.
#[derive(Debug)]
pub struct Tls {
    settings: TlsSettings,
    now: Mutex<Now>,
}

/// What is used, and as of when.
#[derive(Debug)]
struct Now {
    stamps: Vec<Option<Stamp>>,
    /// Nothing, before all files were there for the first time.
    config: Option<Arc<ServerConfig>>,
}

/// What tells a file from another one that takes its place: device, inode, size, times.
type Stamp = (u64, u64, u64, (i64, i64), (i64, i64));

impl Tls {
    /// Reads the files. Those that are not there yet may come later: until then nobody is let in.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub fn open(settings: TlsSettings) -> Result<Self, TlsError> {
        let stamps = stamps(&settings);
        let config = match read(&settings) {
            Ok(config) => Some(config),
            Err(error) if error.is_missing_file() => {
                tracing::warn!("{error}; clients are refused until it is there");
                None
            }
            Err(error) => return Err(error),
        };
        Ok(Self { settings, now: Mutex::new(Now { stamps, config }) })
    }

    /// Whether anybody who reaches the address is let in: to change policies, too.
    pub fn lets_anybody_in(&self) -> bool {
        self.settings.clients != Clients::Certified
    }

    /// What the next handshake goes by; `None` as long as files are missing.
    pub(super) fn config(&self) -> Option<Arc<ServerConfig>> {
        let stamps = stamps(&self.settings);
        let mut now = self.now.lock().unwrap_or_else(PoisonError::into_inner);
        if now.stamps != stamps {
            match read(&self.settings) {
                Ok(config) => {
                    tracing::info!("the certificate {} is read again", self.settings.certificate.display());
                    now.config = Some(config);
                }
                Err(error) => tracing::warn!("{error}; what was there before is used further"),
            }
            now.stamps = stamps;
        }
        now.config.clone()
    }
}

fn files(settings: &TlsSettings) -> impl Iterator<Item = &Path> {
    let own = [&settings.certificate, &settings.key].into_iter();
    own.chain(&settings.client_authorities).map(PathBuf::as_path)
}

fn stamps(settings: &TlsSettings) -> Vec<Option<Stamp>> {
    let stamp = |path: &Path| {
        let found = fs::metadata(path).ok()?;
        let (modified, changed) = ((found.mtime(), found.mtime_nsec()), (found.ctime(), found.ctime_nsec()));
        Some((found.dev(), found.ino(), found.size(), modified, changed))
    };
    files(settings).map(stamp).collect()
}

fn read(settings: &TlsSettings) -> Result<Arc<ServerConfig>, TlsError> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let TlsSettings { certificate, key, .. } = settings;
    let chain = certificates(certificate)?;
    let private = PrivateKeyDer::from_pem_slice(&bytes(key)?).map_err(|error| TlsError::Content {
        path: key.clone(),
        reason: format!("no private key: {error}"),
    })?;
    let pair = |error: rustls::Error| TlsError::Pair {
        certificate: certificate.clone(),
        key: key.clone(),
        reason: error.to_string(),
    };
    let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .map_err(pair)?;
    let builder = match settings.clients {
        Clients::All => builder.with_no_client_auth(),
        Clients::Certified | Clients::CertifiedOrNot => {
            builder.with_client_cert_verifier(verifier(settings, provider)?)
        }
    };
    let mut config = builder.with_single_cert(chain, private).map_err(pair)?;
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    Ok(Arc::new(config))
}

fn verifier(
    settings: &TlsSettings,
    provider: Arc<rustls::crypto::CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let mut roots = RootCertStore::empty();
    let mut last = Path::new("");
    let content = |path: &Path, reason: String| TlsError::Content { path: path.to_owned(), reason };
    for path in &settings.client_authorities {
        for certificate in certificates(path)? {
            roots.add(certificate).map_err(|error| content(path, error.to_string()))?;
        }
        last = path;
    }
    let builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
    let builder = match settings.clients {
        Clients::CertifiedOrNot => builder.allow_unauthenticated(),
        Clients::Certified | Clients::All => builder,
    };
    builder.build().map_err(|error| content(last, error.to_string()))
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

#[cfg(test)]
#[path = "tls_tests.rs"]
mod tests;
