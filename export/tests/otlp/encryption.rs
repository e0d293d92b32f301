//! Who is believed, and what is shown.

use std::path::Path;

use export::otlp::{Identity, OtlpOptions, OtlpSink, TlsFiles};
use export::sink::Sink as _;
use tonic::transport::{Certificate, Identity as ServerIdentity, ServerTlsConfig};

use super::certificates::{Authority, Certified};
use super::collector::{Collector, takes_all};
use super::{Node, counts, events, numbers, options, sink, wait_for_trouble, wait_until};

/// What a collector with that certificate asks for.
fn server(certified: &Certified, clients: Option<&Authority>) -> ServerTlsConfig {
    let config = ServerTlsConfig::new().identity(ServerIdentity::from_pem(&certified.pem, &certified.key));
    match clients {
        Some(authority) => config.client_ca_root(Certificate::from_pem(authority.pem())),
        None => config,
    }
}

/// Options to reach a collector that `authority` vouches for, with files in that folder.
fn encrypted(
    collector: &Collector,
    authority: &Authority,
    folder: &Path,
    identity: Option<Identity>,
) -> OtlpOptions {
    let path = folder.join("ca.pem");
    std::fs::write(&path, authority.pem()).unwrap();
    let tls = TlsFiles { authorities: Some(path), identity };
    OtlpOptions { tls, ..options(&format!("https://localhost:{}", collector.address.port())) }
}

#[test]
fn a_collector_proves_who_it_is_and_what_it_does_not_get_is_counted() {
    let (authority, other) = (Authority::new(), Authority::new());
    let tls = server(&authority.sign(), None);
    let collector = Collector::start("127.0.0.1:0", Some(tls), takes_all());
    let folder = tempfile::tempdir().unwrap();
    let wrong = encrypted(&collector, &other, folder.path(), None);
    let mut sink = sink(OtlpOptions { bound: 1000, ..wrong });
    sink.write(&mut events(0..2).iter()).unwrap();
    wait_for_trouble(&mut sink, "invalid peer certificate: ");
    assert_eq!(counts(&sink), (2, 0, 0));
    sink.write(&mut events(2..100).iter()).unwrap_err();
    let error = sink.finish().unwrap_err().to_string();
    assert!(error.contains(" dropped, 0 bytes held back"), "{error}");
    assert_eq!((counts(&sink), collector.records().len()), ((100, 0, 100), 0));
}

#[test]
fn authorities_that_are_exchanged_count_from_the_next_connection_on() {
    let (authority, other) = (Authority::new(), Authority::new());
    let tls = server(&authority.sign(), None);
    let collector = Collector::start("127.0.0.1:0", Some(tls), takes_all());
    let folder = tempfile::tempdir().unwrap();
    let mut sink = sink(encrypted(&collector, &other, folder.path(), None));
    sink.write(&mut events(0..2).iter()).unwrap();
    wait_for_trouble(&mut sink, "certificate");
    std::fs::write(folder.path().join("ca.pem"), authority.pem()).unwrap();
    wait_until("it is believed now", || counts(&sink) == (2, 2, 0));
    assert_eq!(numbers(&collector.records()), [0, 1]);
}

#[test]
fn a_collector_that_asks_who_we_are_is_shown_our_certificate() {
    let (ours, clients) = (Authority::new(), Authority::new());
    let tls = server(&ours.sign(), Some(&clients));
    let collector = Collector::start("127.0.0.1:0", Some(tls), takes_all());
    let folder = tempfile::tempdir().unwrap();
    let mut nobody = sink(encrypted(&collector, &ours, folder.path(), None));
    nobody.write(&mut events(0..2).iter()).unwrap();
    // in TLS 1.3 the refusal comes after the client has begun to send: whether it is still read, or the closed connection is met first, is chance
    wait_for_trouble(&mut nobody, "held back for the next attempt");
    assert_eq!(counts(&nobody), (2, 0, 0), "it is not given up at once");

    let first = clients.sign();
    let identity = first.write(folder.path());
    let mut sink = sink(encrypted(&collector, &ours, folder.path(), Some(identity.clone())));
    sink.write(&mut events(2..4).iter()).unwrap();
    wait_until("it is let in", || counts(&sink) == (2, 2, 0));

    std::fs::write(&identity.key, "nothing").unwrap();
    sink.reopen().unwrap_err();
    sink.write(&mut events(4..6).iter()).unwrap();
    wait_until("the connection stays", || counts(&sink) == (4, 4, 0));
    let second = clients.sign();
    second.write(folder.path());
    sink.reopen().unwrap();
    sink.write(&mut events(6..8).iter()).unwrap();
    sink.finish().unwrap();
    let got = collector.got.lock().unwrap();
    let expected = [&first.der, &first.der, &second.der].map(|der| vec![der.clone()]);
    assert_eq!(got.certificates, expected);
}

#[test]
fn files_that_cannot_be_used_are_told_at_once() {
    let authority = Authority::new();
    let folder = tempfile::tempdir().unwrap();
    let identity = authority.sign().write(folder.path());
    let path = folder.path().join("ca.pem");
    let open = || {
        let tls = TlsFiles { authorities: Some(path.clone()), identity: Some(identity.clone()) };
        let options = OtlpOptions { tls, ..options("https://localhost:1") };
        OtlpSink::open(options, &Node::named("n")).map(drop)
    };
    let refused = |says: &str| {
        let error = open().unwrap_err().to_string();
        assert!(
            error.starts_with("cannot export to https://localhost:1: /") && error.contains(says),
            "{error}"
        );
    };
    refused("ca.pem: No such file");
    std::fs::write(&path, "nothing").unwrap();
    refused("ca.pem: no certificate in it");
    std::fs::write(&path, authority.pem()).unwrap();
    open().unwrap();
    std::fs::write(&identity.key, authority.sign().key).unwrap();
    refused("key.pem: ");
    std::fs::write(&identity.key, authority.pem()).unwrap();
    refused("key.pem: no private key");
    std::fs::remove_file(&identity.key).unwrap();
    refused("key.pem: No such file");
}
