//! Maps as programs and tests see them.

use super::*;
use crate::emulate::{Errno, MachineError};
use crate::insn::jump::Width;
use crate::insn::{Condition, Helper, Size, memory};
use crate::spec::{Entry, flag};
use Register::{R1, R2, R3, R4, R6, R10};

/// Emits `key = imm` at -8 and `R2 = &key`.
fn key(asm: &mut Assembler, value: i32) {
    asm.emit(memory::store_imm(Size::Double, R10, -8, value));
    asm.emit(alu::mov_reg(R2, R10));
    asm.emit(alu::add_imm(R2, -8));
}

/// `map[key] += add` in the value's first 8 bytes, made with zero if `create`; returns the new number, or -1 where there is no value.
fn bump(asm: &mut Assembler, name: &str, at: i32, add: i32, create: bool) {
    let found = asm.label();
    let absent = asm.label();
    key(asm, at);
    asm.load_map(R1, name);
    asm.call(Helper::MapLookupElem);
    asm.jump_if(Width::Bits64, Condition::Ne, R0, 0, found);
    if create {
        asm.emit(memory::store_imm(Size::Double, R10, -16, 0));
        key(asm, at);
        asm.load_map(R1, name);
        asm.emit(alu::mov_reg(R3, R10));
        asm.emit(alu::add_imm(R3, -16));
        asm.emit(alu::mov_imm(R4, 0));
        asm.call(Helper::MapUpdateElem);
        key(asm, at);
        asm.load_map(R1, name);
        asm.call(Helper::MapLookupElem);
        asm.jump_if(Width::Bits64, Condition::Ne, R0, 0, found);
    }
    asm.jump(absent);
    asm.bind(found);
    asm.emit(memory::load(Size::Double, R1, R0, 0));
    asm.emit(alu::add_imm(R1, add));
    asm.emit(memory::store(Size::Double, R0, 0, R1));
    asm.emit(alu::mov_reg(R0, R1));
    asm.emit(jump::exit());
    asm.bind(absent);
    return_constant(asm, -1);
}

const KIND: ProgramKind = ProgramKind::RawTracepoint;

#[test]
fn an_array_keeps_values_between_runs_and_ends_at_its_size() {
    let spec = MapSpec::array("array", 8, Entries::Fixed(2));
    let mut inside = machine(KIND, vec![spec.clone()], |asm| bump(asm, "array", 1, 5, false));
    for expected in [5, 10] {
        assert_eq!(inside.run("main", Context::default()).unwrap().r0, expected);
    }
    let map = inside.map("array").unwrap();
    assert_eq!(map.lookup(&1_u32.to_le_bytes()).unwrap(), 10_u64.to_le_bytes());
    assert_eq!((map.len(), map.entries().len()), (2, 2));
    let mut outside = machine(KIND, vec![spec], |asm| bump(asm, "array", 2, 5, true));
    assert_eq!(outside.run("main", Context::default()).unwrap().result(), -1);
    let map = outside.map_mut("array").unwrap();
    assert_eq!(map.update(&2_u32.to_le_bytes(), &[0; 8]), Err(Errno::E2big));
    assert_eq!(map.delete(&0_u32.to_le_bytes()), Err(Errno::Einval));
    assert_eq!(map.update(&0_u32.to_le_bytes(), &[0; 7]), Err(Errno::Einval));
}

#[test]
fn a_value_of_each_cpu_is_its_own() {
    for kind in [MapKind::PerCpuArray, MapKind::PerCpuHash] {
        let spec = map("counts", kind, if kind == MapKind::PerCpuArray { 4 } else { 8 }, 8, 2);
        let mut machine = machine(KIND, vec![spec], |asm| bump(asm, "counts", 1, 1, true));
        for (cpu, runs) in [(0, 3), (1, 1)] {
            machine.world_mut().cpu = cpu;
            for _ in 0..runs {
                machine.run("main", Context::default()).unwrap();
            }
        }
        let key = 1_u64.to_le_bytes();
        let key = if kind == MapKind::PerCpuArray { &key[..4] } else { &key[..] };
        let counts = machine.map("counts").unwrap();
        let count = |cpu| counts.lookup_cpu(key, cpu).map(|value| value[0]);
        assert_eq!((count(0), count(1), count(2)), (Some(3), Some(1), None), "{kind:?}");
    }
}

