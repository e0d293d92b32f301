//! Millions of short processes through the pipeline: its memory stays where it is, and its tables within their bounds.

mod made;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::event::Event;
use api::filter::FilterLists;
use bpf_probes::abi::{ExecRecord, ExitRecord, ForkRecord};
use enforcer::pipeline::{Config, Hub, Pipeline, Replay, Subscribe, Totals};
use made::{INIT, Made, Renewed, exec, exit, fixed, fork, key, resident_kib};

/// Processes in a round.
const ROUND: usize = 500;
/// One in so many processes never ends.
const STAYS: usize = 10;
const TABLE: usize = 512;
const RELEASED: usize = 128;
/// What an allocator and a listener that is now fast and now slow may make of so small a process before a tenth is enough to have seen both.
const UNEVEN_KIB: u64 = 2048;
/// What a build for tests has time for; `cargo xtask test` and `bench` run two millions, the number of an hour, optimised.
const FEW: u64 = 100_000;

fn processes() -> u64 {
    std::env::var("ENFORCER_CHURN").ok().and_then(|count| count.parse().ok()).unwrap_or(FEW)
}

/// Three records of each of a round's processes; [`number`] gives them their names.
fn records() -> Vec<Box<[u64]>> {
    let nobody = key(0, 0);
    let arguments = [&b"worker\0--job\0"[..], &[b'x'; 200], b"\0"].concat();
    (0..ROUND).flat_map(|_| [fork(nobody), exec(nobody, 0, &arguments), exit(nobody)]).collect()
}

/// Makes the records those of the processes from `first` on. Numbers of processes come again after four millions, as in a kernel.
fn number(records: &mut [Box<[u64]>], first: u64) {
    for (of_one, index) in records.chunks_exact_mut(3).zip(first..) {
        let [forked, executed, exited] = of_one else { continue };
        let tgid = u32::try_from(index % 4_000_000).unwrap_or_default() + 100;
        let (begin, image) = (key(tgid, 10_000 + 10 * index), key(tgid, 10_001 + 10 * index));
        let record = fixed::<ForkRecord>(forked);
        (record.process, record.header.ktime) = (begin, begin.ktime);
        let record = fixed::<ExecRecord>(executed);
        (record.process, record.header.ktime, record.previous_ktime) = (image, image.ktime, begin.ktime);
        let record = fixed::<ExitRecord>(exited);
        // Who stays: its exit is that of one who is long gone.
        let stays = index.is_multiple_of(STAYS as u64);
        record.process = if stays { key(50, 1) } else { image };
        record.header.ktime = image.ktime + 1;
    }
}

/// Runs so many processes through a pipeline; what became of them, and what memory this process had after each tenth, in KiB.
fn run(processes: u64) -> (Totals, Vec<u64>) {
    let memory = Arc::new(Mutex::new(Vec::new()));
    let (mut done, samples) = (0, Arc::clone(&memory));
    let source = Made::new(vec![exec(INIT, 0, b"init\0")], move |round| {
        if round.len() == 1 {
            *round = records();
            number(round, 0);
            return Renewed::More;
        }
        done += ROUND as u64;
        if done % (processes / 10) < ROUND as u64 {
            samples.lock().expect("nobody panics").push(resident_kib());
        }
        if done >= processes {
            return Renewed::Over;
        }
        number(round, done);
        Renewed::More
    });
    let config = Config {
        process_entries: TABLE,
        released_entries: RELEASED,
        gc_interval: Duration::from_millis(50),
        proc_root: "/nonexistent".into(),
        ..Config::new("lab")
    };
    let hub = Hub::new();
    let mut listener =
        hub.subscribe(Subscribe { name: "reader".to_owned(), capacity: 200, filter: FilterLists::default() });
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        while let Some(delivery) = listener.recv_blocking() {
            for event in delivery.events() {
                text.clear();
                write(event, &mut text);
            }
        }
    });
    let handle = Pipeline::spawn(config, made::sources(source), made::layouts(), hub, Replay::default())
        .expect("a thread");
    while memory.lock().expect("nobody panics").len() < 10 {
        std::thread::sleep(Duration::from_millis(5));
    }
    handle.stop();
    let totals = handle.join().totals;
    reader.join().expect("the reader does not panic");
    let memory = memory.lock().expect("nobody panics").clone();
    (totals, memory)
}

fn write(event: &Event, text: &mut Vec<u8>) {
    api::json::write_event(event, text);
    assert!(text.len() > 100);
}

// proves: ENR-01 (bounds)
#[test]
#[expect(clippy::print_stderr, reason = "the figures of two million processes")]
fn memory_stays_flat_and_tables_within_their_bounds_whatever_the_churn() {
    let processes = processes();
    let (totals, memory) = run(processes);
    let (first, most) = (memory[0], memory.iter().copied().max().unwrap_or_default());
    let (last, table) = (memory[memory.len() - 1], totals.table);
    eprintln!(
        "churn: {processes} processes; {first} KiB after a tenth, {most} at most, {last} at the end; {} of {TABLE} processes in the table, {} of \
         {RELEASED} released",
        table.entries, table.released
    );
    let uneven = if processes > FEW { 0 } else { UNEVEN_KIB };
    assert!(most <= first + (first / 10).max(uneven), "{first} KiB after a tenth, {most} later: {memory:?}");
    assert!(totals.exec_events >= processes && totals.balanced(), "{totals:?}");
    assert!(table.entries <= TABLE && table.released <= RELEASED, "{table:?}");
    assert_eq!((totals.returns.waiting, totals.data.held), (0, 0));
    // Those who stay fill the table, and then push each other out.
    let stay = processes / STAYS as u64;
    assert_eq!(table.evicted > 0, stay > TABLE as u64, "{table:?}");
    assert!(table.removed >= processes, "{table:?}");
}
