//! Cgroups whose processes begin and end too often: what the base programs count, say and withhold.

use std::num::NonZeroU32;
use std::time::Duration;

use bpf_probes::abi::{
    ClassSet, Control, Counters, Header, Loss, ProcessState, RecordKind, THROTTLE_LASTS, ThrottleRecord,
    Withheld, map_name,
};
use bpf_probes::emulate::{Context, Machine};
use bpf_probes::kernel::KernelView;
use bpf_probes::sensor::{BaseOptions, CgroupRate, base};
use bpf_probes::spec::ProgramKind;
use zerocopy::{FromBytes, IntoBytes};

use crate::kernel::{leader, object, populate, real_parent, recorded, text};

const KERNELS: [&str; 5] = ["5.10", "6.1", "6.12", "6.18", "7.2"];
const SECOND: u64 = 1_000_000_000;
/// The process that everything happens to.
const PROCESS: u32 = 77;

/// A kernel with throttling base programs and one process in the cgroup `storm`.
struct Storm {
    machine: Machine,
    kinds: [ProgramKind; 3],
    bprm: u64,
}

fn rate(events: u32, interval: Duration) -> CgroupRate {
    CgroupRate::new(NonZeroU32::new(events).unwrap(), interval).unwrap()
}

impl Storm {
    fn new(view: &KernelView, rate: CgroupRate) -> Self {
        Self::with_ring(view, rate, 1 << 20)
    }

    fn with_ring(view: &KernelView, rate: CgroupRate, ring_bytes: u32) -> Self {
        let cgroup_rate = Some(rate);
        let spec = base(view, BaseOptions { cgroup_rate, ring_bytes, ..BaseOptions::default() }).unwrap();
        let kinds = ["fork", "exec", "exit"]
            .map(|name| spec.programs.iter().find(|program| program.name == name).unwrap().kind);
        let mut machine = Machine::new(&spec).unwrap();
        let mut objects = populate(&mut machine, view);
        let file = objects.file(&mut machine, view, "/bin/x", 0o100_755);
        leader(&mut machine, view, PROCESS);
        real_parent(&mut machine, view, 1);
        machine.world_mut().task.tgid = PROCESS;
        machine.world_mut().task.tid = PROCESS;
        let name = text(&mut machine, "storm");
        let node = object(&mut machine, view, "kernfs_node", &[("name", name)]);
        let cgroup = object(&mut machine, view, "cgroup", &[("kn", node)]);
        let set = object(&mut machine, view, "css_set", &[("dfl_cgrp", cgroup)]);
        let task = machine.world().task.address;
        crate::kernel::set(&mut machine, view, (task, "task_struct", "cgroups"), set);
        let signal = object(&mut machine, view, "signal_struct", &[]);
        crate::kernel::set(&mut machine, view, (task, "task_struct", "signal"), signal);
        let bprm = object(&mut machine, view, "linux_binprm", &[("file", file)]);
        Self { machine, kinds, bprm }
    }

    fn at(&mut self, time: u64) -> &mut Self {
        self.machine.world_mut().clock.boot = time;
        self
    }

    fn run(&mut self, name: &str, kind: ProgramKind, kprobe: u64, tracepoint: &[u64]) -> Vec<Header> {
        let context = if kind == ProgramKind::Kprobe {
            Context::kprobe([kprobe, 1, 0, 0, 0, 0])
        } else {
            Context::arguments(tracepoint)
        };
        if let Err(fault) = self.machine.run(name, context) {
            panic!("{name}: {fault}");
        }
        let records = self.machine.ring_mut(map_name::EVENTS).unwrap().drain();
        let header = |bytes: &[u8]| Header::read_from_prefix(bytes).unwrap().0;
        records.iter().map(|record| header(&record.bytes)).collect()
    }

    fn fork(&mut self) -> Vec<Header> {
        let task = self.machine.world().task.address;
        self.run("fork", self.kinds[0], task, &[0, task])
    }

    fn exec(&mut self) -> Vec<Header> {
        self.run("exec", self.kinds[1], self.bprm, &[0, 0, self.bprm])
    }

