use std::sync::Arc;

use super::support::{
    alone, can, cell, collection, context, counts, descriptors, main_of, program, sends_pid, stub,
};
use crate::asm::{Assembler, Origin, Prototype, link};
use crate::insn::jump::Width;
use crate::insn::{Condition, Helper, Register, Size, alu, jump, memory};
use crate::kernel::Feature;
use crate::load::{
    Collection, LoadError, Map, MapError, MapSet, ObjectKind, ProgramError, object_ids, running_programs,
};
use crate::spec::{AttachSpec, CollectionSpec, Entries, Entry, MapKind, MapSpec, ProgramKind, Reach};

fn exec() -> AttachSpec {
    AttachSpec::RawTracepoint { name: "sched_process_exec".to_owned() }
}

fn whole() -> CollectionSpec {
    collection(
        vec![MapSpec::ring("events", 4096), cell("counts")],
        vec![program("sends", exec(), sends_pid()), program("counts", exec(), counts())],
    )
}

fn gone(kind: ObjectKind, ids: &[u32]) {
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(10);
    // The kernel frees behind a grace period.
    while object_ids(kind).unwrap().iter().any(|id| ids.contains(id)) {
        assert!(std::time::Instant::now() < deadline, "{kind:?} {ids:?} still there");
        std::thread::yield_now();
    }
}

#[test]
fn root_a_collection_that_is_dropped_leaves_nothing_behind() {
    let _alone = alone();
    let before = descriptors();
    let links_before = object_ids(ObjectKind::Link).unwrap();
    let mut loaded = Collection::load(&whole(), &MapSet::new(), &context()).unwrap();
    loaded.attach_all().unwrap();
    let maps: Vec<u32> = loaded.maps().iter().map(|map| map.id()).collect();
    let programs: Vec<u32> = loaded.programs().iter().map(|program| program.info().unwrap().id).collect();
    let links: Vec<u32> =
        object_ids(ObjectKind::Link).unwrap().into_iter().filter(|id| !links_before.contains(id)).collect();
    assert_eq!((maps.len(), programs.len()), (2, 2));
    assert!(links.len() >= 2);
    assert!(maps.iter().all(|id| object_ids(ObjectKind::Map).unwrap().contains(id)));
    drop(loaded);
    assert_eq!(descriptors(), before);
    gone(ObjectKind::Program, &programs);
    gone(ObjectKind::Map, &maps);
}

#[test]
fn root_a_failure_at_any_step_leaves_no_descriptor() {
    let _alone = alone();
    let context = context();
    let before = descriptors();
    let load = |spec: &CollectionSpec| Collection::load(spec, &MapSet::new(), &context).unwrap_err();

    let mut spec = whole();
    spec.imports.push(MapSpec::hash("missing", 4, 4, 4));
    assert!(matches!(load(&spec), LoadError::MissingImport { .. }));

    let mut spec = whole();
    spec.maps.push(MapSpec::ring("odd", 100));
    assert!(matches!(load(&spec), LoadError::Map(MapError::Create { .. })));

    let mut spec = whole();
    let mut full = MapSpec::hash("full", 1, 1, 1);
    full.contents = (0..2).map(|key| Entry { key: vec![key], value: vec![0] }).collect();
    spec.maps.push(full);
    assert!(matches!(load(&spec), LoadError::Map(MapError::Element { .. })));

    let mut spec = whole();
    spec.maps.remove(1);
    assert!(matches!(load(&spec), LoadError::Program(ProgramError::UnknownMap { .. })));

    let mut spec = whole();
    let bad = main_of(|asm| asm.emit(memory::load(Size::Double, Register::R2, Register::R1, 4000)));
    spec.programs.push(program("bad", exec(), bad));
    assert!(matches!(load(&spec), LoadError::Program(ProgramError::Refused { .. })));

    let mut spec = whole();
    spec.programs.push(program(
        "nowhere",
        AttachSpec::RawTracepoint { name: "no_such".to_owned() },
        counts(),
    ));
    let mut loaded = Collection::load(&spec, &MapSet::new(), &context).unwrap();
    loaded.attach_all().unwrap_err();
    assert!(loaded.links().is_empty());
    drop(loaded);

    assert_eq!(descriptors(), before);
}

#[test]
fn root_a_refusal_names_the_origin_of_the_instruction() {
    let _alone = alone();
    let bad = main_of(|asm| {
        asm.set_origin(Origin(41));
        asm.emit(alu::mov_imm(Register::R3, 0));
        asm.set_origin(Origin(42));
        asm.emit(memory::load(Size::Double, Register::R2, Register::R3, 0));
        asm.set_origin(Origin(43));
    });
    let spec = collection(vec![], vec![program("bad", exec(), bad)]);
    let error = Collection::load(&spec, &MapSet::new(), &context()).unwrap_err();
    let LoadError::Program(ProgramError::Refused { refusal, .. }) = error else { panic!("{error}") };
    assert_eq!((refusal.slot, refusal.origin), (Some(1), Some(Origin(42))));
    assert!(refusal.complaint.contains("R3 invalid mem access"), "{}", refusal.complaint);
}

#[test]
fn root_imports_must_fit() {
    let _alone = alone();
    let shared = Arc::new(Map::create(&MapSpec::ring("events", 4096), context().cpus).unwrap());
    let mut imports = MapSet::new();
    imports.insert(Arc::clone(&shared));
    let mut spec = collection(vec![], vec![program("sends", exec(), sends_pid())]);
    spec.imports = vec![MapSpec::ring("events", 4096)];
    let loaded = Collection::load(&spec, &imports, &context()).unwrap();
    loaded.programs()[0].run(&[], &[0; 16]).unwrap();
    assert!(crate::load::Ring::open(&shared).unwrap().next().is_some());
    spec.imports = vec![MapSpec::ring("events", 8192)];
    let error = Collection::load(&spec, &imports, &context()).unwrap_err();
    assert!(error.to_string().contains("8192 entries"), "{error}");
}

