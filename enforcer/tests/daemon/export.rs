//! The export file: put aside, moved away, removed, cut short by a kill; no line is lost or half.

use std::fs;
use std::io::Read as _;
use std::path::Path;
use std::process::Command;

use api::wire::event_log_service_client::EventLogServiceClient;
use api::wire::{GetEventLogParamsRequest, GetEventLogParamsResponse, SetEventLogParamsRequest};
use flate2::read::GzDecoder;
use nix::sys::signal::Signal;
use serde_json::Value;

use super::instance::{Instance, wait_until};

/// Runs `/bin/true` so many times, with `word` and a number.
fn run_programs(word: &str, count: u32) {
    let script = format!("i=0; while [ $i -lt {count} ]; do /bin/true {word} $i; i=$((i+1)); done");
    assert!(Command::new("/bin/sh").args(["-c", &script]).status().unwrap().success());
}

/// The lines of all export files in `directory`, the compressed ones too, and how many files these are.
fn lines(directory: &Path) -> (Vec<Value>, usize) {
    let names = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    let files: Vec<_> = names
        .filter(|path| path.file_name().unwrap().to_str().unwrap().starts_with("events"))
        .filter(|path| path.extension().is_some_and(|extension| extension != "tmp"))
        .collect();
    let text = |path: &Path| {
        let mut text = String::new();
        match path.extension().unwrap().to_str() {
            Some("gz") => GzDecoder::new(fs::File::open(path).unwrap()).read_to_string(&mut text).unwrap(),
            _ => fs::File::open(path).unwrap().read_to_string(&mut text).unwrap(),
        };
        text
    };
    let parse =
        |text: String| text.lines().map(|line| serde_json::from_str(line).unwrap()).collect::<Vec<_>>();
    (files.iter().map(|path| text(path)).flat_map(parse).collect(), files.len())
}

/// How often each number of `word` was run, by the events.
fn numbers(events: &[Value], word: &str) -> Vec<u32> {
    let arguments = events.iter().filter_map(|event| event["process_exec"]["process"]["arguments"].as_str());
    let mut numbers: Vec<u32> =
        arguments.filter_map(|text| text.strip_prefix(word)?.trim().parse().ok()).collect();
    numbers.sort_unstable();
    numbers
}

// proves: EXP-02
#[test]
fn root_a_file_that_is_put_aside_and_compressed_loses_no_line() {
    let arguments =
        ["--export-file-max-size-mb=1", "--export-file-max-backups=0", "--export-file-compress=true"];
    let instance = Instance::start(&arguments);
    run_programs("rotated", 1500);
    let directory = instance.directory.path().to_owned();
    let compressed = || {
        let names = fs::read_dir(&directory).unwrap().map(|entry| entry.unwrap().path());
        names.filter(|path| path.extension().is_some_and(|extension| extension == "gz")).count()
    };
    wait_until("files are put aside and compressed", || compressed() >= 2);
    // the last of them may be put aside already: what comes after it is looked for
    wait_until("all is written", || {
        run_programs("behind", 1);
        !numbers(&instance.events(), "behind").is_empty()
    });
    // The compression that may run now is over, or given up.
    instance.signal(Signal::SIGTERM);
    wait_until("it has stopped", || instance.log().contains("enforcer stopped"));
    let (events, files) = lines(&directory);
    assert_eq!(numbers(&events, "rotated"), (0..1500).collect::<Vec<_>>(), "{files} files");
}

// proves: EXP-02 (reopened)
#[test]
fn root_a_file_that_is_moved_away_is_followed_by_a_new_one_after_sighup() {
    let instance = Instance::start(&[]);
    let (path, moved) =
        (instance.directory.path().join("events.log"), instance.directory.path().join("events.log.1"));
    run_programs("before", 20);
    fs::rename(&path, &moved).unwrap();
    run_programs("between", 20);
    instance.signal(Signal::SIGHUP);
    wait_until("it has a new file", || path.exists());
    run_programs("after", 20);
    let found = |word: &str| numbers(&instance.events(), word).len();
    wait_until("events are in the new file", || found("after") == 20);
    let (events, _) = lines(instance.directory.path());
    for word in ["before", "between", "after"] {
        assert_eq!(numbers(&events, word), (0..20).collect::<Vec<_>>(), "{word}");
    }
    assert!(instance.stop().status.success());
}

#[test]
fn root_a_removed_file_is_made_anew() {
    let instance = Instance::start(&[]);
    let path = instance.directory.path().join("events.log");
    run_programs("first", 5);
    wait_until("events are in the file", || numbers(&instance.events(), "first").len() == 5);
    fs::remove_file(&path).unwrap();
    run_programs("second", 5);
    wait_until("events are in the new file", || numbers(&instance.events(), "second").len() == 5);
}

#[test]
fn root_a_killed_daemon_leaves_no_half_line_to_its_successor() {
    let mut directory = tempfile::tempdir().unwrap();
    for round in 0..3 {
        let instance = Instance::start_in(directory, &["--export-file-max-size-mb=1"]);
        run_programs("killed", 200 + round);
        directory = instance.kill();
        let path = directory.path().join("events.log");
        // As if the kernel had been stopped in the midst of a line, unless the file is a new one without any.
        let text = fs::read_to_string(&path).unwrap();
        fs::write(&path, text.get(..text.len().saturating_sub(7)).unwrap()).unwrap();
    }
    let instance = Instance::start_in(directory, &[]);
    let (events, _) = lines(instance.directory.path());
    assert!(!events.is_empty());
}

// proves: API-09, EXP-06
#[test]
fn root_the_rotation_is_changed_while_the_daemon_runs() {
    let instance = Instance::start(&["--export-file-rotation-interval=24h"]);
    let (runtime, channel) = instance.channel();
    let mut client = EventLogServiceClient::new(channel);
    let get = GetEventLogParamsRequest {};
    let before = runtime.block_on(client.get_event_log_params(get)).unwrap().into_inner();
    let expected =
        GetEventLogParamsResponse { max_size: 10, rotation_interval: "24h0m0s".to_owned(), max_backups: 5 };
    assert_eq!(before, expected);
    let set = SetEventLogParamsRequest {
        max_size: None,
        rotation_interval: Some("100ms".to_owned()),
        max_backups: Some(0),
    };
    runtime.block_on(client.set_event_log_params(set)).unwrap();
    run_programs("aside", 3);
    wait_until("the file is put aside", || lines(instance.directory.path()).1 >= 2);
    let after = runtime.block_on(client.get_event_log_params(get)).unwrap().into_inner();
    assert_eq!((after.max_size, after.rotation_interval.as_str(), after.max_backups), (10, "100ms", 0));
    let wrong = SetEventLogParamsRequest { max_size: Some(-1), ..SetEventLogParamsRequest::default() };
    assert_eq!(
        runtime.block_on(client.set_event_log_params(wrong)).unwrap_err().code(),
        tonic::Code::InvalidArgument
    );
}