#[test]
fn the_value_of_another_cpu_can_be_looked_up() {
    let of_cpu = |cpu: i32| {
        let spec = map("counts", MapKind::PerCpuArray, 4, 8, 1);
        let mut machine = machine(KIND, vec![spec], move |asm| {
            let absent = asm.label();
            key(asm, 0);
            asm.load_map(R1, "counts");
            asm.emit(alu::mov_imm(R3, cpu));
            asm.call(Helper::MapLookupPercpuElem);
            asm.jump_if(Width::Bits64, Condition::Eq, R0, 0, absent);
            asm.emit(memory::load(Size::Double, R0, R0, 0));
            asm.emit(jump::exit());
            asm.bind(absent);
            return_constant(asm, -1);
        });
        machine.map_mut("counts").unwrap().update(&[0; 4], &[7, 0, 0, 0, 0, 0, 0, 0]).unwrap();
        machine.run("main", Context::default()).unwrap().result()
    };
    assert_eq!((of_cpu(1), of_cpu(2)), (7, -1));
}

#[test]
fn entries_for_each_cpu_grow_with_the_machine() {
    let spec = MapSpec::array("scratch", 8, Entries::PerCpu(2));
    let spec = collection(KIND, vec![spec], code(|asm| return_constant(asm, 0)));
    assert_eq!(Machine::with_cpus(&spec, 3).unwrap().map("scratch").unwrap().len(), 6);
}

#[test]
fn a_hash_makes_entries_until_it_is_full() {
    let mut full = machine(KIND, vec![MapSpec::hash("hash", 8, 8, 2)], |asm| bump(asm, "hash", 9, 1, true));
    let map = full.map_mut("hash").unwrap();
    map.update(&1_u64.to_le_bytes(), &[0; 8]).unwrap();
    assert_eq!(full.run("main", Context::default()).unwrap().r0, 1);
    assert_eq!(full.run("main", Context::default()).unwrap().r0, 2);
    let map = full.map_mut("hash").unwrap();
    assert_eq!(map.update(&2_u64.to_le_bytes(), &[0; 8]), Err(Errno::E2big));
    map.update(&1_u64.to_le_bytes(), &[3; 8]).unwrap();
    assert_eq!(map.delete(&1_u64.to_le_bytes()), Ok(()));
    assert_eq!(map.delete(&1_u64.to_le_bytes()), Err(Errno::Enoent));
    assert_eq!(map.entries(), [(9_u64.to_le_bytes().to_vec(), 2_u64.to_le_bytes().to_vec())]);
}

/// `map_update_elem` of key 1 with these flags.
fn update_with(kind: MapKind, flags: i32, present: bool) -> i32 {
    let mut spec = map("map", kind, 8, 8, 4);
    if kind == MapKind::Array {
        spec.key_size = 4;
    }
    if kind == MapKind::LpmTrie {
        spec.flags = flag::NO_PREALLOC;
    }
    let key_bytes = spec.key_size as usize;
    let mut machine = machine(KIND, vec![spec], move |asm| {
        key(asm, 1);
        asm.load_map(R1, "map");
        asm.emit(alu::mov_reg(R3, R2));
        asm.emit(alu::mov_imm(R4, flags));
        asm.call(Helper::MapUpdateElem);
        asm.emit(jump::exit());
    });
    if present {
        machine.map_mut("map").unwrap().update(&1_u64.to_le_bytes()[..key_bytes], &[0; 8]).unwrap();
    }
    machine.run("main", Context::default()).unwrap().result()
}

#[test]
fn update_flags_say_whether_the_key_may_or_must_be_there() {
    for kind in [MapKind::Hash, MapKind::LruHash, MapKind::PerCpuHash, MapKind::LpmTrie] {
        let results = [(0, false), (0, true), (1, false), (1, true), (2, false), (2, true), (3, true)]
            .map(|(flags, present)| update_with(kind, flags, present));
        assert_eq!(results, [0, 0, 0, -17, -2, 0, -22], "{kind:?}");
    }
    assert_eq!([0, 1, 2].map(|flags| update_with(MapKind::Array, flags, false)), [0, -17, 0]);
}