#[test]
fn root_callbacks_and_global_functions_are_described_to_the_verifier() {
    let _alone = alone();
    if !can(Feature::Loop) {
        return;
    }
    let mut main = Assembler::new("main", Prototype::Main);
    main.emit(alu::mov_imm(Register::R1, 10));
    main.load_subprogram(Register::R2, "each");
    main.emit(alu::mov_imm(Register::R3, 0));
    main.emit(alu::mov_imm(Register::R4, 0));
    main.call(Helper::Loop);
    main.emit(alu::mov_reg(Register::R1, Register::R0));
    main.emit(alu::mov_imm(Register::R2, 32));
    main.call_subprogram("sum");
    main.emit(jump::exit());
    let mut each = Assembler::new("each", Prototype::LoopCallback);
    each.emit(alu::mov_imm(Register::R0, 0));
    each.emit(jump::exit());
    let mut sum = Assembler::new("sum", Prototype::Global { arguments: 2 });
    sum.emit(alu::mov_reg(Register::R0, Register::R1));
    sum.emit(alu::add_reg(Register::R0, Register::R2));
    sum.emit(jump::exit());
    let parts = [main, each, sum].map(|part| part.finish().unwrap());
    let mut spec = program("loops", AttachSpec::None, link(parts.into()).unwrap());
    spec.kind = ProgramKind::SocketFilter;
    let loaded = Collection::load(&collection(vec![], vec![spec]), &MapSet::new(), &context()).unwrap();
    assert_eq!(loaded.programs()[0].run(&[0; 14], &[]).unwrap(), 42);
}

#[test]
fn root_a_program_is_known_by_its_whole_name() {
    let _alone = alone();
    let named = |name: &str| {
        let mut main = Assembler::new(name, Prototype::Main);
        main.emit(alu::mov_imm(Register::R0, 0));
        main.emit(jump::exit());
        let spec = program("stub", AttachSpec::None, link(vec![main.finish().unwrap()]).unwrap());
        Collection::load(&collection(vec![], vec![spec]), &MapSet::new(), &context()).unwrap()
    };
    let name = AttachSpec::Kprobe { symbol: "security_file_open".to_owned() }.program_name();
    for name in ["short", "fifteen_letters", name.as_str()] {
        let loaded = named(name);
        let id = loaded.programs()[0].info().unwrap().id;
        let running = running_programs().unwrap();
        assert_eq!(running.iter().find(|program| program.id == id).unwrap().name, name);
    }
}

/// A stub that tail-calls the slot whose number stands in a cell, and two programs that return 1 and 2.
#[test]
fn root_one_store_hands_over_from_one_program_to_the_next() {
    let _alone = alone();
    let returns = |value| {
        let mut asm = Assembler::new("main", Prototype::Main);
        asm.emit(alu::mov_imm(Register::R0, value));
        asm.emit(jump::exit());
        link(vec![asm.finish().unwrap()]).unwrap()
    };
    let mut slots = MapSpec::array("slots", 4, Entries::Fixed(2));
    slots.kind = MapKind::ProgArray;
    let mut spec = collection(
        vec![slots, cell("live")],
        vec![
            program("stub", exec(), stub()),
            program("first", exec(), returns(1)),
            program("second", exec(), returns(2)),
        ],
    );
    for program in &mut spec.programs[1..] {
        program.reach = Reach::TailCalled;
    }
    let mut loaded = Collection::load(&spec, &MapSet::new(), &context()).unwrap();
    let (slots, live) = (loaded.map("slots").unwrap(), loaded.map("live").unwrap().mapped().unwrap());
    let run = || loaded.programs()[0].run(&[], &[0; 16]).unwrap();
    assert_eq!(run(), 0, "an empty slot falls through");
    slots.set_program(0, &loaded.programs()[1]).unwrap();
    assert_eq!(run(), 1);
    slots.set_program(1, &loaded.programs()[2]).unwrap();
    assert_eq!(run(), 1);
    live.store_u32(0, 0, 1).unwrap();
    assert_eq!(run(), 2);
    assert!(slots.clear_program(0).unwrap());
    assert!(!slots.clear_program(0).unwrap());
    assert_eq!(run(), 2);
    loaded.attach_all().unwrap();
    assert_eq!(loaded.links().len(), 1, "what is tail-called is not attached");
}

#[test]
fn root_a_program_is_counted() {
    let _alone = alone();
    let loaded = Collection::load(&whole(), &MapSet::new(), &context()).unwrap();
    let info = loaded.program("counts").unwrap().info().unwrap();
    assert!(info.id > 0 && info.memory > 0 && info.jited_bytes > 0);
    assert_eq!(info.recursion_misses, 0);
    let link = loaded.programs()[0].attach().unwrap();
    assert_eq!((link.program(), link.target()), ("sends", &exec()));
}

#[test]
fn root_a_long_loop_bounded_by_a_jump_loads() {
    let _alone = alone();
    let code = main_of(|asm| {
        asm.emit(alu::mov_imm(Register::R1, 0));
        let (again, end) = (asm.label(), asm.label());
        asm.bind(again);
        asm.jump_if(Width::Bits64, Condition::Ge, Register::R1, 100, end);
        asm.emit(alu::add_imm(Register::R1, 1));
        asm.jump(again);
        asm.bind(end);
    });
    let spec = collection(vec![], vec![program("bounded", exec(), code)]);
    Collection::load(&spec, &MapSet::new(), &context()).unwrap();
}