    fn exit(&mut self) -> Vec<Header> {
        let task = self.machine.world().task.address;
        self.run("exit", self.kinds[2], task, &[task])
    }

    fn kinds(headers: &[Header]) -> Vec<RecordKind> {
        headers.iter().map(|header| RecordKind::from_number(header.kind).unwrap()).collect()
    }

    fn counter(&self, at: usize) -> u64 {
        let counters = self.machine.map(map_name::COUNTERS).unwrap().lookup(&[0; 4]).unwrap();
        u64::read_from_bytes(&counters[at..at + 8]).unwrap()
    }

    fn withheld(&self) -> [u64; 2] {
        let base = std::mem::offset_of!(Counters, withheld);
        Withheld::ALL.map(|kind| self.counter(base + 8 * kind as usize))
    }

    fn state(&self) -> Option<ProcessState> {
        let map = self.machine.map(map_name::PROCESSES).unwrap();
        map.lookup(&PROCESS.to_ne_bytes()).map(|bytes| ProcessState::read_from_bytes(bytes).unwrap())
    }
}

use RecordKind::{Exec, Exit, Fork, Gone, Throttle};

// proves: FLT-17 (counts in the kernel)
#[test]
fn what_exceeds_the_rate_is_withheld_until_it_was_kept_for_five_seconds() {
    for kernel in KERNELS {
        let view = recorded(kernel);
        let mut it = Storm::new(&view, rate(4, Duration::from_secs(1)));
        let start = 100 * SECOND;
        for step in 0..4 {
            assert_eq!(Storm::kinds(&it.at(start + step).exec()), [Exec], "{kernel}: {step}");
        }
        // the fifth within a second
        let said = it.at(start + 4).exec();
        assert_eq!(Storm::kinds(&said), [Throttle], "{kernel}");
        assert_eq!(it.withheld(), [1, 0], "{kernel}");
        // a rate that is still exceeded is told again once a second
        for step in 0..10 {
            assert!(it.at(start + 5 + step).exec().is_empty(), "{kernel}: {step}");
        }
        assert_eq!(Storm::kinds(&it.at(start + 4 + SECOND).exec()), [Throttle], "{kernel}");
        assert_eq!(it.withheld(), [12, 0], "{kernel}");
        // it is kept now, and not yet trusted
        let told = start + 4 + SECOND;
        for second in 2..6 {
            assert!(it.at(told + second * SECOND).exec().is_empty(), "{kernel}: {second}");
        }
        assert!(it.at(told + THROTTLE_LASTS - 1).exec().is_empty(), "{kernel}");
        assert_eq!(Storm::kinds(&it.at(told + THROTTLE_LASTS).exec()), [Exec], "{kernel}");
        assert_eq!(it.withheld(), [17, 0], "{kernel}");
    }
}

#[test]
fn the_rate_is_that_of_the_last_interval_wherever_it_begins() {
    let view = recorded("6.12");
    // ten in the second half of a second, and ten in the first half of the next
    let mut it = Storm::new(&view, rate(15, Duration::from_secs(1)));
    let start = 100 * SECOND;
    let mut taken = Storm::kinds(&it.at(start).exec()).len();
    for step in 0..10 {
        let headers = it.at(start + 900_000_000 + step).exec();
        taken += usize::from(Storm::kinds(&headers) == [Exec]);
    }
    assert_eq!(taken, 11);
    let begun = (0..10).map(|step| Storm::kinds(&it.at(start + SECOND + step).exec()));
    let begun: Vec<_> = begun.collect();
    // nearly all 11 of the second before count, which makes ten, so that the sixth is the sixteenth
    assert!(begun[..5].iter().all(|kinds| *kinds == [Exec]), "{begun:?}");
    assert_eq!(begun[5], [Throttle]);
    assert!(begun[6..].iter().all(Vec::is_empty), "{begun:?}");
    // of a second before that lies far back nothing counts
    let mut it = Storm::new(&view, rate(15, Duration::from_secs(1)));
    for second in [0, 2, 4] {
        for step in 0..15 {
            let headers = it.at(start + second * SECOND + step).exec();
            assert_eq!(Storm::kinds(&headers), [Exec], "{second}, {step}");
        }
    }
}

