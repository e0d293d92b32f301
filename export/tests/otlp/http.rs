//! Events to a collector by HTTP.

use std::sync::Arc;
use std::time::{Duration, Instant};

use export::otlp::{Compression, Endpoint, Headers, OtlpOptions, Protocol, TlsFiles};
use export::sink::Sink as _;
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse};
use prost::Message as _;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};

use super::certificates::Authority;
use super::web::{Answer, Web, answer, taken};
use super::{counts, events, numbers, options, sink, wait_for_trouble, wait_until};

fn by_http(endpoint: &str) -> OtlpOptions {
    OtlpOptions { endpoint: Endpoint::new(endpoint, Protocol::Http).unwrap(), ..options("http://localhost") }
}

#[test]
fn all_arrives_in_order_over_one_connection_as_the_protocol_has_it() {
    for compression in [Compression::None, Compression::Gzip] {
        let collector = Web::start("127.0.0.1:0", None, Box::new(|_| taken()));
        let headers = Headers::parse("api-key=secret").unwrap();
        let endpoint = by_http(&format!("http://{}/of/us/", collector.address));
        let mut sink = sink(OtlpOptions { headers, compression, ..endpoint });
        assert_eq!(sink.name(), format!("otlp http://{}", collector.address));
        sink.write(&mut events(0..1500).iter()).unwrap();
        sink.finish().unwrap();
        assert_eq!(counts(&sink), (1500, 1500, 0));
        assert_eq!(numbers(&collector.records()), (0..1500).collect::<Vec<_>>());
        let got = collector.got.lock().unwrap();
        assert_eq!((got.connections, got.requests.len()), (1, 3));
        for request in &got.requests {
            assert_eq!(request.line, "POST /of/us/v1/logs HTTP/1.1");
            let header = |name| request.headers.get(name).map(|value| value.to_str().unwrap().to_owned());
            assert_eq!(header("content-type").as_deref(), Some("application/x-protobuf"));
            assert_eq!(header("host"), Some(collector.address.to_string()));
            assert_eq!(header("api-key").as_deref(), Some("secret"));
            let plain = request.message.encoded_len();
            match compression {
                Compression::None => assert_eq!((header("content-encoding"), request.size), (None, plain)),
                Compression::Gzip => assert!(request.size * 3 < plain, "{} of {plain}", request.size),
            }
        }
    }
}

#[test]
fn what_is_refused_is_dropped_and_told_without_secrets_and_what_is_to_come_later_is_sent_again() {
    const PROTOBUF: &str = "application/x-protobuf; charset=x";
    let answers = |number| -> Answer {
        let partial =
            ExportLogsPartialSuccess { rejected_log_records: 2, error_message: "too old".to_owned() };
        let partial = ExportLogsServiceResponse { partial_success: Some(partial) };
        let said = tonic_types::Status { code: 3, message: "not\nthis".to_owned(), details: Vec::new() };
        match number {
            0 => answer(400, PROTOBUF, said.encode_to_vec()),
            1 => answer(401, "text/plain", "who is secret-token?"),
            2 => answer(200, "text/html", "<p>Welcome to the hotel"),
            3 => answer(200, PROTOBUF, vec![0; 100_000]),
            4 => answer(307, "text/plain", ""),
            5 => {
                let mut later = answer(503, "text/plain", "");
                later.headers_mut().insert("retry-after", "1".parse().unwrap());
                later
            }
            6 => answer(200, PROTOBUF, partial.encode_to_vec()),
            7 => answer(204, "", ""),
            _ => answer(429, "text/plain", "slower"),
        }
    };
    let collector = Web::start("127.0.0.1:0", None, Box::new(answers));
    let headers = Headers::parse("authorization=Bearer%20secret-token").unwrap();
    let endpoint = by_http(&format!("http://{}", collector.address));
    let mut sink = sink(OtlpOptions { headers, ..endpoint });
    let start = Instant::now();
    for (from, expected, says) in [
        (0, (10, 0, 10), ": 400 Bad Request: notthis; 10 dropped"),
        (10, (20, 0, 20), ": 401 Unauthorized: who is [redacted]?; 10 dropped"),
        (20, (30, 0, 30), ": 200 OK: \"text/html\" is no answer of a collector; 10 dropped"),
        (30, (40, 0, 40), ": 200 OK: \"application/x-protobuf\" is no answer of a collector; 10 dropped"),
        (40, (50, 0, 50), ": 307 Temporary Redirect; 10 dropped"),
        (50, (60, 8, 52), ": the collector refused some: too old; 2 dropped"),
    ] {
        drop(sink.write(&mut events(from..from + 10).iter()));
        wait_until("it is settled", || counts(&sink) == expected);
        let error = sink.tick().unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    assert!(start.elapsed() > Duration::from_secs(1), "as long as it asked for");
    drop(sink.write(&mut events(60..70).iter()));
    wait_until("it is taken", || counts(&sink) == (70, 18, 52));
    sink.write(&mut events(70..80).iter()).unwrap();
    wait_for_trouble(&mut sink, ": 429 Too Many Requests: slower; 0 dropped");
    sink.finish().unwrap_err();
    assert_eq!(counts(&sink), (80, 18, 62));
}

#[test]
fn a_collector_that_is_down_gets_what_waited_when_it_is_back() {
    let collector = Web::start("127.0.0.1:0", None, Box::new(|_| taken()));
    let address = collector.address.to_string();
    let mut sink = sink(by_http(&format!("http://{address}")));
    sink.write(&mut events(0..10).iter()).unwrap();
    wait_until("the first have arrived", || counts(&sink) == (10, 10, 0));
    drop(collector);
    sink.write(&mut events(10..20).iter()).unwrap();
    wait_for_trouble(&mut sink, &format!("cannot write events to otlp http://{address}: "));
    let collector = Web::start(&address, None, Box::new(|_| taken()));
    wait_until("the rest has arrived", || counts(&sink) == (20, 20, 0));
    assert_eq!(numbers(&collector.records()), (10..20).collect::<Vec<_>>());
}

#[test]
fn an_encrypted_collector_is_believed_by_its_authority_and_shown_our_certificate() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_slice(clients.pem().as_bytes()).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let verifier =
        WebPkiClientVerifier::builder_with_provider(roots.into(), Arc::clone(&provider)).build().unwrap();
    let server = authority.sign();
    let tls = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(
            vec![server.der.into()],
            PrivateKeyDer::from_pem_slice(server.key.as_bytes()).unwrap(),
        )
        .unwrap();
    let collector = Web::start("127.0.0.1:0", Some(tls), Box::new(|_| taken()));
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("ca.pem");
    std::fs::write(&path, authority.pem()).unwrap();
    let to = |identity| {
        let tls = TlsFiles { authorities: Some(path.clone()), identity };
        sink(OtlpOptions { tls, ..by_http(&format!("https://localhost:{}", collector.address.port())) })
    };
    let mut nobody = to(None);
    nobody.write(&mut events(0..2).iter()).unwrap();
    wait_for_trouble(&mut nobody, "CertificateRequired");
    assert_eq!(counts(&nobody), (2, 0, 0));
    drop(nobody);
    let mut sink = to(Some(clients.sign().write(folder.path())));
    sink.write(&mut events(2..4).iter()).unwrap();
    sink.finish().unwrap();
    assert_eq!((counts(&sink), numbers(&collector.records())), ((2, 2, 0), vec![2, 3]));
}
