//! Events to an OpenTelemetry collector: one that is there, one that goes and comes back, a slow one, one that refuses, an encrypted one, one by HTTP.
#![expect(clippy::unwrap_used, reason = "tests")]

mod certificates;
mod collector;
mod encryption;
mod http;
mod web;

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use api::event::{Event, EventKind, Node, TestEvent, Timestamp};
use api::filter::FieldFilters;
use api::json::read_event;
use collector::{Collector, takes_all};
use export::otlp::{Compression, Endpoint, Headers, OtlpOptions, OtlpSink, Protocol, TlsFiles};
use export::siem::Form;
use export::sink::{Counts, Sink as _};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse};
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use tonic::{Code, Status};
use tonic_types::{ErrorDetails, StatusExt as _};

const PATIENCE: Duration = Duration::from_mins(1);

fn options(endpoint: &str) -> OtlpOptions {
    OtlpOptions {
        endpoint: Endpoint::new(endpoint, Protocol::Grpc).unwrap(),
        headers: Headers::default(),
        compression: Compression::None,
        tls: TlsFiles::default(),
        timeout: Duration::from_secs(10),
        bound: 8 << 20,
        fields: FieldFilters::none(),
        form: Form::Tetragon,
    }
}

fn sink(options: OtlpOptions) -> OtlpSink {
    OtlpSink::open(options, &Node::named("n")).unwrap()
}

fn to(collector: &Collector) -> OtlpSink {
    sink(options(&format!("http://{}", collector.address)))
}

fn events(numbers: std::ops::Range<u64>) -> Vec<Event> {
    let node = Arc::new(Node::named("n"));
    let kinds = numbers.map(|arg0| EventKind::Test(TestEvent { arg0, ..TestEvent::default() }));
    kinds.map(|kind| Event::new(kind, Timestamp::from_nanos(5), Arc::clone(&node))).collect()
}

