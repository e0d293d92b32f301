//! Servers beside the Unix socket: the API encrypted by TCP, and the health service.

use std::fs;
use std::path::{Path, PathBuf};

use api::wire::GetVersionRequest;
use api::wire::fine_guidance_sensors_client::FineGuidanceSensorsClient;
use enforcer::log::sentence;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use tempfile::TempDir;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

use super::instance::{Instance, run_to_end};

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate for `name` and its key, as PEM.
fn certified(authority: &Authority, name: &str) -> (String, String) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    (params.signed_by(&key, authority).unwrap().pem(), key.serialize_pem())
}

fn write(folder: &Path, (certificate, key): &(String, String)) {
    fs::write(folder.join("cert"), certificate).unwrap();
    fs::write(folder.join("key"), key).unwrap();
}

/// A daemon that only clients certified by `authority` are let in to, and where its files are.
fn encrypted(authority: &Authority) -> (Instance, PathBuf) {
    let directory: TempDir = tempfile::tempdir().unwrap();
    let folder = directory.path().to_owned();
    write(&folder, &certified(authority, "first.example"));
    fs::write(folder.join("ca"), authority.pem()).unwrap();
    let file = |option: &str, name: &str| format!("--server-tls-{option}={}", folder.join(name).display());
    let options = [file("cert-file", "cert"), file("key-file", "key"), file("client-ca-files", "ca")];
    let [certificate, key, authorities] = options.each_ref().map(String::as_str);
    let instance =
        Instance::start_in(directory, &["--server-address=127.0.0.1:0", certificate, key, authorities]);
    (instance, folder)
}

async fn version(address: &str, tls: ClientTlsConfig) -> Result<String, String> {
    let endpoint = Endpoint::from_shared(format!("https://{address}")).unwrap();
    let endpoint = endpoint.tls_config(tls).unwrap();
    let channel: Channel = endpoint.connect().await.map_err(|error| sentence(&error))?;
    let mut client = FineGuidanceSensorsClient::new(channel);
    let answer = client.get_version(GetVersionRequest {}).await.map_err(|error| sentence(&error))?;
    Ok(answer.into_inner().version)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

// proves: API-11, SEC-01, API-12
#[test]
fn root_certified_clients_are_served_by_tcp_and_the_certificate_can_be_exchanged() {
    let authority = authority();
    let (instance, folder) = encrypted(&authority);
    let address = instance.address("serving on 127.0.0.1:");
    let address = format!("127.0.0.1:{address}");
    let runtime = runtime();
    let (certificate, key) = certified(&authority, "client");
    let trusting = |name: &str| {
        ClientTlsConfig::new().ca_certificate(Certificate::from_pem(authority.pem())).domain_name(name)
    };
    let known = |name: &str| trusting(name).identity(Identity::from_pem(&certificate, &key));
    let ask = |tls| runtime.block_on(version(&address, tls));
    assert!(ask(known("first.example")).unwrap().starts_with('v'));
    // Told by an alert, or by the end of the connection where that comes first.
    ask(trusting("first.example")).unwrap_err();
    assert!(ask(known("second.example")).unwrap_err().contains("not valid for name"));
    write(&folder, &certified(&authority, "second.example"));
    assert!(ask(known("second.example")).unwrap().starts_with('v'), "{}", instance.log());
    assert!(ask(known("first.example")).unwrap_err().contains("not valid for name"));
    // Who speaks without encryption is not heard.
    let plain = Endpoint::from_shared(format!("http://{address}")).unwrap();
    let heard = runtime.block_on(async {
        let mut client = FineGuidanceSensorsClient::new(plain.connect_lazy());
        client.get_version(GetVersionRequest {}).await
    });
    heard.unwrap_err();
    // The Unix socket is there as well, and is the one that clients of this machine are told.
    let (socket_runtime, mut client) = instance.client();
    assert!(socket_runtime.block_on(client.get_version(GetVersionRequest {})).is_ok());
    let info = fs::read_to_string(instance.run_dir().join("tetragon-info.json")).unwrap();
    assert!(info.contains(&format!("unix://{}", instance.socket().display())), "{info}");
    assert!(!instance.log().contains("does not ask who connects"));
    assert!(instance.stop().status.success());
}

#[test]
fn root_files_that_make_no_server_refuse_the_start() {
    let directory = tempfile::tempdir().unwrap();
    write(directory.path(), &(String::from("x"), String::from("y")));
    let file =
        |option: &str, name: &str| format!("--server-tls-{option}={}", directory.path().join(name).display());
    let ended = run_to_end(
        &directory.path().join("run"),
        &["--server-address=127.0.0.1:0", &file("cert-file", "cert"), &file("key-file", "key")],
    );
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.log.contains("cert: no certificate in it"), "{}", ended.log);
}

// proves: API-13, MET-11
#[test]
fn root_probes_are_told_that_the_daemon_lives_on_a_port_of_its_own() {
    let instance = Instance::start(&["--health-server-address=127.0.0.1:0", "--health-server-interval=1"]);
    let address = instance.address("health service on 127.0.0.1:");
    let endpoint = Endpoint::from_shared(format!("http://127.0.0.1:{address}")).unwrap();
    let runtime = runtime();
    let check = |service: &str| {
        let request = HealthCheckRequest { service: service.to_owned() };
        runtime.block_on(async { HealthClient::new(endpoint.connect().await.unwrap()).check(request).await })
    };
    for service in ["liveness", ""] {
        assert_eq!(check(service).unwrap().into_inner().status, 1, "SERVING");
    }
    assert_eq!(check("other").unwrap_err().code(), tonic::Code::NotFound);
    // Nothing else is to be had there.
    let mut client = FineGuidanceSensorsClient::new(runtime.block_on(endpoint.connect()).unwrap());
    let refused = runtime.block_on(client.get_version(GetVersionRequest {})).unwrap_err();
    assert_eq!(refused.code(), tonic::Code::Unimplemented);
    let taken = run_to_end(
        &instance.directory.path().join("other"),
        &[&format!("--health-server-address=127.0.0.1:{address}")],
    );
    assert_eq!(taken.status.code(), Some(1));
    assert!(taken.log.contains("cannot serve on 127.0.0.1:"), "{}", taken.log);
    assert!(instance.stop().status.success());
}