#[test]
fn long_and_short_intervals_are_counted_without_overflow() {
    let view = recorded("5.10");
    for (interval, pause) in [
        (Duration::from_millis(1), 2_000_000),
        (Duration::from_hours(24), 3 * 86_400 * SECOND),
        (Duration::from_nanos(1_234_567_891), 3 * SECOND),
    ] {
        let mut it = Storm::new(&view, rate(3, interval));
        let mut now = 100 * SECOND;
        for round in 0..3 {
            for step in 0..3 {
                assert_eq!(Storm::kinds(&it.at(now + step).exec()), [Exec], "{interval:?} {round} {step}");
            }
            now += pause;
        }
        let mut last = Vec::new();
        for step in 0..4 {
            last = it.at(now + step).exec();
        }
        assert_eq!(Storm::kinds(&last), [Throttle], "{interval:?}");
    }
}

// proves: FLT-17 (exits, forks and classes under throttling)
#[test]
fn who_began_while_throttled_ends_without_an_event_and_who_was_reported_ends_with_one() {
    for kernel in KERNELS {
        let view = recorded(kernel);
        let mut it = Storm::new(&view, rate(3, Duration::from_secs(1)));
        let start = 100 * SECOND;
        // fork, exec, exit: three in all
        assert_eq!(Storm::kinds(&it.at(start).fork()), [Fork], "{kernel}");
        assert_eq!(Storm::kinds(&it.at(start + 1).exec()), [Exec], "{kernel}");
        assert_eq!(Storm::kinds(&it.at(start + 2).exit()), [Exit], "{kernel}");
        assert_eq!(it.state(), None, "{kernel}");
        // the next one's fork is sent all the same, its exec is not, and its exit says that it is gone
        assert_eq!(Storm::kinds(&it.at(start + 3).fork()), [Throttle, Fork], "{kernel}");
        assert!(it.at(start + 4).exec().is_empty(), "{kernel}");
        let state = it.state().unwrap();
        assert_eq!((state.throttled, state.ktime), (1, start + 4), "{kernel}: it is known all the same");
        assert_eq!(Storm::kinds(&it.at(start + 5).exit()), [Gone], "{kernel}");
        assert_eq!(it.withheld(), [1, 1], "{kernel}");
        // who was reported before ends with an event, though the cgroup is throttled meanwhile
        let quiet = start + 2 * THROTTLE_LASTS;
        assert_eq!(Storm::kinds(&it.at(quiet).exec()), [Exec], "{kernel}");
        for _ in 0..3 {
            it.fork();
        }
        let state = ProcessState { ktime: quiet, ..ProcessState::default() };
        let processes = it.machine.map_mut(map_name::PROCESSES).unwrap();
        processes.update(&PROCESS.to_ne_bytes(), state.as_bytes()).unwrap();
        assert_eq!(Storm::kinds(&it.at(quiet + 4).exit()), [Exit], "{kernel}");
        assert_eq!(it.withheld(), [1, 1], "{kernel}");
    }
}

/// Enforcement looks at classes: they are given whether the exec is reported or not.
#[test]
fn a_withheld_exec_is_classified() {
    for kernel in KERNELS {
        let view = recorded(kernel);
        let mut it = Storm::new(&view, rate(1, Duration::from_secs(1)));
        let control = it.machine.map_mut(map_name::CONTROL).unwrap();
        let mut cells = control.lookup(&[0; 4]).unwrap().to_vec();
        cells[std::mem::offset_of!(Control, tables)] = 1;
        control.update(&[0; 4], &cells).unwrap();
        let mut key = bpf_probes::abi::BinaryKey { prefix_bits: 8 * 7, path: [0; 256] };
        key.path[..6].copy_from_slice(b"/bin/x");
        let mut classes = ClassSet::default();
        classes.insert(9);
        let binaries = it.machine.map_mut(map_name::BINARIES).unwrap();
        binaries.update(key.as_bytes(), classes.as_bytes()).unwrap();
        it.at(100 * SECOND).exec();
        assert_eq!(Storm::kinds(&it.at(100 * SECOND + 1).exec()), [Throttle], "{kernel}");
        let state = it.state().unwrap();
        assert!(state.throttled == 1 && state.classes.contains(9), "{kernel}: {state:?}");
    }
}