fn wait_until(what: &str, mut done: impl FnMut() -> bool) {
    let start = Instant::now();
    while !done() {
        assert!(start.elapsed() < PATIENCE, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// Waits until a sink that is in trouble says so.
fn wait_for_trouble(sink: &mut OtlpSink, says: &str) {
    wait_until(says, || sink.tick().is_err_and(|error| error.to_string().contains(says)));
}

/// Events received, written and dropped.
fn counts(sink: &OtlpSink) -> (u64, u64, u64) {
    let Counts { received, written, dropped, .. } = sink.counters().counts();
    (received, written, dropped)
}

fn text(value: Option<&AnyValue>) -> String {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone(),
        Some(Value::IntValue(number)) => number.to_string(),
        other => format!("{other:?}"),
    }
}

fn attributes(attributes: &[KeyValue]) -> Vec<String> {
    attributes.iter().map(|it| format!("{}={}", it.key, text(it.value.as_ref()))).collect()
}

/// The `arg0` of each record's body.
fn numbers(records: &[LogRecord]) -> Vec<u64> {
    let bodies = records.iter().map(|record| text(record.body.as_ref()));
    let values = bodies.map(|body| serde_json::from_str::<serde_json::Value>(&body).unwrap());
    values.map(|value| value["test"]["arg0"].as_str().map_or(0, |text| text.parse().unwrap())).collect()
}

#[test]
fn all_arrives_once_and_in_order_with_the_headers_at_the_end_at_the_latest() {
    let collector = Collector::start("127.0.0.1:0", None, takes_all());
    let headers = Headers::parse("authorization=Bearer%20x,x-tenant=7").unwrap();
    let mut sink = sink(OtlpOptions { headers, ..options(&format!("http://{}", collector.address)) });
    assert_eq!(sink.name(), format!("otlp http://{}", collector.address));
    sink.write(&mut events(0..1500).iter()).unwrap();
    wait_until("full batches go at once", || collector.records().len() >= 1024);
    sink.finish().unwrap();
    assert_eq!(numbers(&collector.records()), (0..1500).collect::<Vec<_>>());
    assert_eq!(counts(&sink), (1500, 1500, 0));
    let got = collector.got.lock().unwrap();
    let resource = got.logs[0].resource.clone().unwrap();
    let version = format!("service.version={}", env!("CARGO_PKG_VERSION"));
    let expected = ["service.name=enforcer", &version, "host.name=n", "os.type=linux"];
    assert_eq!(attributes(&resource.attributes), expected);
    assert!(got.headers.iter().all(|headers| headers.get("authorization").unwrap() == "Bearer x"));
    assert!(got.headers.iter().all(|headers| headers.get("x-tenant").unwrap() == "7"));
}

#[test]
fn an_event_is_a_record_with_the_names_of_the_conventions() {
    let collector = Collector::start("127.0.0.1:0", None, takes_all());
    let mut sink = to(&collector);
    let json = r#"{"process_kprobe":{"process":{"exec_id":"x","pid":7,"uid":0,"cwd":"/tmp","binary":"/bin/cat",
        "arguments":"/etc/shadow","start_time":"2026-11-23T15:37:49Z","docker":"0123456789abcdef0123456789abcde","tid":8,
        "pod":{"namespace":"ns","name":"pod-1"}},"parent":{"pid":3},"function_name":"security_file_open",
        "args":[{"file_arg":{"path":"/etc/shadow"}}],"action":"KPROBE_ACTION_SIGKILL","policy_name":"shadow"},
        "node_name":"n","time":"2026-11-23T15:37:49.000000105Z"}"#;
    let exit = r#"{"process_exit":{"process":{"pid":7},"signal":"SIGKILL","status":9},"time":"2026-11-23T15:37:50Z"}"#;
    let events = [json, exit].map(|json| read_event(json.as_bytes()).unwrap());
    sink.write(&mut events.iter()).unwrap();
    sink.finish().unwrap();
    let records = collector.records();
    assert_eq!(records.len(), 2);
    let (hook, exit) = (&records[0], &records[1]);
    assert_eq!(hook.event_name, "enforcer.process_kprobe");
    assert_eq!((hook.severity_number, hook.severity_text.as_str()), (13, "WARN"));
    assert_eq!(hook.time_unix_nano, 1_795_448_269_000_000_105);
    assert!(hook.observed_time_unix_nano > 1_700_000_000_000_000_000);
    let mut line = Vec::new();
    api::json::write_event(&events[0], &mut line);
    assert_eq!(text(hook.body.as_ref()), String::from_utf8(line).unwrap());
    let expected = [
        "process.pid=7",
        "process.executable.path=/bin/cat",
        "process.executable.name=cat",
        "process.command_line=/bin/cat /etc/shadow",
        "process.working_directory=/tmp",
        "process.creation.time=2026-11-23T15:37:49Z",
        "process.user.id=0",
        "thread.id=8",
        "enforcer.process.exec_id=x",
        "container.id=0123456789abcdef0123456789abcde",
        "k8s.namespace.name=ns",
        "k8s.pod.name=pod-1",
        "process.parent_pid=3",
        "file.path=/etc/shadow",
        "file.name=shadow",
        "enforcer.function=security_file_open",
        "enforcer.policy.name=shadow",
        "enforcer.action=SIGKILL",
    ];
    assert_eq!(attributes(&hook.attributes), expected);
    assert_eq!((exit.severity_number, exit.severity_text.as_str()), (9, "INFO"));
    let expected = [
        "process.pid=7",
        "process.exit.code=9",
        "process.exit.time=2026-11-23T15:37:50Z",
        "enforcer.signal=SIGKILL",
    ];
    assert_eq!(attributes(&exit.attributes), expected);
}

