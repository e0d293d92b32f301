//! Encryption of connections: whom to trust, and what to show.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};

/// Larger than any file with certificates.
const MAX_FILE: u64 = 1 << 20;

/// PEM files of the encryption. They are read for each connection: one that is exchanged counts from the next connection on.
#[derive(Clone, Debug, Default)]
pub struct TlsFiles {
    /// The authorities that the collector's certificate must come from, instead of the machine's.
    pub authorities: Option<PathBuf>,
    /// The certificate that is shown to the collector, with its key.
    pub identity: Option<Identity>,
}

/// A certificate with its key, as files.
#[derive(Clone, Debug)]
pub struct Identity {
    /// The certificate, and those between it and the authority.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Why files cannot be used for encryption.
#[derive(Debug, thiserror::Error)]
pub(super) enum TlsError {
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Read { path: PathBuf, source: io::Error },
    /// A file holds something else.
    #[error("{path}: {reason}")]
    Content { path: PathBuf, reason: String },
    /// The certificate is not one of the key.
    #[error("{certificate} and {key}: {reason}")]
    Pair { certificate: PathBuf, key: PathBuf, reason: rustls::Error },
    /// Nobody is trusted.
    #[error("this machine has no certificates of authorities ({0}); give a file with the collector's")]
    NobodyToTrust(String),
    /// The library refuses the combination.
    #[error("{0}")]
    Config(rustls::Error),
}

impl TlsFiles {
    /// What the next handshake goes by, for a protocol of that name in ALPN.
    ///
    /// # Errors
    /// See [`TlsError`].
    pub(super) fn read(&self, protocol: &[u8]) -> Result<ClientConfig, TlsError> {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Config)?
            .with_root_certificates(roots(self.authorities.as_deref())?);
        let mut config = match &self.identity {
            None => builder.with_no_client_auth(),
            Some(Identity { certificate, key }) => {
                let private = PrivateKeyDer::from_pem_slice(&bytes(key)?)
                    .map_err(|error| content(key, format!("no private key: {error}")))?;
                let pair =
                    |reason| TlsError::Pair { certificate: certificate.clone(), key: key.clone(), reason };
                builder.with_client_auth_cert(certificates(certificate)?, private).map_err(pair)?
            }
        };
        config.alpn_protocols = vec![protocol.to_vec()];
        Ok(config)
    }
}

/// The authorities of a file, or the machine's.
fn roots(file: Option<&Path>) -> Result<RootCertStore, TlsError> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = file {
        for certificate in certificates(path)? {
            roots.add(certificate).map_err(|error| content(path, error.to_string()))?;
        }
        return Ok(roots);
    }
    let found = rustls_native_certs::load_native_certs();
    let (usable, _others) = roots.add_parsable_certificates(found.certs);
    if usable == 0 {
        let reason = found.errors.first().map_or_else(|| "none is installed".to_owned(), ToString::to_string);
        return Err(TlsError::NobodyToTrust(reason));
    }
    Ok(roots)
}

/// The certificates of a PEM file, one at least.
fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let bytes = bytes(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    match found {
        Ok(found) if found.is_empty() => Err(content(path, "no certificate in it".to_owned())),
        found => found.map_err(|error| content(path, format!("no certificate: {error}"))),
    }
}

fn content(path: &Path, reason: String) -> TlsError {
    TlsError::Content { path: path.to_owned(), reason }
}

fn bytes(path: &Path) -> Result<Vec<u8>, TlsError> {
    let failed = |source| TlsError::Read { path: path.to_owned(), source };
    let mut bytes = Vec::new();
    File::open(path).map_err(failed)?.take(MAX_FILE).read_to_end(&mut bytes).map_err(failed)?;
    Ok(bytes)
}
