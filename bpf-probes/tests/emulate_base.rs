//! The base programs of every recorded kernel on the interpreter: whatever is in memory and whichever read fails, no fault, and records that say their
//! size and hold nothing of earlier ones.
#![cfg(feature = "emulate")]
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::path::Path;

use bpf_probes::abi::{Header, RecordKind, map_name};
use bpf_probes::emulate::{Context, Machine};
use bpf_probes::kernel::KernelView;
use bpf_probes::sensor::{BaseOptions, base};
use bpf_probes::spec::{CollectionSpec, Entries, ProgramKind};
use proptest::prelude::*;
use zerocopy::FromBytes;

const KERNELS: [&str; 5] = ["5.10", "6.1", "6.12", "6.18", "7.2"];
/// Bytes of each object: more than any struct that the programs look into.
const OBJECT: usize = 16_384;

fn collection(kernel: &str) -> CollectionSpec {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata").join(kernel);
    let view = KernelView::from_files(|name| std::fs::read(folder.join(name)).ok()).unwrap();
    base(&view, BaseOptions::default()).unwrap()
}

/// A machine on which every CPU's working memory is full of one byte.
fn machine(spec: &CollectionSpec, stale: u8) -> Machine {
    let mut machine = Machine::new(spec).unwrap();
    let scratch = machine.map_mut(map_name::SCRATCH).unwrap();
    let value = vec![stale; scratch.spec().value_size as usize];
    for (key, _) in scratch.entries() {
        scratch.update(&key, &value).unwrap();
    }
    machine
}

/// Runs all programs once on arguments that point to `object` and returns the records; checks that each says its size and kind.
fn run_all(spec: &CollectionSpec, machine: &mut Machine, object: u64) -> Result<Vec<Vec<u8>>, String> {
    let mut records = Vec::new();
    for program in &spec.programs {
        let context = if program.kind == ProgramKind::Kprobe {
            Context::kprobe([object; 6])
        } else {
            Context::arguments(&[object; 6])
        };
        machine.run(&program.name, context).map_err(|fault| fault.to_string())?;
        for record in machine.ring_mut(map_name::EVENTS).unwrap().drain() {
            let (header, _) = Header::read_from_prefix(&record.bytes).map_err(|error| error.to_string())?;
            if header.size as usize != record.bytes.len() || RecordKind::from_number(header.kind).is_none() {
                return Err(format!("{} sent {header:?} of {} bytes", program.name, record.bytes.len()));
            }
            records.push(record.bytes);
        }
    }
    Ok(records)
}

/// Fills new objects by a choice of words: other objects, user memory, small numbers, noise. The first is the current task.
fn fill(machine: &mut Machine, words: &[u64]) -> u64 {
    let world = machine.world_mut();
    let objects: Vec<u64> = (0..4).map(|_| world.kernel.object("object", OBJECT)).collect();
    let text = world.user.bytes("text", &[b'x'; 5000]);
    let mut choice = words.iter().cycle();
    for object in &objects {
        for offset in (0..OBJECT as u64).step_by(8) {
            let word = *choice.next().unwrap();
            let value = match word % 8 {
                0..3 => objects[usize::try_from(word >> 8 & 3).unwrap()] + (word >> 16 & 0x7f8),
                3 => text + (word >> 8 & 0xfff),
                4 => word >> 8 & 0xff,
                5 => 0,
                _ => word,
            };
            world.kernel.write_u64(object + offset, value).unwrap();
        }
    }
    world.task.address = objects[0];
    objects[1]
}

// proves: REL-10
#[test]
fn maps_are_as_large_as_is_asked_for() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("testdata/6.12");
    let view = KernelView::from_files(|name| std::fs::read(folder.join(name)).ok()).unwrap();
    let small = BaseOptions {
        ring_bytes: 1 << 16,
        enforcement_bytes: 1 << 14,
        processes: 512,
        ..BaseOptions::default()
    };
    let spec = base(&view, small).unwrap();
    let entries = |name| spec.maps.iter().find(|map| map.name == name).unwrap().entries;
    assert_eq!(entries(map_name::EVENTS), Entries::Fixed(1 << 16));
    assert_eq!(entries(map_name::ENFORCEMENT), Entries::Fixed(1 << 14));
    assert_eq!(entries(map_name::PROCESSES), Entries::Fixed(512));
}

#[test]
fn the_base_programs_run_on_empty_memory_and_leak_nothing_of_earlier_records() {
    for kernel in KERNELS {
        let spec = collection(kernel);
        let sent = [0x00, 0xff].map(|stale| {
            let mut machine = machine(&spec, stale);
            let object = machine.world_mut().kernel.object("object", OBJECT);
            machine.world_mut().task.address = object;
            run_all(&spec, &mut machine, object).unwrap_or_else(|error| panic!("{kernel}: {error}"))
        });
        assert!(sent[0].len() >= 3, "{kernel}: fork, exec and exit send one each");
        assert_eq!(sent[0], sent[1], "{kernel}");
    }
}

#[test]
fn the_base_programs_bear_the_failure_of_any_read() {
    for kernel in KERNELS {
        let spec = collection(kernel);
        for number in 1..=120 {
            let mut machine = machine(&spec, 0xff);
            let object = machine.world_mut().kernel.object("object", OBJECT);
            machine.world_mut().task.address = object;
            machine.world_mut().faults.fail_read(number);
            run_all(&spec, &mut machine, object)
                .unwrap_or_else(|error| panic!("{kernel}, read {number}: {error}"));
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_base_programs_bear_any_memory(
        words in prop::collection::vec(any::<u64>(), 1..400),
        kernel in prop::sample::select(KERNELS.to_vec()),
        failing in 1_u64..200,
    ) {
        let spec = collection(kernel);
        let sent = [0x00, 0xff].map(|stale| {
            let mut machine = machine(&spec, stale);
            let object = fill(&mut machine, &words);
            machine.world_mut().faults.fail_read(failing);
            run_all(&spec, &mut machine, object)
        });
        prop_assert!(sent[0].is_ok(), "{kernel}: {:?}", sent[0]);
        prop_assert_eq!(&sent[0], &sent[1], "{}", kernel);
    }
}
