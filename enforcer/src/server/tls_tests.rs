#![expect(clippy::unwrap_used, reason = "tests")]

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::os::unix::fs::symlink;

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::pki_types::ServerName;
use rustls::{
    ClientConfig, ClientConnection, ProtocolVersion, ServerConnection, StreamOwned, SupportedProtocolVersion,
};
use tempfile::TempDir;

use super::*;

/// An authority that signs certificates.
struct Authority {
    issuer: CertifiedIssuer<'static, KeyPair>,
}

impl Authority {
    fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self { issuer: CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap() }
    }

    /// A certificate for `localhost` and its key, as PEM.
    fn sign(&self) -> (String, String) {
        let key = KeyPair::generate().unwrap();
        let params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        (params.signed_by(&key, &self.issuer).unwrap().pem(), key.serialize_pem())
    }
}

struct Files {
    directory: TempDir,
    settings: TlsSettings,
}

/// Files of a server that is certified by `authority`.
fn files(authority: &Authority, clients: Clients) -> Files {
    let directory = tempfile::tempdir().unwrap();
    let at = |name: &str| directory.path().join(name);
    let (certificate, key) = authority.sign();
    fs::write(at("cert"), certificate).unwrap();
    fs::write(at("key"), key).unwrap();
    fs::write(at("ca"), authority.issuer.pem()).unwrap();
    let client_authorities = if clients == Clients::All { Vec::new() } else { vec![at("ca")] };
    let settings = TlsSettings { certificate: at("cert"), key: at("key"), client_authorities, clients };
    Files { directory, settings }
}

/// What a client sees who trusts `authority`, shows `identity` and speaks these versions: the version and the server's certificate; or why not.
fn connect(
    tls: &Tls,
    authority: &Authority,
    identity: Option<(String, String)>,
    versions: &[&'static SupportedProtocolVersion],
) -> Result<(ProtocolVersion, Vec<u8>), String> {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    let config = tls.config().ok_or("no certificate")?;
    let server = std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        let mut stream = StreamOwned::new(ServerConnection::new(config).unwrap(), stream);
        let mut byte = [0];
        stream.read_exact(&mut byte).and_then(|()| stream.write_all(&byte)).map_err(|error| error.to_string())
    });
    let mut roots = RootCertStore::empty();
    roots.add(authority.issuer.der().clone()).unwrap();
    let builder = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::ring::default_provider()))
        .with_protocol_versions(versions)
        .unwrap()
        .with_root_certificates(roots);
    let mut client = match identity {
        None => builder.with_no_client_auth(),
        Some((certificate, key)) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap(),
    };
    client.alpn_protocols = vec![PROTOCOL.to_vec()];
    let name = ServerName::try_from("localhost").unwrap();
    let connection = ClientConnection::new(Arc::new(client), name).unwrap();
    let mut stream = StreamOwned::new(connection, TcpStream::connect(address).unwrap());
    let mut byte = [7];
    let told = stream.write_all(&byte).and_then(|()| stream.read_exact(&mut byte));
    let seen = || {
        assert_eq!(stream.conn.alpn_protocol(), Some(PROTOCOL));
        (stream.conn.protocol_version().unwrap(), stream.conn.peer_certificates().unwrap()[0].to_vec())
    };
    let result = told.map(|()| seen()).map_err(|error| error.to_string());
    drop(stream);
    assert_eq!(server.join().unwrap().is_ok(), result.is_ok(), "both sides agree");
    result
}

const NEW: &[&SupportedProtocolVersion] = &[&rustls::version::TLS13];
const OLD: &[&SupportedProtocolVersion] = &[&rustls::version::TLS12];

// proves: API-11 (TLS 1.3, certificates of clients), SEC-01 (mTLS)
#[test]
fn clients_are_let_in_by_their_certificate_and_by_the_newest_protocol_only() {
    let (ours, others) = (Authority::new(), Authority::new());
    let tls = |clients| Tls::open(files(&ours, clients).settings).unwrap();
    let certified = tls(Clients::Certified);
    assert!(!certified.lets_anybody_in());
    let (version, _) = connect(&certified, &ours, Some(ours.sign()), NEW).unwrap();
    assert_eq!(version, ProtocolVersion::TLSv1_3);
    // Told by an alert, or by the end of the connection where that comes first.
    connect(&certified, &ours, None, NEW).unwrap_err();
    connect(&certified, &ours, Some(others.sign()), NEW).unwrap_err();
    let old = connect(&certified, &ours, Some(ours.sign()), OLD).unwrap_err();
    assert!(old.contains("ProtocolVersion"), "{old}");
    let either = tls(Clients::CertifiedOrNot);
    connect(&either, &ours, None, NEW).unwrap();
    connect(&either, &ours, Some(ours.sign()), NEW).unwrap();
    connect(&either, &ours, Some(others.sign()), NEW).unwrap_err();
    assert!(either.lets_anybody_in());
    let all = tls(Clients::All);
    connect(&all, &ours, None, NEW).unwrap();
    let distrust = connect(&all, &others, None, NEW).unwrap_err();
    assert!(distrust.contains("certificate"), "{distrust}");
}

