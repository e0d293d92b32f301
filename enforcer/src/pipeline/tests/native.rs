//! The base programs of the running kernel, read by the pipeline.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::collections::HashMap;
use std::process::{Command, id};
use std::sync::Arc;

use api::event::Event;
use api::filter::FilterLists;
use api::name::EventType;
use bpf_probes::abi::{Counters, Loss, map_name};
use bpf_probes::builder::Facts;
use bpf_probes::load::probe::{ProbeOptions, kernel_view};
use bpf_probes::load::{Collection, Link, LoadContext, MapSet, Ring};
use bpf_probes::sensor::{self, BaseOptions, BaseTargets, Environment};
use zerocopy::IntoBytes;

use super::super::config::Config;
use super::super::identify::Replay;
use super::super::layout::Layouts;
use super::super::publish::{Hub, Subscribe};
use super::super::read::Sources;
use super::super::run::Pipeline;

const CHILDREN: u32 = 100;

fn load() -> Collection {
    let view = kernel_view(&ProbeOptions::default()).unwrap();
    let targets = BaseTargets::of(&view).unwrap();
    let spec = sensor::base_at(&Facts::of(&view), &targets, BaseOptions::default()).unwrap();
    let context = LoadContext::new(Some(view.btf())).unwrap();
    Collection::load(&spec, &MapSet::new(), &context).unwrap()
}

/// Children that run one program, some with arguments that do not fit a record, and one that becomes another program.
fn run_children(long: &str) -> Vec<u32> {
    let mut pids = Vec::new();
    for number in 0..CHILDREN {
        let last = if number % 10 == 0 { long } else { "short" };
        let mut child = Command::new("/bin/true").arg(format!("run {number}")).arg(last).spawn().unwrap();
        pids.push(child.id());
        child.wait().unwrap();
    }
    let mut child = Command::new("/bin/sh").args(["-c", "cd /tmp; exec /bin/true became"]).spawn().unwrap();
    pids.push(child.id());
    child.wait().unwrap();
    pids
}

// proves: EVT-01, EVT-02, EVT-17, ENR-14 (arguments)
#[test]
fn root_every_child_of_this_test_is_shown_with_its_parent_and_arguments() {
    let collection = load();
    let ring = |name| Box::new(Ring::open(collection.map(name).unwrap()).unwrap());
    let sources = Sources { events: ring(map_name::EVENTS), enforcement: ring(map_name::ENFORCEMENT) };
    let links: Vec<Link> = collection.programs().iter().map(|program| program.attach().unwrap()).collect();
    let mut replay = Replay::scan("/proc".as_ref(), Environment::Unread).unwrap();
    let processes = collection.map(map_name::PROCESSES).unwrap();
    let states: Vec<_> = replay.states().collect();
    for (tgid, state) in states {
        if !processes.insert(tgid.as_bytes(), state.as_bytes()).unwrap() {
            replay.known_to_kernel(tgid);
        }
    }
    let hub = Hub::new();
    let filter = FilterLists::none();
    let mut subscription = hub.subscribe(Subscribe { name: "test".to_owned(), capacity: 1 << 20, filter });
    let handle =
        Pipeline::spawn(Config::new("lab"), sources, Arc::new(Layouts::default()), hub, replay).unwrap();
    let long = "x".repeat(50_000);
    let pids = run_children(&long);
    drop(links);
    handle.stop();
    let summary = handle.join();
    assert!(summary.totals.balanced() && !summary.cut_short && summary.lost_by_subscribers == 0);
    let counters = collection.map(map_name::COUNTERS).unwrap().mapped().unwrap();
    let lost = |kind: Loss| {
        let place = std::mem::offset_of!(Counters, lost) + 8 * kind as usize;
        counters.load_u64(0, u32::try_from(place).unwrap()).unwrap()
    };
    assert_eq!(Loss::ALL.map(lost), [0; Loss::ALL.len()]);

    let mut lives: HashMap<u32, Vec<Event>> = HashMap::new();
    while let Some(delivery) = subscription.recv_blocking() {
        for event in delivery.events() {
            lives.entry(event.process().unwrap().pid.unwrap()).or_default().push(event.clone());
        }
    }
    let (became, children) = pids.split_last().unwrap();
    for (number, pid) in children.iter().enumerate() {
        let events = &lives[pid];
        let types: Vec<EventType> = events.iter().map(Event::event_type).collect();
        assert_eq!(types, [EventType::ProcessExec, EventType::ProcessExit]);
        let last = if number % 10 == 0 { &*long } else { "short" };
        for event in events {
            let process = event.process().unwrap();
            assert_eq!(*process.binary, *"/bin/true");
            assert_eq!(*process.arguments, *format!(" \"run {number}\" {last}"));
            assert_eq!(event.parent().unwrap().pid, Some(id()));
        }
    }
    let shown: Vec<(String, String, Option<u32>)> = lives[became]
        .iter()
        .map(|event| {
            let process = event.process().unwrap();
            (process.binary.to_string(), process.cwd.to_string(), event.parent().unwrap().pid)
        })
        .collect();
    let second = ("/bin/true".to_owned(), "/tmp".to_owned(), Some(*became));
    assert_eq!(shown[1..], [second.clone(), second]);
    assert_eq!((&*shown[0].0, shown[0].2), ("/bin/sh", Some(id())));
}
