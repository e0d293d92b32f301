//! The command and a daemon that is reached by TCP, encrypted.

use std::fs;
use std::process::Output;

use api::wire::fine_guidance_sensors_server::FineGuidanceSensorsServer;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};

use super::service::{Asked, command_at, printed, refused, service};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn certified(authority: &Authority, name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    (params.signed_by(&key, authority).unwrap().pem(), key.serialize_pem())
}

/// A service as `daemon.example` for clients with a certificate, and files for them.
struct Encrypted {
    folder: TempDir,
    address: String,
    _runtime: tokio::runtime::Runtime,
}

fn start() -> Encrypted {
    let (ours, others) = (authority(), authority());
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| fs::write(folder.path().join(name), text).unwrap();
    let (certificate, key) = certified(&ours, "client");
    write("cert", certificate);
    write("key", key);
    write("ca", ours.pem());
    write("other-ca", others.pem());
    write("nothing", String::new());
    let (certificate, key) = certified(&ours, "daemon.example");
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(certificate, key))
        .client_ca_root(Certificate::from_pem(ours.pem()));
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let server = FineGuidanceSensorsServer::new(service(Asked::default()));
    runtime.spawn(async move {
        let router = Server::builder().tls_config(tls).unwrap().add_service(server);
        router.serve_with_incoming(TcpListenerStream::new(listener)).await
    });
    Encrypted { folder, address, _runtime: runtime }
}

impl Encrypted {
    /// `tetra status` with flags; those ending in `=` get the path of a file that they name first: `--flag=file`.
    fn tetra(&self, flags: &[&str]) -> Output {
        let flags: Vec<String> = flags
            .iter()
            .map(|flag| match flag.split_once("-file") {
                Some((option, rest)) => {
                    let (plural, file) = rest.split_once('=').unwrap();
                    format!("{option}-file{plural}={}", self.folder.path().join(file).display())
                }
                None => (*flag).to_owned(),
            })
            .collect();
        let words: Vec<&str> = flags.iter().map(String::as_str).chain(["status"]).collect();
        command_at(&self.address, &words).output().unwrap()
    }
}

const IDENTITY: [&str; 2] = ["--tls-cert-file=cert", "--tls-key-file=key"];
const NAME: &str = "--tls-server-name=daemon.example";
const TRUST: &str = "--tls-ca-cert-files=ca";

// proves: CLI-01
#[test]
fn flags_for_tls_encrypt_the_connection_and_say_whom_to_trust() {
    let daemon = start();
    let [certificate, key] = IDENTITY;
    let answer = printed(&daemon.tetra(&[certificate, key, TRUST, NAME]));
    assert!(answer.starts_with("Health Status: running\n"), "{answer}");
    let answer = printed(&daemon.tetra(&[certificate, key, "--tls-skip-verify"]));
    assert!(answer.starts_with("Health Status: running\n"), "{answer}");
    for (flags, expected) in [
        (&[certificate, key, TRUST][..], "not valid for name"),
        (&[certificate, key, "--tls-ca-cert-files=other-ca", NAME], "invalid peer certificate"),
        (&[TRUST, NAME], "127.0.0.1"),
        (&[certificate, TRUST, NAME], "--tls-cert-file and --tls-key-file go together"),
        (&[certificate, key, TRUST, "--tls-skip-verify"], "--tls-skip-verify trusts everybody"),
        (&[TRUST, "--tls-server-name=a b"], "\"a b\" is no name of a server"),
        (&["--tls-ca-cert-files=nothing"], "nothing: no certificate in it"),
        (&["--tls-ca-cert-files=missing"], "missing: No such file"),
        (&[certificate, "--tls-key-file=ca", TRUST], "ca: no private key"),
        (&[], "127.0.0.1"),
    ] {
        let error = refused(&daemon.tetra(flags));
        assert!(error.contains(expected), "{flags:?}: {error}");
    }
}