// proves: API-11 (hot reload)
#[test]
fn files_that_change_count_from_the_next_handshake_and_bad_ones_change_nothing() {
    let authority = Authority::new();
    let files = files(&authority, Clients::All);
    let tls = Tls::open(files.settings.clone()).unwrap();
    let seen = || connect(&tls, &authority, None, NEW).unwrap().1;
    let first = seen();
    assert_eq!(seen(), first);
    let (certificate, key) = authority.sign();
    fs::write(&files.settings.certificate, &certificate).unwrap();
    assert_eq!(seen(), first, "the key is still the one of the first");
    fs::write(&files.settings.key, &key).unwrap();
    let second = seen();
    assert_eq!(second, CertificateDer::from_pem_slice(certificate.as_bytes()).unwrap().to_vec());
    fs::write(&files.settings.certificate, "nothing").unwrap();
    fs::remove_file(&files.settings.key).unwrap();
    assert_eq!(seen(), second);
    // As Kubernetes exchanges the files of a secret: all at once, by a link.
    let (certificate, key) = authority.sign();
    let next = files.directory.path().join("..next");
    fs::create_dir(&next).unwrap();
    fs::write(next.join("cert"), certificate).unwrap();
    fs::write(next.join("key"), key).unwrap();
    fs::remove_file(&files.settings.certificate).unwrap();
    symlink(next.join("cert"), &files.settings.certificate).unwrap();
    symlink(next.join("key"), &files.settings.key).unwrap();
    assert_ne!(seen(), second);
}

// proves: API-11 (authorities reloaded)
#[test]
fn an_authority_that_is_exchanged_locks_its_clients_out() {
    let (ours, others) = (Authority::new(), Authority::new());
    let files = files(&ours, Clients::Certified);
    let tls = Tls::open(files.settings.clone()).unwrap();
    connect(&tls, &ours, Some(ours.sign()), NEW).unwrap();
    fs::write(&files.settings.client_authorities[0], others.issuer.pem()).unwrap();
    connect(&tls, &ours, Some(ours.sign()), NEW).unwrap_err();
    connect(&tls, &ours, Some(others.sign()), NEW).unwrap();
}

// proves: API-11 (files that come later)
#[test]
fn files_that_are_not_there_yet_may_come_later() {
    let authority = Authority::new();
    let files = files(&authority, Clients::All);
    let (key, later) = (files.settings.key.clone(), files.directory.path().join("later"));
    fs::rename(&key, &later).unwrap();
    let tls = Tls::open(files.settings).unwrap();
    assert_eq!(connect(&tls, &authority, None, NEW).unwrap_err(), "no certificate");
    fs::rename(&later, &key).unwrap();
    connect(&tls, &authority, None, NEW).unwrap();
}

#[test]
fn files_of_something_else_are_named() {
    let (ours, others) = (Authority::new(), Authority::new());
    let refused = |change: &dyn Fn(&TlsSettings)| {
        let files = files(&ours, Clients::Certified);
        change(&files.settings);
        Tls::open(files.settings).unwrap_err().to_string()
    };
    let write = |path: &Path, text: &str| fs::write(path, text).unwrap();
    for (error, expected) in [
        (refused(&|files| write(&files.certificate, "x")), "cert: no certificate in it"),
        (refused(&|files| write(&files.key, "x")), "key: no private key"),
        (refused(&|files| write(&files.key, &others.sign().1)), "key: "),
        (refused(&|files| write(&files.client_authorities[0], "")), "ca: no certificate in it"),
        (
            refused(&|files| {
                write(&files.certificate, "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n");
            }),
            "cert",
        ),
    ] {
        assert!(error.contains(expected), "{expected}: {error}");
    }
}
