use std::fs::File;
use std::process::Command;

use super::support::{alone, can, cell, collection, counts, denies, kernel_context, opens, program, stub};
use crate::kernel::Feature;
use crate::load::{AttachError, Collection, MapSet};
use crate::spec::{AttachSpec, CollectionSpec, Entries, MapKind, MapSpec, Reach};

pub(super) fn counting(target: AttachSpec) -> CollectionSpec {
    collection(vec![cell("counts")], vec![program("counts", target, counts())])
}

/// Counts while attached.
fn counts_while_attached(feature: Feature, target: AttachSpec) {
    if !can(feature) {
        return;
    }
    let what = target.to_string();
    let loaded = Collection::load(&counting(target), &MapSet::new(), &kernel_context()).unwrap();
    let cells = loaded.map("counts").unwrap().mapped().unwrap();
    let link = loaded.programs()[0].attach().unwrap();
    run_true();
    assert!(cells.load_u64(0, 0).unwrap() >= 1, "{what} saw nothing");
    drop(link);
}

pub(super) fn run_true() {
    assert!(Command::new("/bin/true").status().unwrap().success());
}

fn forks() -> String {
    "wake_up_new_task".to_owned()
}

#[test]
fn root_a_raw_tracepoint_fires() {
    let _alone = alone();
    let target = AttachSpec::RawTracepoint { name: "sched_process_exec".to_owned() };
    counts_while_attached(Feature::RawTracepoint, target);
}

#[test]
fn root_a_typed_tracepoint_fires() {
    let _alone = alone();
    counts_while_attached(
        Feature::TpBtf,
        AttachSpec::BtfTracepoint { name: "sched_process_exec".to_owned() },
    );
}

#[test]
fn root_a_tracepoint_fires() {
    let _alone = alone();
    let target =
        AttachSpec::Tracepoint { category: "sched".to_owned(), name: "sched_process_exec".to_owned() };
    counts_while_attached(Feature::Tracepoint, target);
}

#[test]
fn root_a_kprobe_fires() {
    let _alone = alone();
    counts_while_attached(Feature::Kprobe, AttachSpec::Kprobe { symbol: forks() });
}

#[test]
fn root_a_kretprobe_fires() {
    let _alone = alone();
    counts_while_attached(Feature::Kprobe, AttachSpec::Kretprobe { symbol: forks() });
}

#[test]
fn root_a_kprobe_on_many_functions_fires() {
    let _alone = alone();
    let symbols = vec![forks(), "security_file_open".to_owned()];
    counts_while_attached(Feature::KprobeMulti, AttachSpec::KprobeMulti { symbols });
}

#[test]
fn root_fentry_and_fexit_fire() {
    let _alone = alone();
    counts_while_attached(Feature::Fentry, AttachSpec::Fentry { function: forks() });
    counts_while_attached(Feature::Fentry, AttachSpec::Fexit { function: forks() });
}

#[test]
fn root_a_target_that_does_not_exist_is_told_from_one_not_permitted() {
    let _alone = alone();
    let absent = || "no_such_thing".to_owned();
    let mut targets = vec![AttachSpec::RawTracepoint { name: absent() }];
    targets.push(AttachSpec::Tracepoint { category: "sched".to_owned(), name: absent() });
    if can(Feature::Kprobe) {
        targets.push(AttachSpec::Kprobe { symbol: absent() });
    }
    if can(Feature::KprobeMulti) {
        targets.push(AttachSpec::KprobeMulti { symbols: vec![absent()] });
    }
    for target in targets {
        let loaded = Collection::load(&counting(target), &MapSet::new(), &kernel_context()).unwrap();
        let error = loaded.programs()[0].attach().unwrap_err();
        assert!(matches!(error, AttachError::NoSuchTarget { .. }), "{error}");
    }
}

fn fmod_ret() -> AttachSpec {
    AttachSpec::FmodRet { function: "security_file_open".to_owned() }
}

fn lsm() -> AttachSpec {
    AttachSpec::Lsm { hook: "file_open".to_owned() }
}

/// A program at `target` denies this process, and no other, to open a file, until it is detached.
fn denies_while_attached(target: AttachSpec) {
    let spec = collection(vec![], vec![program("denies", target, denies(-libc::EPERM))]);
    let mut loaded = Collection::load(&spec, &MapSet::new(), &kernel_context()).unwrap();
    assert_eq!(opens(), 0);
    loaded.attach_all().unwrap();
    let denied = opens();
    run_elsewhere();
    loaded.detach_all();
    assert_eq!(denied, libc::EPERM);
    assert_eq!(opens(), 0);
}

/// Another process opens files as ever.
fn run_elsewhere() {
    run_true();
}

