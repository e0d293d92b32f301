use super::support::{alone, can, context};
use crate::kernel::Feature;
use crate::load::{Map, MapError};
use crate::spec::{Entries, Entry, MapKind, MapSpec, flag};

fn make(spec: &MapSpec) -> Map {
    Map::create(spec, context().cpus).unwrap()
}

#[test]
fn root_elements_are_made_read_replaced_and_deleted() {
    let _alone = alone();
    let map = make(&MapSpec::hash("table", 4, 8, 16));
    let (key, one, two) = ([1, 2, 3, 4], [1; 8], [2; 8]);
    assert_eq!(map.lookup(&key).unwrap(), None);
    assert!(!map.replace(&key, &one).unwrap());
    assert!(map.insert(&key, &one).unwrap());
    assert!(!map.insert(&key, &two).unwrap());
    assert_eq!(map.lookup(&key).unwrap().unwrap(), one);
    assert!(map.replace(&key, &two).unwrap());
    assert_eq!(map.lookup(&key).unwrap().unwrap(), two);
    assert!(map.delete(&key).unwrap());
    assert!(!map.delete(&key).unwrap());
    assert!(map.memory().unwrap() > 0);
}

#[test]
fn root_contents_of_ten_thousand_are_there_from_the_start() {
    let _alone = alone();
    let mut spec = MapSpec::hash("many", 4, 4, 10_000);
    spec.contents = (0..10_000_u32)
        .map(|number| Entry { key: number.to_ne_bytes().into(), value: (number * 3).to_ne_bytes().into() })
        .collect();
    let map = make(&spec);
    let mut seen = vec![false; 10_000];
    map.for_each(|key, value| {
        let key = u32::from_ne_bytes(key.try_into().unwrap());
        assert_eq!(value, (key * 3).to_ne_bytes());
        seen[key as usize] = true;
    })
    .unwrap();
    assert!(seen.iter().all(|seen| *seen));
}

#[test]
fn root_a_full_map_says_so() {
    let _alone = alone();
    let map = make(&MapSpec::hash("small", 4, 4, 1));
    map.update(&[0; 4], &[0; 4]).unwrap();
    let MapError::Element { error, .. } = map.update(&[1; 4], &[0; 4]).unwrap_err() else {
        panic!("another error")
    };
    assert_eq!(error.errno, libc::E2BIG);
}

#[test]
fn root_lengths_that_do_not_fit_never_reach_the_kernel() {
    let _alone = alone();
    let map = make(&MapSpec::hash("table", 4, 8, 16));
    assert!(matches!(map.update(&[0; 3], &[0; 8]), Err(MapError::Size { key: 3, .. })));
    assert!(matches!(map.update(&[0; 4], &[0; 9]), Err(MapError::Size { value: 9, .. })));
    assert!(matches!(map.lookup(&[]), Err(MapError::Size { .. })));
    let entry = Entry { key: vec![0; 4], value: vec![0; 7] };
    assert!(matches!(map.fill(&[entry]), Err(MapError::Size { value: 7, .. })));
}

#[test]
fn root_a_per_cpu_value_is_set_on_every_cpu() {
    let _alone = alone();
    let mut spec = MapSpec::hash("each", 4, 12, 4);
    spec.kind = MapKind::PerCpuHash;
    spec.contents =
        vec![Entry { key: vec![9; 4], value: vec![5; 12] }, Entry { key: vec![8; 4], value: vec![4; 12] }];
    let map = make(&spec);
    let values = map.lookup_each_cpu(&[9; 4]).unwrap().unwrap();
    assert_eq!(values, vec![vec![5; 12]; context().cpus.count() as usize]);
    map.update(&[9; 4], &[6; 12]).unwrap();
    assert!(map.lookup_each_cpu(&[9; 4]).unwrap().unwrap().iter().all(|value| *value == [6; 12]));
}

#[test]
fn root_entries_for_each_cpu_are_multiplied_and_rings_rounded() {
    let _alone = alone();
    let cpus = context().cpus.count();
    let map = make(&MapSpec::array("cells", 8, Entries::PerCpu(3)));
    assert_eq!(map.entries(), 3 * cpus);
    let mut ring = MapSpec::ring("events", 0);
    ring.entries = Entries::PerCpu(4096 * 3);
    assert_eq!(make(&ring).entries(), (4096 * 3 * cpus).next_power_of_two());
}

#[test]
fn root_a_mapped_array_and_the_kernel_see_the_same_cells() {
    let _alone = alone();
    let spec = MapSpec::array("cells", 12, Entries::Fixed(3)).with_flags(flag::MMAPABLE);
    let map = make(&spec);
    let cells = map.mapped().unwrap();
    cells.store_u64(2, 0, 0x0102_0304_0506_0708).unwrap();
    cells.store_u32(2, 8, 99).unwrap();
    let value = map.lookup(&2_u32.to_ne_bytes()).unwrap().unwrap();
    assert_eq!(value[..8], 0x0102_0304_0506_0708_u64.to_ne_bytes());
    assert_eq!(value[8..], 99_u32.to_ne_bytes());
    map.update(&1_u32.to_ne_bytes(), &[1; 12]).unwrap();
    assert_eq!(cells.load_u32(1, 8), Some(0x0101_0101));
    assert_eq!((cells.load_u32(3, 0), cells.load_u64(0, 8), cells.load_u32(0, 2)), (None, None, None));
    assert_eq!(cells.store_u32(0, 12, 1), None);
    drop(map);
    assert_eq!(cells.load_u64(2, 0), Some(0x0102_0304_0506_0708), "the memory outlives the descriptor");
}

#[test]
fn root_an_ordinary_map_cannot_be_mapped() {
    let _alone = alone();
    let map = make(&MapSpec::array("cells", 8, Entries::Fixed(1)));
    assert!(matches!(map.mapped(), Err(MapError::NotMappable { .. })));
}

#[test]
fn root_prefixes_fill_a_trie() {
    let _alone = alone();
    let mut spec = MapSpec::hash("prefixes", 8, 1, 1000).with_flags(flag::NO_PREALLOC);
    spec.kind = MapKind::LpmTrie;
    let prefix = |bits: u32, byte: u8| [bits.to_ne_bytes(), [byte, 0, 0, 0]].concat();
    spec.contents = (0..=255).map(|byte| Entry { key: prefix(8, byte), value: vec![byte] }).collect();
    let map = make(&spec);
    assert_eq!(map.lookup(&prefix(32, 77)).unwrap().unwrap(), [77]);
}

#[test]
fn root_task_storage_is_made_with_types_of_our_own() {
    let _alone = alone();
    if !can(Feature::TaskStorage) {
        return;
    }
    let mut spec = MapSpec::hash("of_task", 4, 40, 0).with_flags(flag::NO_PREALLOC);
    spec.kind = MapKind::TaskStorage;
    make(&spec);
}
