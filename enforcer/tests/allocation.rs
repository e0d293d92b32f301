//! Between a record in front of the decoder and its line in the file nothing is allocated for an event, once its process is in the table and rendered, and memory
//! of earlier events has come back. What is allocated are two pieces for each batch of up to 256 events: the place for all of them, and what its takers share it by. All threads are counted.

#[path = "../../api/tests/counting/mod.rs"]
mod counting;
mod made;

use std::io::Read as _;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use api::event::Node;
use api::filter::FilterLists;
use api::wire::Filter;
use bpf_probes::abi::{Endpoints, SocketValue};
use counting::OF_ALL_THREADS;
use enforcer::pipeline::{Config, HookLayout, Hub, Layouts, Pipeline, Replay, Subscribe, ValueLayout};
use export::json::{FileOptions, FileSink};
use export::sink::Sink as _;
use export::{Shape, Shaped};
use made::{INIT, Made, Renewed, Taken, exec, fork, hook, hook_with, key};
use tracing_policy::ir::{NetworkType, ObjectKind};
use tracing_policy::policy::{EventForm, ValueKind};
use zerocopy::IntoBytes as _;

/// Number of the layout of a hook with a value of each common kind.
const ALL: u32 = 2;
/// Events that come at once; the next ones come when all of them are in the file.
const ROUND: u64 = 600;
/// Rounds before and while allocations are counted, all of which one file takes.
const BEFORE: u64 = 4;
const COUNTED: u64 = 8;

fn layouts() -> Arc<Layouts> {
    let layouts = made::layouts();
    let kinds = [
        ValueKind::Path,
        ValueKind::String,
        ValueKind::Int32,
        ValueKind::Bytes,
        ValueKind::Object(ObjectKind::Network(NetworkType::Sock)),
    ];
    let values = kinds.map(|kind| ValueLayout { kind, label: "label".into() }).to_vec();
    let form = EventForm::Kprobe;
    layouts.insert(ALL, HookLayout { form, function_name: "f".into(), values, ..HookLayout::default() });
    layouts
}

/// Every other hook has a file only, the others a value of each kind.
fn hooks() -> Vec<Box<[u64]>> {
    let (worker, endpoints) = (key(1000, 20_000), Endpoints { family: 2, ..Endpoints::default() });
    let socket = SocketValue { endpoints, kind: 1, state: 1, ..SocketValue::default() };
    (0..ROUND)
        .map(|number| {
            let path = format!("/var/lib/worker/data/{number}.db");
            if number % 2 == 0 {
                return hook(worker, path.as_bytes());
            }
            let buffer = [&6_u64.to_ne_bytes()[..], b"buffer"].concat();
            let values: [(u16, &[u8]); 5] = [
                (0o040_755, path.as_bytes()),
                (0, b"text\0"),
                (0, &7_u64.to_ne_bytes()),
                (0, &buffer),
                (0, socket.as_bytes()),
            ];
            hook_with(worker, ALL, &values)
        })
        .collect()
}

/// Writes what a filter lets pass of [`BEFORE`] and [`COUNTED`] rounds to `file`; how much was allocated in the latter, and in how many batches the events came.
fn allocations(file: &Path) -> [u64; 2] {
    let (taken, batches) = (Taken::default(), Taken::default());
    let figures = Arc::new(Mutex::new(Vec::new()));
    let (of_source, seen, hooks) = (Arc::clone(&figures), (taken.clone(), batches.clone()), hooks());
    let mut rounds = 0;
    let source = Made::new(
        vec![exec(INIT, 0, b"init\0"), fork(key(1000, 10_000)), exec(key(1000, 20_000), 10_000, b"worker\0")],
        move |round| {
            if seen.0.get() < rounds * ROUND {
                return Renewed::NotYet;
            }
            if rounds == 0 {
                round.clone_from(&hooks);
            }
            if rounds == BEFORE || rounds == BEFORE + COUNTED {
                let figure = [OF_ALL_THREADS.load(Ordering::SeqCst), seen.1.get()];
                of_source.lock().expect("nobody panics").push(figure);
            }
            rounds += 1;
            if rounds > BEFORE + COUNTED { Renewed::Over } else { Renewed::More }
        },
    );
    let hub = Hub::new();
    // Executions do not pass, events of hooks do.
    let only = Filter { event_set: vec![9], binary_regex: vec!["/worker$".to_owned()], ..Filter::default() };
    let filter = FilterLists::compile(&[only], &[]).expect("a filter");
    let mut subscription = hub.subscribe(Subscribe { name: "file".to_owned(), capacity: 10_000, filter });
    let sink = FileSink::open(file, FileOptions::default()).expect("a file");
    let mut sink = Shaped::new(sink, Shape::default(), Arc::new(Node::named("lab")));
    let writer = std::thread::spawn(move || {
        // At first a round is let go of as a whole: never again do so many events wait.
        let (mut held, mut events) = (Vec::new(), 0);
        while let Some(delivery) = subscription.recv_blocking() {
            events += delivery.len() as u64;
            sink.write(&mut delivery.events()).expect("there is room");
            batches.add(1);
            held.push(delivery);
            if events == ROUND || taken.get() >= BEFORE * ROUND {
                held.clear();
                taken.add(std::mem::take(&mut events));
            }
        }
    });
    let config = Config { proc_root: "/nonexistent".into(), count_events: true, ..Config::new("lab") };
    let pipeline =
        Pipeline::spawn(config, made::sources(source), layouts(), hub, Replay::default()).expect("a thread");
    while figures.lock().expect("nobody panics").len() < 2 {
        std::thread::sleep(Duration::from_millis(1));
    }
    pipeline.stop();
    let summary = pipeline.join();
    writer.join().expect("everything is written");
    assert_eq!(summary.totals.hook_events, (BEFORE + COUNTED) * ROUND);
    let figures = figures.lock().expect("nobody panics");
    let &[before, after] = figures.as_slice() else { return [u64::MAX, 0] };
    [after[0] - before[0], after[1] - before[1]]
}

#[test]
fn no_event_of_a_hook_allocates_on_its_way_from_the_record_to_the_file() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("events.log");
    let [allocations, batches] = allocations(&path);
    let mut lines = String::new();
    std::fs::File::open(&path).and_then(|mut file| file.read_to_string(&mut lines)).expect("lines");
    assert_eq!(lines.lines().count() as u64, (BEFORE + COUNTED) * ROUND);
    for shown in ["599.db\",\"permission\":\"drwxr-xr-x", "text", "\"int_arg\":7", "YnVmZmVy", "SOCK_STREAM"]
    {
        assert!(lines.contains(shown), "{shown}");
    }
    assert!(batches >= COUNTED, "the batches are not counted");
    // A batch has an allocation or two; one that is not full has a list that grows.
    let events = COUNTED * ROUND;
    let allowed = 2 * batches + COUNTED * 8;
    assert!(allocations <= allowed, "{allocations} in {batches} batches of {events} events");
}