#[test]
fn what_a_filter_takes_away_is_nowhere_and_the_body_has_the_form_that_is_asked_for() {
    let collector = Collector::start("127.0.0.1:0", None, takes_all());
    let filters = api::filter::read_field_filters(r#"{"fields":"process.pid"}"#).unwrap();
    let fields = FieldFilters::compile(&filters).unwrap();
    let endpoint = format!("http://{}", collector.address);
    let mut sink = sink(OtlpOptions { fields, form: Form::Ecs, ..options(&endpoint) });
    let json = r#"{"process_exec":{"process":{"pid":7,"arguments":"secret"}},"time":"2026-11-23T15:37:50Z"}"#;
    sink.write(&mut std::iter::once(&read_event(json.as_bytes()).unwrap())).unwrap();
    sink.finish().unwrap();
    let record = &collector.records()[0];
    assert_eq!(attributes(&record.attributes), ["process.pid=7"]);
    assert!(!format!("{record:?}").contains("secret"));
    let body: serde_json::Value = serde_json::from_str(&text(record.body.as_ref())).unwrap();
    assert_eq!(body["event"]["dataset"], "enforcer.process_exec");
}

#[test]
fn a_collector_that_is_down_costs_what_finds_no_room_and_gets_the_rest_when_it_is_back() {
    let collector = Collector::start("127.0.0.1:0", None, takes_all());
    let address = collector.address.to_string();
    let line = 76; // bytes of an event with a number of two digits
    let mut sink = sink(OtlpOptions { bound: 100 * line, ..options(&format!("http://{address}")) });
    sink.write(&mut events(0..10).iter()).unwrap();
    wait_until("the first have arrived", || counts(&sink) == (10, 10, 0));
    assert_eq!(numbers(&collector.records()), (0..10).collect::<Vec<_>>());
    drop(collector);

    sink.write(&mut events(10..20).iter()).unwrap();
    wait_for_trouble(&mut sink, &format!("cannot write events to otlp http://{address}: Unavailable: "));
    assert!(sink.due().is_some());
    let error = sink.write(&mut events(20..300).iter()).unwrap_err().to_string();
    let (received, written, dropped) = counts(&sink);
    assert!(received == 300 && written == 10 && (150..250).contains(&dropped), "{written} {dropped}");
    assert!(error.contains(&format!("; {dropped} dropped, ")), "{error}");

    let collector = Collector::start(&address, None, takes_all());
    wait_until("the rest has arrived", || counts(&sink).1 == 300 - dropped);
    assert_eq!(numbers(&collector.records()), (10..300 - dropped).collect::<Vec<_>>());
    sink.tick().unwrap();
    sink.write(&mut events(300..310).iter()).unwrap();
    sink.finish().unwrap();
    assert_eq!(counts(&sink), (310, 310 - dropped, dropped));
}

#[test]
fn a_slow_collector_holds_up_nobody_and_the_end_comes_in_time() {
    let slow = |_| (Duration::from_mins(10), Ok(ExportLogsServiceResponse::default()));
    let collector = Collector::start("127.0.0.1:0", None, Box::new(slow));
    let mut sink = to(&collector);
    let start = Instant::now();
    for round in 0..20 {
        sink.write(&mut events(round * 500..(round + 1) * 500).iter()).unwrap();
    }
    assert!(start.elapsed() < Duration::from_secs(5), "nobody waits for it");
    let error = sink.finish().unwrap_err().to_string();
    let spent = start.elapsed();
    assert!(spent < Duration::from_secs(9), "{spent:?}");
    assert!(error.contains(" 10000 dropped, 0 bytes held back"), "{error}");
    assert_eq!(counts(&sink), (10_000, 0, 10_000));
}

#[test]
fn an_answer_that_takes_too_long_is_no_answer() {
    let first_is_slow = |number| {
        let wait = if number == 0 { Duration::from_mins(10) } else { Duration::ZERO };
        (wait, Ok(ExportLogsServiceResponse::default()))
    };
    let collector = Collector::start("127.0.0.1:0", None, Box::new(first_is_slow));
    let endpoint = format!("http://{}", collector.address);
    let mut sink = sink(OtlpOptions { timeout: Duration::from_millis(300), ..options(&endpoint) });
    sink.write(&mut events(0..3).iter()).unwrap();
    wait_until("it is sent again", || counts(&sink) == (3, 3, 0));
    assert_eq!(numbers(&collector.records()), [0, 1, 2]);
}

#[test]
fn what_is_refused_is_dropped_and_what_is_to_come_later_is_sent_again() {
    let answers = |number| {
        let answer = match number {
            0 => Err(Status::new(Code::InvalidArgument, "not\nthis")),
            1 => Err(Status::new(Code::ResourceExhausted, "too much")),
            2 => {
                let details = ErrorDetails::with_retry_info(Some(Duration::from_millis(1)));
                Err(Status::with_error_details(Code::ResourceExhausted, "in a moment", details))
            }
            3 => Ok(ExportLogsServiceResponse {
                partial_success: Some(ExportLogsPartialSuccess {
                    rejected_log_records: 2,
                    error_message: "too old".to_owned(),
                }),
            }),
            _ => Ok(ExportLogsServiceResponse::default()),
        };
        (Duration::ZERO, answer)
    };
    let collector = Collector::start("127.0.0.1:0", None, Box::new(answers));
    let mut sink = to(&collector);
    for (from, expected, says) in [
        (0, (10, 0, 10), "InvalidArgument: notthis; 10 dropped"),
        (10, (20, 0, 20), "ResourceExhausted: too much; 10 dropped"),
        (20, (30, 8, 22), "the collector refused some: too old; 2 dropped"),
    ] {
        drop(sink.write(&mut events(from..from + 10).iter()));
        wait_until("it is settled", || counts(&sink) == expected);
        let error = sink.tick().unwrap_err().to_string();
        assert!(error.contains(says), "{error}");
    }
    drop(sink.write(&mut events(30..40).iter()));
    sink.finish().unwrap();
    assert_eq!(counts(&sink), (40, 18, 22));
}

/// Passes one connection on to `address`; where, and how many bytes its client has sent.
fn tap(address: SocketAddr) -> (SocketAddr, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let here = listener.local_addr().unwrap();
    let sent = Arc::<AtomicUsize>::default();
    let counter = Arc::clone(&sent);
    std::thread::spawn(move || {
        let (mut client, _) = listener.accept().unwrap();
        let mut server = TcpStream::connect(address).unwrap();
        let (mut answers, mut back) = (server.try_clone().unwrap(), client.try_clone().unwrap());
        std::thread::spawn(move || std::io::copy(&mut answers, &mut back));
        let mut bytes = [0; 4096];
        while let Ok(size @ 1..) = client.read(&mut bytes) {
            counter.fetch_add(size, Ordering::Relaxed);
            server.write_all(&bytes[..size]).unwrap();
        }
    });
    (here, sent)
}

#[test]
fn with_gzip_a_request_is_a_fraction_of_what_it_is_without() {
    let sizes = [Compression::None, Compression::Gzip].map(|compression| {
        let collector = Collector::start("127.0.0.1:0", None, takes_all());
        let (address, sent) = tap(collector.address);
        let mut sink = sink(OtlpOptions { compression, ..options(&format!("http://{address}")) });
        sink.write(&mut events(0..500).iter()).unwrap();
        sink.finish().unwrap();
        assert_eq!(numbers(&collector.records()), (0..500).collect::<Vec<_>>());
        let header = collector.got.lock().unwrap().headers[0].get("grpc-encoding").cloned();
        assert_eq!(header.is_some_and(|header| header == "gzip"), compression == Compression::Gzip);
        sent.load(Ordering::Relaxed)
    });
    assert!(sizes[0] > 500 * 76 && sizes[1] * 3 < sizes[0], "{sizes:?}");
}
