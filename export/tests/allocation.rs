//! From an event to its line in the file nothing is allocated, once its processes are rendered and the buffer is large enough.
#![expect(clippy::unwrap_used, reason = "tests")]

#[path = "../../api/tests/counting/mod.rs"]
mod counting;

use api::event::Event;
use counting::ALLOCATIONS;
use export::json::{FileOptions, FileSink};
use export::sink::Sink as _;

fn events() -> Vec<Event> {
    let event = |number: u32| {
        let json = format!(
            r#"{{"process_kprobe":{{"process":{{"pid":7,"binary":"/bin/cat","arguments":"a b"}},"parent":{{"pid":1}},
                "function_name":"security_file_open","args":[{{"file_arg":{{"path":"/var/lib/data/{number}"}}}}],
                "action":"KPROBE_ACTION_POST","policy_name":"p"}},"node_name":"n","time":"2026-11-23T15:37:49Z"}}"#
        );
        api::json::read_event(json.as_bytes()).unwrap()
    };
    (0..500).map(event).collect()
}

#[test]
fn a_file_takes_events_without_an_allocation() {
    let folder = tempfile::tempdir().unwrap();
    let mut sink = FileSink::open(&folder.path().join("events.log"), FileOptions::default()).unwrap();
    let events = events();
    let before = ALLOCATIONS.get();
    sink.write(&mut events.iter()).unwrap();
    let between = ALLOCATIONS.get();
    for _ in 0..5 {
        sink.write(&mut events.iter()).unwrap();
    }
    let after = ALLOCATIONS.get();
    assert!(between > before, "the counter does not count");
    assert_eq!(after - between, 0, "of {} events", 5 * events.len());
    assert_eq!(sink.counters().counts().written, 3000);
}
