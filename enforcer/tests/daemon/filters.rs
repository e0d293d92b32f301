//! What reaches the file and a stream: filters, fields, redaction, rate and aggregation in the running daemon.

use std::fs;
use std::process::Command;

use api::filter::{read_field_filters, read_filters};
use api::wire::get_events_response::Event;
use api::wire::{AggregationOptions, GetEventsRequest};

use super::instance::{Instance, Waiting, wait_until};
use super::policies::{add, of_path, openat_policy};

fn run(arguments: &[&str]) {
    assert!(Command::new("/bin/true").args(arguments).status().unwrap().success());
}

// proves: FLT-01 (export), FLT-12 (export), FLT-14 (arguments)
#[test]
fn root_the_file_has_what_its_filters_let_pass_and_nobody_has_what_is_redacted() {
    let instance = Instance::start(&[
        r#"--export-allowlist={"event_set":["PROCESS_EXEC"],"arguments_regex":["^filtered"]}"#,
        r#"--export-denylist={"arguments_regex":["denied"]}"#,
        r#"--field-filters={"fields":"process.arguments","action":"INCLUDE"}"#,
        r#"--redaction-filters={"redact":["--password=(\\S+)"],"binary_regex":["true$"]}"#,
    ]);
    let (runtime, mut client) = instance.client();
    let mut stream = runtime.block_on(client.get_events(GetEventsRequest::default())).unwrap().into_inner();
    run(&["filtered", "--password=secret"]);
    run(&["filtered", "denied"]);
    run(&["other"]);
    run(&["filtered", "last"]);
    let arguments = || -> Vec<String> {
        let texts = instance.events();
        texts.iter().map(|event| event["process_exec"].to_string()).collect()
    };
    let expected = [
        r#"{"process":{"arguments":"filtered --password=*****"}}"#,
        r#"{"process":{"arguments":"filtered last"}}"#,
    ];
    wait_until("the last is in the file", || arguments().last().is_some_and(|last| last == expected[1]));
    assert_eq!(arguments(), expected);
    loop {
        let event = runtime.block_on(stream.message()).unwrap().unwrap();
        let text = format!("{event:?}");
        assert!(!text.contains("secret"), "{text}");
        if text.contains("filtered last") {
            break;
        }
    }
}

// proves: FLT-15, EVT-10, EXP-05
#[test]
fn root_what_exceeds_the_rate_is_not_exported_and_counted_in_an_event() {
    let instance = Instance::start(&["--export-rate-limit=5"]);
    for _ in 0..20 {
        run(&["limited"]);
    }
    let directory = instance.directory.path().to_owned();
    instance.signal(nix::sys::signal::Signal::SIGTERM);
    wait_until("it has stopped", || instance.log().contains("enforcer stopped"));
    let text = fs::read_to_string(directory.join("events.log")).unwrap();
    let last: serde_json::Value = serde_json::from_str(text.lines().last().unwrap()).unwrap();
    let dropped = last["rate_limit_info"]["number_of_dropped_process_events"].as_str().unwrap();
    assert!(dropped.parse::<u64>().unwrap() >= 30, "{dropped}");
    assert!(text.lines().count() < 12, "{text}");
}

// proves: API-02, API-01 (events), FLT-12 (stream), FLT-16 (stream)
#[test]
fn root_a_stream_joins_events_and_has_the_fields_it_asks_for() {
    let instance = Instance::start(&[]);
    let file = instance.directory.path().join("often");
    fs::write(&file, "").unwrap();
    let path = file.display().to_string();
    let child = Waiting::start(&format!("i=0; while [ $i -lt 5 ]; do : < {path}; i=$((i+1)); done"));
    add(&instance, openat_policy("often", &of_path(&path))).unwrap();
    let request = GetEventsRequest {
        allow_list: read_filters(r#"{"policy_names":["often"]}"#).unwrap(),
        field_filters: read_field_filters(r#"{"fields":"process.pid,policy_name"}"#).unwrap(),
        aggregation_options: Some(AggregationOptions {
            window_size: Some(prost_types::Duration { seconds: 1, nanos: 0 }),
            channel_buffer_size: 0,
        }),
        ..GetEventsRequest::default()
    };
    let (runtime, mut client) = instance.client();
    let mut stream = runtime.block_on(client.get_events(request)).unwrap().into_inner();
    let pid = child.child.id();
    assert!(child.go().1.success());
    let mut count = 0;
    while count < 5 {
        let message = runtime.block_on(stream.message()).unwrap().unwrap();
        count += message.aggregation_info.map_or(1, |info| info.count);
        let Some(Event::ProcessKprobe(event)) = message.event else { continue };
        let process = event.process.unwrap();
        assert_eq!((process.pid, event.policy_name.as_str()), (Some(pid), "often"));
        assert!(process.binary.is_empty() && event.args.is_empty() && event.parent.is_none());
        assert!(count > 1, "what says the same is one event");
    }
    assert_eq!(count, 5);
}
