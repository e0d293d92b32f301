//! The thread: replay, both rings, batches, the end.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::cell::RefCell;
use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::time::Duration;

use api::event::Event;
use api::filter::FilterLists;
use bpf_probes::abi::{Action, process_flag};
use bpf_probes::load::Head;
use nix::sys::eventfd::{EfdFlags, EventFd};
use zerocopy::IntoBytes;

use super::super::clock::Clock;
use super::super::config::Config;
use super::super::identify::{Replay, RunningProcess};
use super::super::publish::{Hub, Subscribe, Subscription};
use super::super::read::{RecordSource, Recorded, Sources};
use super::super::run::{Pipeline, PipelineHandle};
use super::records::{Fixed, INIT, config, exec, exit, fork, hook, host, key, layouts};

const CLONE: u32 = process_flag::CLONE;

fn spawn(
    config: Config,
    events: Box<dyn RecordSource>,
    enforcement: Box<dyn RecordSource>,
    hub: &Hub,
    replay: Replay,
) -> PipelineHandle {
    let sources = Sources { events, enforcement };
    Pipeline::spawn_with(config, sources, layouts(), hub.clone(), replay, Box::new(Fixed)).unwrap()
}

fn subscribe(hub: &Hub) -> Subscription {
    let filter = FilterLists::none();
    hub.subscribe(Subscribe { name: "test".to_owned(), capacity: 1 << 20, filter })
}

fn read_all(mut subscription: Subscription) -> Vec<Event> {
    let mut events = Vec::new();
    while let Some(delivery) = subscription.recv_blocking() {
        events.extend(delivery.events().cloned());
    }
    events
}

fn pids(events: &[Event]) -> Vec<u32> {
    events.iter().map(|event| event.process().unwrap().pid.unwrap()).collect()
}

fn process(tgid: u32, parent_tgid: u32, binary: &str) -> RunningProcess {
    RunningProcess {
        tgid,
        parent_tgid,
        ktime: u64::from(tgid) * 1_000_000,
        binary: binary.into(),
        cwd: Some(b"/".to_vec()),
        auid: u32::MAX,
        ..RunningProcess::default()
    }
}

// proves: EVT-21
#[test]
fn processes_that_ran_before_come_first_parents_first_and_threads_of_the_kernel_do_not() {
    let kthread = RunningProcess { kernel_thread: true, ..process(2, 0, "[kthreadd]") };
    let processes =
        vec![process(7, 5, "/bin/child"), kthread, process(5, 1, "/bin/sh"), process(1, 0, "/sbin/init")];
    let mut replay = Replay::of(processes, host());
    replay.known_to_kernel(7);
    let hub = Hub::new();
    let subscription = subscribe(&hub);
    // The kernel side knows 7 by a key of its own, and that it was 7 000 000 before.
    let mut execed = exec(key(7, 9_000_000_000), key(5, 5_000_000), 0, b"/bin/new");
    execed.fixed.previous_ktime = 7_000_000;
    let kthread_exit = exit(key(2, 2_000_000), 9_500_000_000, 0);
    let records = Box::new(Recorded::new(vec![execed.record(), kthread_exit]));
    let handle = spawn(config(), records, Box::new(Recorded::default()), &hub, replay);
    handle.stop();
    let summary = handle.join();
    let events = read_all(subscription);
    assert_eq!(pids(&events), [0, 1, 5, 7]);
    let shown: Vec<(String, String)> = events
        .iter()
        .map(|event| {
            let process = event.process().unwrap();
            (process.binary.to_string(), process.flags.to_string())
        })
        .collect();
    assert_eq!(shown[0], ("<kernel>".into(), "procFS".into()));
    assert_eq!(shown[1], ("/sbin/init".into(), "procFS rootcwd".into()));
    assert_eq!(shown[3], ("/bin/new".into(), "execve rootcwd".into()));
    assert_eq!(events[0].parent().unwrap().pid, Some(0), "the kernel is its own parent");
    assert_eq!(*events[0].process().unwrap().exec_id, *"bGFiOjE6MA==");
    assert_eq!(*events[1].process().unwrap().parent_exec_id, *"bGFiOjE6MA==");
    assert_eq!(events[3].parent().unwrap().pid, Some(7));
    assert!(summary.totals.balanced() && !summary.cut_short && !summary.panicked);
    assert_eq!((summary.totals.replayed, summary.totals.read()), (3, 2));
}

