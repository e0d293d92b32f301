use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::support::{alone, collection, context, main_of, program, sends_pid};
use crate::insn::{Helper, Register, Size, alu, memory};
use crate::load::{Collection, Head, Map, MapSet, Ring};
use crate::spec::{AttachSpec, MapSpec};

fn raw(name: &str) -> AttachSpec {
    AttachSpec::RawTracepoint { name: name.to_owned() }
}

fn pid_of(record: &[u8]) -> u32 {
    u32::from_ne_bytes(record[4..8].try_into().unwrap())
}

#[test]
fn root_every_exec_of_a_child_arrives_in_the_ring_once() {
    let _alone = alone();
    let spec = collection(
        vec![MapSpec::ring("events", 1 << 16)],
        vec![program("on_exec", raw("sched_process_exec"), sends_pid())],
    );
    let mut loaded = Collection::load(&spec, &MapSet::new(), &context()).unwrap();
    let mut ring = Ring::open(loaded.map("events").unwrap()).unwrap();
    assert_eq!(ring.peek(), Head::Empty);
    loaded.attach_all().unwrap();
    let mut children = Vec::new();
    for _ in 0..20 {
        let mut child = Command::new("/bin/true").stdin(Stdio::null()).spawn().unwrap();
        children.push(child.id());
        child.wait().unwrap();
    }
    let mut seen = Vec::new();
    while let Some(record) = ring.next() {
        assert_eq!(record.len(), 16);
        seen.push(pid_of(record));
    }
    assert!(ring.used() > 0);
    ring.release();
    seen.retain(|pid| children.contains(pid));
    assert_eq!(seen, children);
}

#[test]
fn root_a_reader_that_keeps_up_loses_nothing_over_many_turns_of_the_ring() {
    let _alone = alone();
    let spec = collection(
        vec![MapSpec::ring("events", 4096)],
        vec![program("sends", raw("sched_process_exec"), sends_pid())],
    );
    let loaded = Collection::load(&spec, &MapSet::new(), &context()).unwrap();
    let mut ring = Ring::open(loaded.map("events").unwrap()).unwrap();
    let program = &loaded.programs()[0];
    let mut received = 0;
    for turn in 0..1000 {
        for _ in 0..(turn % 7) {
            program.run(&[], &[0; 16]).unwrap();
        }
        while let Some(record) = ring.next() {
            assert_eq!(record[8..], 7_u64.to_ne_bytes());
            received += 1;
        }
        ring.release();
        assert_eq!(ring.used(), 0);
    }
    assert_eq!(received, (0..1000).map(|turn| turn % 7).sum::<i32>());
}

#[test]
fn root_what_does_not_fit_is_refused_to_the_writer_until_space_is_released() {
    let _alone = alone();
    let spec = collection(
        vec![MapSpec::ring("events", 4096)],
        vec![program("sends", raw("sched_process_exec"), sends_pid())],
    );
    let loaded = Collection::load(&spec, &MapSet::new(), &context()).unwrap();
    let mut ring = Ring::open(loaded.map("events").unwrap()).unwrap();
    for _ in 0..300 {
        loaded.programs()[0].run(&[], &[0; 16]).unwrap();
    }
    let count = std::iter::from_fn(|| ring.next()).count();
    // 24 bytes a record with its header; the kernel leaves one place free at most.
    assert!((169..=170).contains(&count), "{count}");
    loaded.programs()[0].run(&[], &[0; 16]).unwrap();
    assert_eq!(ring.next(), None, "nothing is released yet");
    ring.release();
    loaded.programs()[0].run(&[], &[0; 16]).unwrap();
    assert!(ring.next().is_some());
}

#[test]
fn root_discarded_records_are_passed_in_silence() {
    let _alone = alone();
    let discards = main_of(|asm| {
        for helper in [Helper::RingbufDiscard, Helper::RingbufSubmit] {
            asm.load_map(Register::R1, "events");
            asm.emit(alu::mov_imm(Register::R2, 40));
            asm.emit(alu::mov_imm(Register::R3, 0));
            asm.call(Helper::RingbufReserve);
            let full = asm.label();
            asm.jump_if(crate::insn::jump::Width::Bits64, crate::insn::Condition::Eq, Register::R0, 0, full);
            asm.emit(memory::store_imm(Size::Double, Register::R0, 0, helper as i32));
            asm.emit(alu::mov_reg(Register::R1, Register::R0));
            asm.emit(alu::mov_imm(Register::R2, 0));
            asm.call(helper);
            asm.bind(full);
        }
    });
    let spec = collection(
        vec![MapSpec::ring("events", 4096)],
        vec![program("discards", raw("sched_process_exec"), discards)],
    );
    let loaded = Collection::load(&spec, &MapSet::new(), &context()).unwrap();
    let mut ring = Ring::open(loaded.map("events").unwrap()).unwrap();
    loaded.programs()[0].run(&[], &[0; 16]).unwrap();
    let record = ring.next().unwrap();
    assert_eq!(record[..4], (Helper::RingbufSubmit as i32).to_ne_bytes());
    assert_eq!(ring.next(), None);
    loaded.programs()[0].run(&[], &[0; 16]).unwrap();
    assert!(ring.skip_all() > 0);
    assert_eq!((ring.peek(), ring.used()), (Head::Empty, 0));
}

#[test]
fn root_a_ring_is_readable_to_poll_only_while_something_waits() {
    use std::os::fd::{AsFd as _, AsRawFd as _};
    let _alone = alone();
    let spec = collection(
        vec![MapSpec::ring("events", 4096)],
        vec![program("sends", raw("sched_process_exec"), sends_pid())],
    );
    let loaded = Collection::load(&spec, &MapSet::new(), &context()).unwrap();
    let mut ring = Ring::open(loaded.map("events").unwrap()).unwrap();
    let fd = ring.as_fd().as_raw_fd();
    let readable = || super::support::poll(fd, Duration::ZERO);
    assert!(!readable());
    loaded.programs()[0].run(&[], &[0; 16]).unwrap();
    let deadline = Instant::now() + Duration::from_secs(5);
    while !readable() {
        assert!(Instant::now() < deadline);
    }
    ring.next().unwrap();
    ring.release();
    assert!(!readable());
}

#[test]
fn root_only_a_ring_opens_as_ring() {
    let _alone = alone();
    let map = Map::create(&MapSpec::hash("table", 4, 4, 8), context().cpus).unwrap();
    assert_eq!(Ring::open(&map).unwrap_err().to_string(), "map table is no ring buffer");
}
