//! Events on standard output and at a collector, from the running daemon.

use std::io::{BufRead as _, BufReader};
use std::process::Command;
use std::time::Instant;

use opentelemetry_proto::tonic::common::v1::any_value::Value;

use tonic::transport::{Certificate, Identity, ServerTlsConfig};

use super::certificates::Authority;
use super::collector::{Collector, takes_all};
use super::instance::{Instance, PATIENCE, wait_until};

fn run(word: &str) {
    assert!(Command::new("/bin/true").arg(word).status().unwrap().success());
}

// proves: EXP-03
#[test]
fn root_standard_output_gets_whole_lines_and_its_end_does_not_end_the_daemon() {
    let (instance, output) =
        Instance::start_to_stdout(&["--export-allowlist={\"arguments_regex\":[\"^out\"]}"]);
    run("out1");
    run("other");
    run("out2");
    let mut lines = BufReader::new(output).lines();
    let mut event =
        || -> serde_json::Value { serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap() };
    for word in ["out1", "out2"] {
        assert_eq!(event()["process_exec"]["process"]["arguments"], word);
        assert_eq!(event()["process_exit"]["process"]["arguments"], word);
    }
    drop(lines);
    wait_until("the closed pipe is told", || {
        run("out3");
        instance.log().contains("cannot write events to stdout: broken pipe")
    });
    let (runtime, mut client) = instance.client();
    let version = runtime.block_on(client.get_version(api::wire::GetVersionRequest {})).unwrap();
    assert!(!version.into_inner().version.is_empty());
    let ended = instance.stop();
    assert!(ended.status.success() && !ended.log.contains("panicked"), "{}", ended.log);
}

#[test]
fn root_a_collector_gets_what_happened_until_the_end_and_its_absence_holds_nothing_up() {
    let collector = Collector::start("127.0.0.1:0", None, takes_all());
    let endpoint = format!("--export-otlp-endpoint=http://{}", collector.address);
    let instance = Instance::start(&[&endpoint]);
    run("collected");
    let ended = instance.stop();
    assert!(ended.status.success(), "{}", ended.log);
    let records = collector.records();
    let is_ours = |record: &&opentelemetry_proto::tonic::logs::v1::LogRecord| {
        let command = record.attributes.iter().find(|it| it.key == "process.command_line");
        let value = command.and_then(|it| it.value.clone()).and_then(|it| it.value);
        value == Some(Value::StringValue("/bin/true collected".to_owned()))
    };
    let kinds: Vec<_> = records.iter().filter(is_ours).map(|record| record.event_name.as_str()).collect();
    assert_eq!(kinds, ["enforcer.process_exec", "enforcer.process_exit"]);

    drop(collector);
    let instance = Instance::start(&[&endpoint]);
    run("lost");
    wait_until("its absence is told", || instance.log().contains("cannot write events to otlp http://"));
    let asked = Instant::now();
    let ended = instance.stop();
    assert!(ended.status.success() && asked.elapsed() < PATIENCE / 3, "{}", ended.log);
}

#[test]
fn root_a_collector_that_asks_for_a_certificate_and_a_token_gets_both_and_the_token_is_told_to_nobody_else() {
    let (authority, clients) = (Authority::new(), Authority::new());
    let server = authority.sign();
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(server.pem, server.key))
        .client_ca_root(Certificate::from_pem(clients.pem()));
    let collector = Collector::start("127.0.0.1:0", Some(tls), takes_all());
    let folder = tempfile::tempdir().unwrap();
    let ours = clients.sign();
    let identity = ours.write(folder.path());
    let trusted = folder.path().join("ca.pem");
    std::fs::write(&trusted, clients.pem()).unwrap();
    let options = [
        format!("--export-otlp-endpoint=https://localhost:{}", collector.address.port()),
        "--export-otlp-headers=api-key=secret-token".to_owned(),
        "--export-otlp-compression=gzip".to_owned(),
        format!("--export-otlp-ca-file={}", trusted.display()),
        format!("--export-otlp-cert-file={}", identity.certificate.display()),
        format!("--export-otlp-key-file={}", identity.key.display()),
    ];
    let instance = Instance::start(&options.each_ref().map(String::as_str));
    run("collected");
    wait_until("it is not believed", || instance.log().contains("invalid peer certificate"));
    assert!(collector.records().is_empty());
    std::fs::write(&trusted, authority.pem()).unwrap();
    wait_until("it is believed", || !collector.records().is_empty());
    let ended = instance.stop();
    assert!(ended.status.success() && !ended.log.contains("secret-token"), "{}", ended.log);
    let got = collector.got.lock().unwrap();
    for (headers, certificates) in got.headers.iter().zip(&got.certificates) {
        assert_eq!(headers.get("api-key").unwrap(), "secret-token");
        assert_eq!(headers.get("grpc-encoding").unwrap(), "gzip");
        assert_eq!(*certificates, std::slice::from_ref(&ours.der));
    }
}
