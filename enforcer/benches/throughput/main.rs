//! What an event costs the daemon on its way from a ring to a file, and to one gRPC stream: lines `measure NAME VALUE` for `cargo xtask bench`.
//!
//! Records are made up before the clock runs and fed in front of the decoder, again and again. What is measured is the time that all threads of
//! this process spend on CPUs, in the kernel too: what one core would need that does nothing else. Who reads the stream is another process.

#[path = "../../tests/made/mod.rs"]
mod made;
mod reader;
mod stream;

use std::io::Write as _;
use std::path::Path;
use std::time::Duration;

use api::filter::FilterLists;
use enforcer::pipeline::{Config, Hub, Pipeline, PipelineHandle, Replay, Subscribe};
use export::json::{FileOptions, FileSink};
use export::sink::Sink as _;
use made::{INIT, Made, Renewed, exec, fork, hook, key};
use nix::sys::resource::{UsageWho, getrusage};

/// Processes whose opens are reported.
const PROCESSES: u32 = 64;
/// Records that come again and again.
const ROUND: u64 = 1024;
/// Events of a run.
const EVENTS: u64 = 500_000_u64.next_multiple_of(ROUND);
/// Runs; the one that was disturbed least counts.
const RUNS: u32 = 3;
/// Events that may wait for who takes them before further ones are made: few, as where whoever takes them keeps up.
const WAITING: usize = 2048;
/// Room for those, and for a round and the processes.
const CAPACITY: usize = 4 * WAITING;

/// Time that this process has spent on CPUs.
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

/// A pipeline that publishes [`EVENTS`] of hooks to the one subscriber of `hub`, no faster than it takes them.
fn pipeline(hub: &Hub) -> PipelineHandle {
    let (mut made, hooks, subscribers) = (0, hooks(), hub.clone());
    let source = Made::new(processes(), move |round| {
        if made == 0 {
            round.clone_from(&hooks);
        }
        if made >= EVENTS {
            return Renewed::Over;
        }
        while subscribers.stats().iter().any(|subscriber| subscriber.waiting > WAITING) {
            std::thread::sleep(Duration::from_millis(1));
        }
        made += ROUND;
        Renewed::More
    });
    let config = Config { proc_root: "/nonexistent".into(), count_events: true, ..Config::new("lab") };
    Pipeline::spawn(config, made::sources(source), made::layouts(), hub.clone(), Replay::default())
        .expect("a thread")
}

/// Waits until all was published, and sees that nothing was lost.
fn finish(pipeline: PipelineHandle) {
    let counters = pipeline.counters();
    while counters.totals().hook_events < EVENTS {
        std::thread::sleep(Duration::from_millis(1));
    }
    pipeline.stop();
    let summary = pipeline.join();
    assert!(summary.lost_by_subscribers == 0 && summary.totals.hook_events == EVENTS, "{summary:?}");
}

/// CPU time of a run to a JSON file, as one is written to that nobody configured.
fn to_file(folder: &Path) -> Duration {
    let mut sink = FileSink::open(&folder.join("events.log"), FileOptions::default()).expect("a file");
    let hub = Hub::new();
    let mut subscription = hub.subscribe(Subscribe {
        name: "file".to_owned(),
        capacity: CAPACITY,
        filter: FilterLists::default(),
    });
    let before = cpu_time();
    let pipeline = pipeline(&hub);
    let writer = std::thread::spawn(move || {
        while let Some(delivery) = subscription.recv_blocking() {
            sink.write(&mut delivery.events()).expect("there is room");
        }
        assert!(sink.counters().counts().written >= EVENTS);
    });
    finish(pipeline);
    writer.join().expect("everything is written");
    cpu_time().saturating_sub(before)
}

/// The least CPU time of some runs, in nanoseconds an event.
fn least(run: impl Fn() -> Duration) -> u128 {
    let least = (0..RUNS).map(|_| run()).min().unwrap_or_default();
    least.as_nanos() / u128::from(EVENTS)
}

fn main() {
    let mut arguments = std::env::args().skip(1).skip_while(|argument| argument.as_str() != reader::COMMAND);
    if let Some(socket) = arguments.nth(1) {
        return reader::read(&socket);
    }
    let folder = tempfile::tempdir().expect("a folder");
    let figures = [
        ("json_file_ns", least(|| to_file(folder.path()))),
        ("stream_ns", least(|| stream::run(folder.path()))),
    ];
    let mut out = std::io::stdout().lock();
    for (name, nanoseconds) in figures {
        let _no_reader = writeln!(out, "measure {name} {nanoseconds}");
    }
}