#[test]
fn the_least_recently_used_entry_makes_room() {
    let spec = map("lru", MapKind::LruHash, 8, 8, 2);
    let mut machine = machine(KIND, vec![spec], |asm| bump(asm, "lru", 1, 1, false));
    let map = machine.map_mut("lru").unwrap();
    map.update(&1_u64.to_le_bytes(), &[0; 8]).unwrap();
    map.update(&2_u64.to_le_bytes(), &[0; 8]).unwrap();
    machine.run("main", Context::default()).unwrap();
    let map = machine.map_mut("lru").unwrap();
    map.update(&3_u64.to_le_bytes(), &[0; 8]).unwrap();
    let left: Vec<u8> = map.entries().iter().map(|(key, _)| key[0]).collect();
    assert_eq!(left, [1, 3], "a program's look-up counts as use");
}

#[test]
fn a_deleted_value_stays_readable_until_the_run_ends() {
    let spec = MapSpec::hash("hash", 8, 8, 1);
    let mut machine = machine(KIND, vec![spec], |asm| {
        let absent = asm.label();
        key(asm, 1);
        asm.load_map(R1, "hash");
        asm.call(Helper::MapLookupElem);
        asm.jump_if(Width::Bits64, Condition::Eq, R0, 0, absent);
        asm.emit(alu::mov_reg(R6, R0));
        key(asm, 1);
        asm.load_map(R1, "hash");
        asm.call(Helper::MapDeleteElem);
        asm.emit(memory::load(Size::Byte, R0, R6, 0));
        asm.emit(jump::exit());
        asm.bind(absent);
        return_constant(asm, -1);
    });
    machine.map_mut("hash").unwrap().update(&1_u64.to_le_bytes(), &[6; 8]).unwrap();
    assert_eq!(machine.run("main", Context::default()).unwrap().r0, 6);
    assert!(machine.map("hash").unwrap().is_empty());
    assert_eq!(machine.run("main", Context::default()).unwrap().result(), -1);
}

#[test]
fn a_value_is_bounded_to_the_byte_and_null_is_no_value() {
    let load = |offset: i16, at: i32| {
        machine(KIND, vec![MapSpec::array("array", 12, Entries::Fixed(4))], move |asm| {
            key(asm, at);
            asm.load_map(R1, "array");
            asm.call(Helper::MapLookupElem);
            asm.emit(memory::load(Size::Word, R0, R0, offset));
            asm.emit(jump::exit());
        })
        .run("main", Context::default())
        .map_err(|fault| fault.kind)
    };
    assert!(load(8, 3).is_ok());
    let region = "a value of map array".to_owned();
    let kind = FaultKind::OutOfBounds { region, length: 12, offset: 9, size: 4 };
    assert_eq!(load(9, 3).unwrap_err(), kind);
    assert!(load(-1, 3).is_err());
    assert_eq!(load(8, 4).unwrap_err(), FaultKind::Null { offset: 8 });
}

#[test]
fn an_address_in_the_only_value_needs_no_look_up() {
    let mut machine = machine(KIND, vec![MapSpec::array("cell", 16, Entries::Fixed(1))], |asm| {
        asm.load_map_value(R1, "cell", 8);
        asm.emit(memory::store_imm(Size::Double, R1, 0, 3));
        asm.emit(memory::load(Size::Double, R0, R1, -8));
        asm.emit(jump::exit());
    });
    machine.map_mut("cell").unwrap().update(&[0; 4], &[1; 16]).unwrap();
    assert_eq!(machine.run("main", Context::default()).unwrap().r0, 0x0101_0101_0101_0101);
    assert_eq!(machine.map("cell").unwrap().lookup(&[0; 4]).unwrap()[8..], 3_u64.to_le_bytes());
}

#[test]
fn a_map_for_reading_refuses_stores_and_updates_of_programs() {
    let spec = MapSpec {
        contents: vec![Entry { key: vec![0; 4], value: vec![5; 8] }],
        ..MapSpec::array("constants", 8, Entries::Fixed(1)).with_flags(flag::RDONLY_PROG)
    };
    let read = machine(KIND, vec![spec.clone()], |asm| {
        asm.load_map_value(R1, "constants", 3);
        asm.emit(memory::load(Size::Byte, R0, R1, 0));
        asm.emit(jump::exit());
    })
    .run("main", Context::default());
    assert_eq!(read.unwrap().r0, 5);
    let stored = machine(KIND, vec![spec.clone()], |asm| {
        asm.load_map_value(R1, "constants", 0);
        asm.emit(memory::store_imm(Size::Byte, R1, 0, 1));
        return_constant(asm, 0);
    })
    .run("main", Context::default());
    assert!(matches!(stored.unwrap_err().kind, FaultKind::ReadOnly { .. }));
    let updated = machine(KIND, vec![spec], |asm| {
        key(asm, 0);
        asm.load_map(R1, "constants");
        asm.emit(alu::mov_reg(R3, R2));
        asm.emit(alu::mov_imm(R4, 0));
        asm.call(Helper::MapUpdateElem);
        return_constant(asm, 0);
    })
    .run("main", Context::default());
    assert!(matches!(updated.unwrap_err().kind, FaultKind::ReadOnly { .. }));
}

