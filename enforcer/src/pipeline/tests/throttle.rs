//! Cgroups that are throttled: the events that say so, and what becomes of those that began meanwhile.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use api::event::{Event, EventKind};
use api::filter::FilterLists;
use api::name::ThrottleType;
use bpf_probes::abi::{ExitRecord, Header, RecordKind, THROTTLE_LASTS, ThrottleRecord, process_flag};

use super::super::clock::Clock;
use super::super::counters::NoEvent;
use super::super::identify::Replay;
use super::super::publish::{Hub, Subscribe};
use super::super::read::{Recorded, Sources, record_bytes};
use super::super::run::Pipeline;
use super::records::{Bench, INIT, config, exec, exit, fork, header, key, layouts};

const SECOND: u64 = 1_000_000_000;

fn throttled(cgroup_id: u64, name: &[u8], ktime: u64) -> Box<[u64]> {
    let mut fixed = ThrottleRecord { header: header(RecordKind::Throttle, ktime), cgroup_id, name: [0; 128] };
    fixed.name[..name.len()].copy_from_slice(name);
    record_bytes(&fixed, &[])
}

fn gone(tgid: u32, image: u64, ktime: u64) -> Box<[u64]> {
    let header = Header { kind: RecordKind::Gone as u8, ktime, ..Header::default() };
    record_bytes(&ExitRecord { header, process: key(tgid, image), code: 0, tid: tgid }, &[])
}

fn said(event: &Event) -> (ThrottleType, String, i64) {
    let EventKind::Throttle(throttle) = &event.kind else { panic!("{event:?}") };
    (throttle.kind, throttle.cgroup.to_string(), event.time.unwrap().nanos() - 1_000_000_000_000)
}

// proves: EVT-09, FLT-17 (events)
#[test]
fn a_cgroup_is_throttled_once_and_let_go_at_its_time_before_whatever_comes_later() {
    let mut bench = Bench::new(&config());
    let start = bench.one(throttled(7, b"session-4.scope", 10 * SECOND));
    assert_eq!(said(&start), (ThrottleType::Start, "session-4.scope".into(), 10_000_000_000));
    let again = [throttled(7, b"session-4.scope", 11 * SECOND), throttled(8, b"other", 12 * SECOND)];
    let other = bench.take(&again);
    assert_eq!(said(&other[0]), (ThrottleType::Start, "other".into(), 12_000_000_000));
    assert_eq!((other.len(), bench.stages.totals().no_event(NoEvent::Throttled)), (1, 1));

    let until = 11 * SECOND + THROTTLE_LASTS;
    let early = exec(key(20, until - 1), INIT, process_flag::CLONE, b"/bin/early");
    assert_eq!(bench.take(&[early.record()]).len(), 1);
    let late = exec(key(21, until), INIT, process_flag::CLONE, b"/bin/late");
    let events = bench.take(&[late.record()]);
    assert_eq!(said(&events[0]), (ThrottleType::Stop, "session-4.scope".into(), 17_000_000_000));
    assert_eq!((events.len(), events[1].process().unwrap().pid), (2, Some(21)));
    // the other one's time
    let ended = bench.take(&[exit(key(21, until), 13 * SECOND + THROTTLE_LASTS, 0)]);
    assert_eq!(said(&ended[0]).1, "other");
    let throttle = bench.stages.totals().throttle;
    assert_eq!((throttle.started, throttle.stopped, throttle.untold), (2, 2, 0));
}

#[test]
fn a_process_that_began_while_throttled_ends_without_an_event_and_leaves_the_table() {
    let mut bench = Bench::new(&config());
    let before = bench.stages.totals().table.running;
    // its fork was told, its exec not: it is known here by another image
    let events = bench.take(&[fork(key(30, 5_000), INIT), gone(30, 6_000, 7_000)]);
    assert_eq!(events, []);
    // and one that is known by the image that ends
    assert_eq!(bench.take(&[fork(key(31, 5_000), INIT), gone(31, 5_000, 7_000)]), []);
    // of which nothing is known
    assert_eq!(bench.take(&[gone(32, 5_000, 7_000)]), []);
    assert_eq!(bench.stages.totals().table.running, before);
    assert_eq!(bench.stages.totals().no_event(NoEvent::Withheld), 3);
    assert_eq!(bench.stages.totals().unknown_process, 0);
}

/// A clock that somebody else moves.
struct Moved(Arc<AtomicU64>);

impl Clock for Moved {
    fn boot(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    fn wall(&self) -> i64 {
        self.boot().cast_signed() + 1_000_000_000_000
    }
}

// proves: FLT-17 (a silent cgroup)
#[test]
fn a_cgroup_that_falls_silent_is_let_go_without_a_record() {
    let hub = Hub::new();
    let filter = FilterLists::none();
    let mut subscription = hub.subscribe(Subscribe { name: "test".to_owned(), capacity: 100, filter });
    let records = Recorded::new(vec![throttled(7, b"storm", 10 * SECOND)]);
    let sources = Sources { events: Box::new(records), enforcement: Box::new(Recorded::default()) };
    // a tenth of a second before it is let go
    let clock = Arc::new(AtomicU64::new(10 * SECOND + THROTTLE_LASTS + SECOND / 10));
    let moved = Box::new(Moved(Arc::clone(&clock)));
    let replay = Replay::default();
    let handle = Pipeline::spawn_with(config(), sources, layouts(), hub.clone(), replay, moved).unwrap();
    let mut seen = Vec::new();
    while seen.len() < 2 {
        let delivery = subscription.recv_blocking().unwrap();
        seen.extend(delivery.events().filter(|event| event.process().is_none()).map(said));
        clock.store(10 * SECOND + THROTTLE_LASTS + SECOND, Ordering::Relaxed);
    }
    assert_eq!(seen[0].0, ThrottleType::Start);
    assert_eq!((seen[1].0, seen[1].2), (ThrottleType::Stop, 16_000_000_000));
    handle.stop();
    assert!(handle.join().totals.balanced());
}