#[test]
fn cgroups_and_cpus_are_counted_apart_and_the_record_names_the_cgroup() {
    for kernel in KERNELS {
        let view = recorded(kernel);
        let mut it = Storm::new(&view, rate(2, Duration::from_secs(1)));
        for (cgroup, cpu) in [(5, 0), (6, 0), (5, 1), (6, 1)] {
            it.machine.world_mut().task.cgroup_id = cgroup;
            it.machine.world_mut().cpu = cpu;
            for _ in 0..2 {
                assert_eq!(Storm::kinds(&it.at(100 * SECOND).exec()), [Exec], "{kernel}");
            }
        }
        it.machine.run("exec", context(&it)).unwrap();
        let records = it.machine.ring_mut(map_name::EVENTS).unwrap().drain();
        let record = ThrottleRecord::read_from_bytes(&records[0].bytes).unwrap();
        assert_eq!((record.cgroup_id, record.header.ktime), (6, 100 * SECOND), "{kernel}");
        assert_eq!(record.name[..6], *b"storm\0", "{kernel}");
        assert!(record.name[6..].iter().all(|byte| *byte == 0), "{kernel}");
        assert_eq!(records[0].unwritten, 0);
    }
}

fn context(it: &Storm) -> Context {
    if it.kinds[1] == ProgramKind::Kprobe {
        Context::kprobe([it.bprm, 0, 0, 0, 0, 0])
    } else {
        Context::arguments(&[0, 0, it.bprm])
    }
}

/// What nobody was told of is not withheld.
#[test]
fn a_cgroup_that_cannot_be_announced_is_not_throttled() {
    let view = recorded("6.12");
    let mut it = Storm::with_ring(&view, rate(60, Duration::from_secs(1)), 4096);
    it.at(100 * SECOND);
    let lost = |it: &Storm, loss| it.counter(std::mem::offset_of!(Counters, lost) + 8 * loss as usize);
    // nobody reads the ring, which is full before the rate is exceeded
    for _ in 0..60 {
        it.machine.run("exec", context(&it)).unwrap();
    }
    let before = lost(&it, Loss::Exec);
    assert!(before > 0);
    it.machine.run("exec", context(&it)).unwrap();
    assert_eq!((lost(&it, Loss::Throttle), lost(&it, Loss::Exec), it.withheld()), (1, before + 1, [0, 0]));
    it.machine.ring_mut(map_name::EVENTS).unwrap().drain();
    assert_eq!(Storm::kinds(&it.exec()), [Throttle]);
    assert_eq!((lost(&it, Loss::Throttle), it.withheld()), (1, [1, 0]));
}

/// Without the option the programs are what they are, and bring no map.
#[test]
fn who_does_not_ask_for_it_pays_nothing() {
    for kernel in KERNELS {
        let view = recorded(kernel);
        let spec = |cgroup_rate| base(&view, BaseOptions { cgroup_rate, ..BaseOptions::default() }).unwrap();
        let (plain, throttling) = (spec(None), spec(Some(rate(10, Duration::from_secs(1)))));
        assert!(plain.maps.iter().all(|map| map.name != map_name::RATES));
        assert!(throttling.maps.iter().any(|map| map.name == map_name::RATES));
        for (plain, throttling) in plain.programs.iter().zip(&throttling.programs) {
            assert!(plain.code.functions.iter().all(|function| function.name != "throttle"));
            let more = throttling.code.functions.iter().any(|function| function.name == "throttle");
            assert_eq!(more, plain.name != "gains", "{}", plain.name);
        }
    }
}