#[test]
fn root_fmod_ret_denies_while_it_is_attached() {
    let _alone = alone();
    if can(Feature::FmodRet) {
        denies_while_attached(fmod_ret());
    }
}

#[test]
fn root_an_lsm_program_denies_or_is_refused_where_it_would_never_run() {
    let _alone = alone();
    if !can(Feature::Lsm) {
        return;
    }
    let active = super::super::link::active_modules().unwrap();
    if active.split(',').any(|module| module == "bpf") {
        return denies_while_attached(lsm());
    }
    let spec = collection(vec![], vec![program("denies", lsm(), denies(-libc::EPERM))]);
    let mut loaded = Collection::load(&spec, &MapSet::new(), &kernel_context()).unwrap();
    let error = loaded.attach_all().unwrap_err();
    assert!(matches!(error, AttachError::LsmInactive { .. }), "{error}");
    assert_eq!(opens(), 0);
}

/// Swaps between two programs behind a stub while this process opens: each open meets exactly the one that is live.
fn hands_over(target: &AttachSpec) {
    let mut slots = MapSpec::array("slots", 4, Entries::Fixed(2));
    slots.kind = MapKind::ProgArray;
    let mut spec = collection(
        vec![slots, cell("live")],
        vec![
            program("stub", target.clone(), stub()),
            program("first", target.clone(), denies(-libc::EACCES)),
            program("second", target.clone(), denies(-libc::EPERM)),
        ],
    );
    for program in &mut spec.programs[1..] {
        program.reach = Reach::TailCalled;
    }
    let mut loaded = Collection::load(&spec, &MapSet::new(), &kernel_context()).unwrap();
    let live = loaded.map("live").unwrap().mapped().unwrap();
    for slot in 0..2 {
        loaded.map("slots").unwrap().set_program(slot, &loaded.programs()[1 + slot as usize]).unwrap();
    }
    loaded.attach_all().unwrap();
    let mut answers = Vec::new();
    for swap in 0..200_u32 {
        live.store_u32(0, 0, swap % 2).unwrap();
        answers.push((opens(), [libc::EACCES, libc::EPERM][(swap % 2) as usize]));
    }
    drop(loaded);
    for (answer, expected) in answers {
        assert_eq!(answer, expected);
    }
    File::open("/proc/self/stat").unwrap();
}

#[test]
fn root_fmod_ret_is_handed_over_by_one_store() {
    let _alone = alone();
    if can(Feature::FmodRet) {
        hands_over(&fmod_ret());
    }
}

#[test]
fn root_an_lsm_program_is_handed_over_by_one_store() {
    let _alone = alone();
    let active = super::super::link::active_modules().unwrap_or_default();
    if can(Feature::Lsm) && active.split(',').any(|module| module == "bpf") {
        hands_over(&lsm());
    }
}

#[test]
fn root_a_function_with_as_many_programs_as_it_holds_says_so() {
    let _alone = alone();
    if !can(Feature::FmodRet) {
        return;
    }
    let programs = (0..45).map(|number| program(&format!("p{number}"), fmod_ret(), denies(0))).collect();
    let loaded = Collection::load(&collection(vec![], programs), &MapSet::new(), &kernel_context()).unwrap();
    let mut links = Vec::new();
    let error = loaded.programs().iter().find_map(|program| match program.attach() {
        Ok(link) => {
            links.push(link);
            None
        }
        Err(error) => Some(error),
    });
    assert!(matches!(error, Some(AttachError::Full { .. })), "{error:?}");
    assert!((36..=40).contains(&links.len()), "{}", links.len());
}

#[test]
fn root_every_fork_is_counted_under_map_updates_from_other_threads() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let _alone = alone();
    if !can(Feature::Kprobe) {
        return;
    }
    let mut spec = counting(AttachSpec::Kprobe { symbol: "proc_exec_connector".to_owned() });
    spec.maps.push(MapSpec::hash("table", 4, 64, 1024));
    let mut loaded = Collection::load(&spec, &MapSet::new(), &kernel_context()).unwrap();
    loaded.attach_all().unwrap();
    let cells = loaded.map("counts").unwrap().mapped().unwrap();
    let table = loaded.map("table").unwrap();
    let done = AtomicBool::new(false);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                let mut number = 0_u32;
                while !done.load(Ordering::Relaxed) {
                    number = number.wrapping_add(1);
                    table.update(&(number % 1024).to_ne_bytes(), &[1; 64]).unwrap();
                }
            });
        }
        for _ in 0..30 {
            run_true();
        }
        done.store(true, Ordering::Relaxed);
    });
    assert!(cells.load_u64(0, 0).unwrap() >= 30, "{:?} of 30", cells.load_u64(0, 0));
}
