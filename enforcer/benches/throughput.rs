//! How many events a second of one core the event path carries to a file and to a stream: lines `measure NAME VALUE` for `cargo xtask bench`.
//!
//! Records are made up before the clock runs and fed in front of the decoder, again and again. What is divided by is the time that all threads of this process
//! spent on a CPU: what one core would need that does nothing else.

#[path = "../tests/made/mod.rs"]
mod made;

use std::io::Write as _;
use std::time::{Duration, Instant};

use api::convert::to_wire;
use api::filter::FilterLists;
use enforcer::pipeline::{Config, Delivery, Hub, Pipeline, Replay, Subscribe};
use export::json::{FileOptions, FileSink};
use export::sink::Sink as _;
use made::{INIT, Made, Renewed, Taken, exec, fork, hook, key};
use nix::sys::resource::{UsageWho, getrusage};
use prost::Message as _;

/// Processes whose opens are reported.
const PROCESSES: u32 = 64;
/// Records that come again and again.
const ROUND: u64 = 4096;
/// Events that are made.
const EVENTS: u64 = 2_000_000;
/// Events that may wait for who takes them.
const WAITING: u64 = 16 * ROUND;

/// Time that this process spent on CPUs.
fn cpu_time() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("it cannot fail for oneself");
    let micros =
        [usage.user_time(), usage.system_time()].map(|time| time.tv_sec() * 1_000_000 + time.tv_usec());
    Duration::from_micros(micros.iter().sum::<i64>().unsigned_abs())
}

fn processes() -> Vec<Box<[u64]>> {
    let mut records = vec![exec(INIT, 0, b"init\0")];
    for tgid in 0..PROCESSES {
        let (begin, image) = (key(1000 + tgid, 10_000), key(1000 + tgid, 20_000));
        records.push(fork(begin));
        records.push(exec(image, begin.ktime, b"worker\0--config\0/etc/worker.conf\0--threads\0four\0"));
    }
    records
}

fn hooks() -> Vec<Box<[u64]>> {
    (0..ROUND)
        .map(|number| {
            let tgid = 1000 + u32::try_from(number).unwrap_or_default() % PROCESSES;
            hook(key(tgid, 20_000), format!("/var/lib/worker/data/{number}.db").as_bytes())
        })
        .collect()
}

/// Events a second of one core that `take` takes, each of its deliveries.
fn events_a_second(name: &str, mut take: impl FnMut(&Delivery)) -> u64 {
    let taken = Taken::default();
    let (mut made, seen, hooks) = (0, taken.clone(), hooks());
    let source = Made::new(processes(), move |round| {
        if made == 0 {
            round.clone_from(&hooks);
        }
        if made >= EVENTS {
            return Renewed::Over;
        }
        if made > seen.get() + WAITING {
            return Renewed::NotYet;
        }
        made += ROUND;
        Renewed::More
    });
    let hub = Hub::new();
    let capacity = usize::try_from(4 * WAITING).unwrap_or(usize::MAX);
    let mut subscription =
        hub.subscribe(Subscribe { name: name.to_owned(), capacity, filter: FilterLists::default() });
    let config = Config { proc_root: "/nonexistent".into(), count_events: true, ..Config::new("lab") };
    let (before, began) = (cpu_time(), Instant::now());
    let pipeline = Pipeline::spawn(config, made::sources(source), made::layouts(), hub, Replay::default())
        .expect("a thread");
    while taken.get() < EVENTS {
        let Some(delivery) = subscription.recv_blocking() else { break };
        take(&delivery);
        taken.add(delivery.len() as u64);
    }
    let (spent, wall) = (cpu_time().saturating_sub(before), began.elapsed());
    pipeline.stop();
    let summary = pipeline.join();
    assert!(summary.lost_by_subscribers == 0 && summary.totals.hook_events >= EVENTS, "{summary:?}");
    let mut out = std::io::stdout().lock();
    let (cpu, wall) = (spent.as_millis(), wall.as_millis());
    let _no_reader = writeln!(out, "{name}: {} events, {cpu} ms of CPU in {wall} ms", taken.get());
    let rate = u128::from(taken.get()) * 1_000_000 / spent.as_micros().max(1);
    u64::try_from(rate).unwrap_or(u64::MAX)
}

fn main() {
    let folder = tempfile::tempdir().expect("a folder");
    let options = FileOptions::default();
    let mut sink = FileSink::open(&folder.path().join("events.log"), options).expect("a file");
    let file = events_a_second("json_file", |delivery| {
        sink.write(&mut delivery.events()).expect("there is room");
    });
    let mut buffer = Vec::new();
    let stream = events_a_second("stream", |delivery| {
        for event in delivery.events() {
            buffer.clear();
            to_wire(event).encode(&mut buffer).expect("a vector grows");
        }
    });
    let mut out = std::io::stdout().lock();
    for (name, rate) in [("json_file_events_a_second", file), ("stream_events_a_second", stream)] {
        let _no_reader = writeln!(out, "measure {name} {rate}");
    }
}
