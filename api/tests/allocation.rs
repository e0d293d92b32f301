//! Writing an event allocates nothing once its processes are rendered and the buffer is large enough, and neither does offering
//! one to an aggregation that does not hold its kind.
#![expect(clippy::unwrap_used, reason = "tests")]

mod counting;

use std::time::Instant;

use api::filter::{AGGREGATION_WINDOW, Aggregation, Offered};
use counting::ALLOCATIONS;

const EVENTS: [&str; 3] = [
    r#"{"process_exec":{"process":{"exec_id":"x","pid":7,"binary":"/bin/ls","arguments":"-l \" x","flags":"execve clone",
        "start_time":"2026-11-23T15:37:49.949105178Z","refcnt":1,"cap":{"effective":["CAP_KILL"]},
        "binary_properties":{"setuid":0,"file":{"inode":{"number":"5"}}}},"parent":{"pid":1}},"node_name":"n"}"#,
    r#"{"process_kprobe":{"process":{"pid":7},"function_name":"f","args":[{"file_arg":{"path":"/x"}},
        {"sock_arg":{"cookie":"18446744073709551615"}},{"bytes_arg":"AAAA"}],"action":"KPROBE_ACTION_SIGKILL",
        "policy_name":"p","message":"m","tags":["a","b"]},"node_name":"n","time":"2026-11-23T15:37:49.949105178Z"}"#,
    r#"{"process_exit":{"process":{"pid":7},"signal":"SIGKILL","time":"2026-11-23T15:37:49.949105178Z"}}"#,
];

#[test]
fn a_second_writing_of_an_event_allocates_nothing() {
    let mut out = Vec::with_capacity(1 << 16);
    for text in EVENTS {
        let event = api::json::read_event(text.as_bytes()).unwrap();
        let before = ALLOCATIONS.get();
        api::json::write_event(&event, &mut out);
        let between = ALLOCATIONS.get();
        api::json::write_event(&event, &mut out);
        let after = ALLOCATIONS.get();
        assert!(between > before, "the counter does not count");
        assert_eq!(after - between, 0, "{text}");
    }
}

#[test]
fn an_event_that_is_not_held_is_not_copied() {
    let text = r#"{"process_exec":{"process":{"pid":7},"ancestors":[{"pid":2},{"pid":1}]}}"#;
    let event = api::json::read_event(text.as_bytes()).unwrap();
    let mut aggregation = Aggregation::new(AGGREGATION_WINDOW, 10);
    let before = ALLOCATIONS.get();
    drop(event.clone());
    let between = ALLOCATIONS.get();
    assert!(between > before, "a copy allocates");
    assert_eq!(aggregation.offer(&event, Instant::now()), Offered::Passes);
    assert_eq!(ALLOCATIONS.get(), between);
}