#[test]
fn an_enforcement_is_published_between_the_exec_and_the_exit_of_its_process() {
    let hub = Hub::new();
    let subscription = subscribe(&hub);
    let (mut events, mut enforcement) =
        (vec![exec(INIT, key(0, 1), CLONE, b"/sbin/init").record()], Vec::new());
    for number in 0..1000_u32 {
        let start = u64::from(number) * 1_000 + 1_000_000_000;
        let (forked, process) = (key(100 + number, start), key(100 + number, start + 100));
        let mut execed = exec(process, INIT, CLONE, b"/bin/cat");
        execed.fixed.previous_ktime = forked.ktime;
        events.extend([fork(forked, INIT), execed.record(), exit(process, start + 300, 9)]);
        enforcement.push(hook(process, start + 200, Action::Sigkill, b"/etc/shadow"));
    }
    let (events, enforcement) = (Box::new(Recorded::new(events)), Box::new(Recorded::new(enforcement)));
    let handle = spawn(config(), events, enforcement, &hub, Replay::default());
    handle.stop();
    let totals = handle.join().totals;
    assert!(totals.balanced());
    assert_eq!((totals.events_ring, totals.enforcement_ring), (3001, 1000));
    assert_eq!(totals.unknown_process, 0);
    let events = read_all(subscription);
    let lives: Vec<u32> =
        events.iter().skip(2).map(|event| event.event_type().number().unsigned_abs()).collect();
    assert_eq!(lives, [1, 9, 5].repeat(1000));
    for life in events[2..].chunks(3) {
        assert!(
            life.iter().all(|event| event.process().unwrap().exec_id == life[0].process().unwrap().exec_id)
        );
        assert!(life.iter().all(|event| event.parent().unwrap().pid == Some(1)));
    }
}

#[test]
fn twenty_thousand_lives_leave_a_small_table() {
    let hub = Hub::new();
    let subscription = subscribe(&hub);
    let mut events = vec![exec(INIT, key(0, 1), CLONE, b"/sbin/init").record()];
    for number in 0..20_000_u32 {
        let start = u64::from(number) * 1_000 + 1_000_000_000;
        let tgid = 100 + number % 30_000;
        let (forked, process) = (key(tgid, start), key(tgid, start + 100));
        events.extend([
            fork(forked, INIT),
            exec(process, INIT, CLONE, b"/bin/true").record(),
            exit(process, start + 300, 0),
        ]);
    }
    let handle = spawn(
        config(),
        Box::new(Recorded::new(events)),
        Box::new(Recorded::default()),
        &hub,
        Replay::default(),
    );
    handle.stop();
    let totals = handle.join().totals;
    assert!(totals.balanced());
    assert_eq!((totals.exec_events, totals.exit_events, totals.unknown_process), (20_001, 20_000, 0));
    assert!(totals.table.entries <= 1024 + 4, "{:?}", totals.table);
    assert_eq!(totals.table.evicted, 0);
    assert_eq!(read_all(subscription).len(), 40_002);
}

/// A ring that another thread fills. Its records are leaked: this is a test.
struct Live {
    incoming: Receiver<Box<[u64]>>,
    wake: Arc<EventFd>,
    waiting: RefCell<VecDeque<&'static [u64]>>,
}

fn live() -> (Live, impl Fn(Box<[u64]>)) {
    let (sender, incoming): (SyncSender<Box<[u64]>>, _) = sync_channel(1 << 16);
    let wake = Arc::new(EventFd::from_flags(EfdFlags::EFD_NONBLOCK).unwrap());
    let waker = Arc::clone(&wake);
    let send = move |record| {
        sender.send(record).unwrap();
        waker.write(1).unwrap();
    };
    (Live { incoming, wake, waiting: RefCell::default() }, send)
}