#[test]
fn a_prefix_map_finds_the_longest_prefix() {
    let spec = map("paths", MapKind::LpmTrie, 8, 1, 2).with_flags(flag::NO_PREALLOC);
    let mut machine = machine(KIND, vec![spec], |asm| {
        let absent = asm.label();
        asm.emit(memory::store_imm(Size::Word, R10, -8, 32));
        asm.emit(memory::store_imm(Size::Word, R10, -4, i32::from_le_bytes(*b"/etc")));
        asm.emit(alu::mov_reg(R2, R10));
        asm.emit(alu::add_imm(R2, -8));
        asm.load_map(R1, "paths");
        asm.call(Helper::MapLookupElem);
        asm.jump_if(Width::Bits64, Condition::Eq, R0, 0, absent);
        asm.emit(memory::load(Size::Byte, R0, R0, 0));
        asm.emit(jump::exit());
        asm.bind(absent);
        return_constant(asm, -1);
    });
    let key = |bits: u32, text: &[u8; 4]| [bits.to_le_bytes(), *text].concat();
    let paths = machine.map_mut("paths").unwrap();
    paths.update(&key(32, b"/usr"), &[1]).unwrap();
    assert_eq!(machine.run("main", Context::default()).unwrap().result(), -1);
    let paths = machine.map_mut("paths").unwrap();
    paths.update(&key(8, b"/\0\0\0"), &[2]).unwrap();
    assert_eq!(paths.update(&key(16, b"/e\0\0"), &[3]), Err(Errno::Enospc));
    assert_eq!(machine.run("main", Context::default()).unwrap().r0, 2);
    let paths = machine.map_mut("paths").unwrap();
    paths.delete(&key(32, b"/usr")).unwrap();
    paths.update(&key(16, b"/eXX"), &[3]).unwrap();
    assert_eq!(machine.run("main", Context::default()).unwrap().r0, 3);
    let paths = machine.map("paths").unwrap();
    assert_eq!(paths.entries().len(), 2);
}

/// `*task_storage_get(storage, current, 0, flags) += 1`, or -1.
fn storage(flags: i32) -> Machine {
    machine(KIND, vec![map("storage", MapKind::TaskStorage, 4, 8, 0)], move |asm| {
        let absent = asm.label();
        asm.call(Helper::GetCurrentTaskBtf);
        asm.load_map(R1, "storage");
        asm.emit(alu::mov_reg(R2, R0));
        asm.emit(alu::mov_imm(R3, 0));
        asm.emit(alu::mov_imm(R4, flags));
        asm.call(Helper::TaskStorageGet);
        asm.jump_if(Width::Bits64, Condition::Eq, R0, 0, absent);
        asm.emit(memory::load(Size::Double, R1, R0, 0));
        asm.emit(alu::add_imm(R1, 1));
        asm.emit(memory::store(Size::Double, R0, 0, R1));
        asm.emit(alu::mov_reg(R0, R1));
        asm.emit(jump::exit());
        asm.bind(absent);
        return_constant(asm, -1);
    })
}

#[test]
fn each_task_has_a_storage_of_its_own() {
    let mut machine = storage(1);
    let mut run = |task| {
        machine.world_mut().task.address = task;
        machine.run("main", Context::default()).unwrap().result()
    };
    assert_eq!([0x1000, 0x2000, 0x1000, 0].map(&mut run), [1, 1, 2, -1]);
    let storage_map = machine.map("storage").unwrap();
    assert_eq!(storage_map.lookup(&0x1000_u64.to_le_bytes()).unwrap(), 2_u64.to_le_bytes());
    let mut without = storage(0);
    without.world_mut().task.address = 0x1000;
    assert_eq!(without.run("main", Context::default()).unwrap().result(), -1);
}