impl RecordSource for Live {
    fn peek(&self) -> Head<'_> {
        let mut waiting = self.waiting.borrow_mut();
        if waiting.is_empty() {
            // Before the look: what comes after it wakes again.
            let _drained = self.wake.read();
            waiting.extend(self.incoming.try_iter().map(|record| &*Box::leak(record)));
        }
        waiting.front().map_or(Head::Empty, |record| Head::Record(record.as_bytes()))
    }

    fn advance(&self) {
        self.waiting.borrow_mut().pop_front();
    }

    fn release(&mut self) {}

    fn skip_all(&mut self) -> u64 {
        0
    }

    fn crowded(&self) -> bool {
        false
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        Some(self.wake.as_fd())
    }
}

#[test]
fn what_comes_while_the_thread_waits_is_published_at_once_and_what_is_left_at_the_stop_too() {
    let hub = Hub::new();
    let mut subscription = subscribe(&hub);
    let (events, send) = live();
    let handle = spawn(config(), Box::new(events), Box::new(Recorded::default()), &hub, Replay::default());
    let first = subscription.recv_blocking().unwrap();
    assert_eq!(first.events().next().unwrap().process().unwrap().pid, Some(0));
    send(exec(INIT, key(0, 1), CLONE, b"/sbin/init").record());
    let second = subscription.recv_blocking().unwrap();
    assert_eq!(second.events().next().unwrap().process().unwrap().pid, Some(1));
    for number in 0..1000 {
        send(exec(key(10 + number, 1_000), INIT, CLONE, b"/bin/x").record());
    }
    handle.stop();
    let summary = handle.join();
    assert!(!summary.cut_short);
    assert_eq!(summary.totals.exec_events, 1001);
    assert_eq!(read_all(subscription).len(), 1000);
}

/// The clocks of [`Fixed`], of which somebody sets the one on the wall: seconds to add.
struct Stepped(Arc<AtomicI64>);

impl Clock for Stepped {
    fn boot(&self) -> u64 {
        Fixed.boot()
    }

    fn wall(&self) -> i64 {
        Fixed.wall() + self.0.load(Ordering::Relaxed) * 1_000_000_000
    }
}

#[test]
fn the_first_event_after_the_clock_was_set_while_the_thread_waited_has_the_new_time() {
    let hub = Hub::new();
    let mut subscription = subscribe(&hub);
    let (events, send) = live();
    let sources = Sources { events: Box::new(events), enforcement: Box::new(Recorded::default()) };
    let step = Arc::new(AtomicI64::new(0));
    let clock = Box::new(Stepped(Arc::clone(&step)));
    let handle =
        Pipeline::spawn_with(config(), sources, layouts(), hub.clone(), Replay::default(), clock).unwrap();
    let mut time_of_next = || {
        let delivery = subscription.recv_blocking().unwrap();
        delivery.events().next().unwrap().time.unwrap().nanos() / 1_000_000_000
    };
    time_of_next();
    send(exec(INIT, key(0, 1), CLONE, b"/sbin/init").record());
    assert_eq!(time_of_next(), 1_000);
    std::thread::sleep(Duration::from_millis(100));
    step.store(-500, Ordering::Relaxed);
    send(exec(key(10, 1_000), INIT, CLONE, b"/bin/x").record());
    assert_eq!(time_of_next(), 500);
    handle.stop();
    assert!(handle.join().totals.balanced());
}

/// A ring that is never empty.
struct Endless(Box<[u64]>);

impl RecordSource for Endless {
    fn peek(&self) -> Head<'_> {
        Head::Record(self.0.as_bytes())
    }

    fn advance(&self) {}

    fn release(&mut self) {}

    fn skip_all(&mut self) -> u64 {
        0
    }

    fn crowded(&self) -> bool {
        false
    }

    fn fd(&self) -> Option<BorrowedFd<'_>> {
        None
    }
}

#[test]
fn a_flood_does_not_keep_the_thread_from_ending() {
    let hub = Hub::new();
    let endless = Endless(hook(INIT, 5, Action::Post, b"/x"));
    let config = Config { drain_limit: Duration::from_millis(20), ..config() };
    let handle = spawn(config, Box::new(endless), Box::new(Recorded::default()), &hub, Replay::default());
    handle.stop();
    let summary = handle.join();
    assert!(summary.cut_short && summary.totals.balanced());
}