#[test]
fn a_map_of_maps_leads_to_the_inner_map() {
    let outer = map("outer", MapKind::HashOfMaps, 8, 4, 4);
    let inner = MapSpec::array("inner", 8, Entries::Fixed(1));
    let mut machine = machine(KIND, vec![outer, inner], |asm| {
        let absent = asm.label();
        key(asm, 5);
        asm.load_map(R1, "outer");
        asm.call(Helper::MapLookupElem);
        asm.jump_if(Width::Bits64, Condition::Eq, R0, 0, absent);
        asm.emit(alu::mov_reg(R6, R0));
        key(asm, 0);
        asm.emit(alu::mov_reg(R1, R6));
        asm.call(Helper::MapLookupElem);
        asm.jump_if(Width::Bits64, Condition::Eq, R0, 0, absent);
        asm.emit(memory::load(Size::Double, R0, R0, 0));
        asm.emit(jump::exit());
        asm.bind(absent);
        return_constant(asm, -1);
    });
    assert_eq!(machine.run("main", Context::default()).unwrap().result(), -1);
    machine.set_inner("outer", &5_u64.to_le_bytes(), "inner").unwrap();
    machine.map_mut("inner").unwrap().update(&[0; 4], &8_u64.to_le_bytes()).unwrap();
    assert_eq!(machine.run("main", Context::default()).unwrap().r0, 8);
    assert!(machine.set_inner("outer", &[0; 4], "inner").is_err());
    assert!(machine.set_inner("inner", &[0; 4], "outer").is_err());
}

#[test]
fn arguments_of_map_helpers_are_checked() {
    let call = Helper::MapLookupElem.name();
    let not_a_map = fault(|asm| {
        key(asm, 0);
        asm.emit(alu::mov_imm(R1, 0));
        asm.call(Helper::MapLookupElem);
        return_constant(asm, 0);
    });
    assert_eq!(not_a_map, FaultKind::Argument { call, argument: 1, reason: "must be a map" });
    let short_key = machine(KIND, vec![MapSpec::hash("hash", 16, 8, 1)], |asm| {
        key(asm, 0);
        asm.load_map(R1, "hash");
        asm.call(Helper::MapLookupElem);
        return_constant(asm, 0);
    })
    .run("main", Context::default());
    assert!(matches!(short_key.unwrap_err().kind, FaultKind::OutOfBounds { size: 16, .. }));
}

#[test]
fn collections_share_imported_maps_when_they_agree() {
    let shared = MapSpec::array("shared", 8, Entries::Fixed(1));
    let count = |name: &str, imports: Vec<MapSpec>, maps: Vec<MapSpec>| CollectionSpec {
        maps,
        imports,
        programs: vec![program(name, KIND, code(|asm| bump(asm, "shared", 0, 1, false)))],
    };
    let mut machine = Machine::new(&count("first", Vec::new(), vec![shared.clone()])).unwrap();
    machine.load(&count("second", vec![shared.clone()], Vec::new())).unwrap();
    machine.run("first", Context::default()).unwrap();
    assert_eq!(machine.run("second", Context::default()).unwrap().r0, 2);
    let other = MapSpec::array("shared", 16, Entries::Fixed(1));
    let error = machine.load(&count("third", vec![other], Vec::new())).unwrap_err();
    assert_eq!(error, MachineError::Import { map: "shared".to_owned() });
    machine.load(&count("own", Vec::new(), vec![shared])).unwrap();
    assert_eq!(machine.run("own", Context::default()).unwrap().r0, 1);
    let error = machine.load(&count("none", Vec::new(), Vec::new())).unwrap_err();
    assert_eq!(error, MachineError::UnknownMap { program: "none".to_owned(), map: "shared".to_owned() });
    assert!(machine.run("none", Context::default()).is_err(), "nothing of a refused collection stays");
}

#[test]
fn a_map_that_the_kernel_would_not_make_is_refused() {
    let refused = |spec: MapSpec| {
        Machine::new(&collection(KIND, vec![spec], code(|asm| return_constant(asm, 0)))).is_err()
    };
    assert!(refused(MapSpec::ring("ring", 5000)));
    assert!(refused(MapSpec::array("array", 0, Entries::Fixed(1))));
    assert!(refused(map("array", MapKind::Array, 8, 8, 1)));
    assert!(refused(map("prefixes", MapKind::LpmTrie, 8, 8, 1)), "without NO_PREALLOC");
    assert!(refused(MapSpec {
        contents: vec![Entry { key: vec![9, 0, 0, 0], value: vec![0; 8] }],
        ..MapSpec::array("array", 8, Entries::Fixed(1))
    }));
}
