//! Static probes: arguments where their notes say, and arguments that are written.

use bpf_probes::abi::{Action, Counter, hook_flag, value_flag};
use bpf_probes::attach::FileId;
use bpf_probes::emulate::{Context, Registers};
use bpf_probes::kernel::{Answer, Feature, KernelView};
use tracing_policy::diagnostic::Code;
use tracing_policy::files::{Binaries, BinaryFile};
use tracing_policy::policy::{EventForm, Resolved};
use tracing_policy::source::SourceText;

use crate::image::{CODE, DATA, Image, Symbol, note, words};
use crate::kernel::recorded;
use crate::run::Emulated;

const TEXT: u64 = 0x40_1000;
const VARIABLES: u64 = 0x40_4000;

fn kernels() -> Vec<KernelView> {
    ["5.10", "6.1", "6.12", "6.18", "7.2"].map(recorded).into()
}

/// A file with the probe `app:run` at each of these places, with a semaphore.
fn file(places: &[(u64, &str)]) -> BinaryFile {
    let notes = places.iter().map(|(place, arguments)| {
        let texts = format!("app\0run\0{arguments}\0");
        let content = [words(&[TEXT + place, 0, VARIABLES + 2]), texts.into_bytes()].concat();
        note(b"stapsdt\0", 3, &content)
    });
    let bytes = Image::default()
        .loaded(TEXT, CODE, vec![0x90; 0x400])
        .loaded(VARIABLES, DATA, vec![0; 0x100])
        .symbols(2, &[Symbol { kind: 1, ..Symbol::function("counter", VARIABLES + 0x10) }])
        .section(".note.stapsdt", 7, 0, 0, notes.collect::<Vec<_>>().concat())
        .build();
    BinaryFile {
        id: FileId { device: 7, inode: 9 },
        path: "/bin/app".to_owned(),
        bytes: bytes.into(),
        hold: None,
    }
}

fn resolve(view: &KernelView, file: BinaryFile, hook: &str) -> Result<Resolved, Vec<(Code, String)>> {
    let text = format!(
        "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {{name: p}}\nspec:\n  usdts:\n  - {{path: /bin/app, provider: app, {hook}}}\n"
    );
    let (policy, _) = tracing_policy::read(&SourceText::new("test", text)).unwrap();
    let mut binaries = Binaries::none();
    binaries.insert("/bin/app", Ok(file));
    let resolved = tracing_policy::resolve_in(policy, view, &binaries);
    resolved.map_err(|errors| errors.into_iter().map(|error| (error.code, error.message)).collect())
}

fn probed(view: &KernelView, arguments: &str, rest: &str) -> Resolved {
    resolve(view, file(&[(0x10, arguments)]), &format!("name: run, {rest}")).unwrap()
}

fn numbers(it: &mut Emulated<'_>, registers: Registers) -> Vec<u64> {
    it.run(Context::registers(registers));
    let values = it.reports().remove(0).values;
    values.into_iter().map(|(_, bytes)| u64::from_le_bytes(bytes.try_into().unwrap())).collect()
}

// proves: HOOK-15 (constants, registers)
#[test]
fn constants_and_registers_are_extended_as_the_note_and_then_the_policy_say() {
    let note = "-4@$-7 -1@%cl 1@%ch 2@%r12w -4@%edi 8@%rsi 4@%eax";
    let rest = "args: [{index: 0, type: int32}, {index: 1, type: int64}, {index: 2, type: uint8}, {index: 3, type: uint64}, {index: 4, type: int64}, {index: 5, type: uint32}, {index: 6, type: int}]";
    for view in &kernels() {
        let mut it = Emulated::new(&[probed(view, note, rest)], view);
        let registers = Registers {
            cx: 0x1122_80ff,
            r12: 0x1_fffe,
            di: 0xdead_ffff_fffe,
            si: 0x5_0000_0009,
            ax: 0xffff_ffff,
            ..Registers::default()
        };
        let minus = |value: u64| value.wrapping_neg();
        let expected = [minus(7), minus(1), 0x80, 0xfffe, minus(2), 9, minus(1)];
        assert_eq!(numbers(&mut it, registers), expected, "{}", view.release());
    }
}

// proves: HOOK-15 (memory)
#[test]
fn memory_is_read_where_base_index_and_displacement_lead() {
    let note = "-4@-4(%rbp) 2@6(%rbx,%rcx,8) 8@(%r15) -1@counter+1(%rip) 8@(%rdi)";
    let rest = "args: [{index: 0, type: int32}, {index: 1, type: uint16}, {index: 2, type: uint64}, {index: 3, type: int8}, {index: 4, type: string}]";
    for view in &kernels() {
        let mut it = Emulated::new(&[probed(view, note, rest)], view);
        let user = &mut it.machine.world_mut().user;
        let text = user.string("in memory");
        let bytes =
            [(-5_i32).to_le_bytes().as_slice(), &[0; 28], &0xabcd_u16.to_le_bytes(), &[0; 6]].concat();
        let frame = user.bytes("frame", &bytes);
        let wide = user.bytes("wide", &u64::MAX.to_le_bytes());
        let pointer = user.bytes("pointer", &text.to_le_bytes());
        let counter = user.bytes("counter", &[1, 0xfe, 3]);
        let registers = Registers {
            bp: frame + 4,
            bx: frame + 10,
            cx: 2,
            r15: wide,
            di: pointer,
            ip: counter.wrapping_sub(VARIABLES + 0x10 - (TEXT + 0x10)),
            ..Registers::default()
        };
        it.run(Context::registers(registers));
        let values: Vec<_> = it.reports().remove(0).values.into_iter().map(|(_, bytes)| bytes).collect();
        let numbers =
            [(-5_i64).cast_unsigned(), 0xabcd, u64::MAX, (-2_i64).cast_unsigned()].map(u64::to_le_bytes);
        let expected: [&[u8]; 5] = [&numbers[0], &numbers[1], &numbers[2], &numbers[3], b"in memory"];
        assert_eq!(values, expected, "{}", view.release());
    }
}

// proves: HOOK-15 (faults), ARG-21 (USDT)
#[test]
fn memory_that_is_not_there_is_an_error_of_that_argument_and_matches_nothing() {
    let rest = |operator: &str| {
        format!(
            "args: [{{index: 0, type: int32}}, {{index: 1, type: string}}, {{index: 2, type: int64}}], selectors: [{operator}]"
        )
    };
    let filter =
        |operator: &str| rest(&format!("{{matchArgs: [{{index: 0, operator: {operator}, values: ['0']}}]}}"));
    let note = "4@(%rdi) 8@(%rsi) -8@$3";
    for view in &kernels() {
        let policies = [rest(""), filter("Equal"), filter("NotEqual")].map(|rest| probed(view, note, &rest));
        let mut it = Emulated::new(&policies, view);
        it.run(Context::registers(Registers::default()));
        let reports = it.reports();
        assert_eq!(reports.len(), 1, "{}: a filter matched", view.release());
        let errors: Vec<_> =
            reports[0].values.iter().map(|(header, _)| header.flags & value_flag::ERROR != 0).collect();
        assert_eq!(errors, [true, true, false]);
        let zero = it.machine.world_mut().user.bytes("zero", &[0; 4]);
        it.run(Context::registers(Registers { di: zero, ..Registers::default() }));
        assert_eq!(it.reporters(), [0, 1]);
    }
}

// proves: HOOK-15 (selectors, signals)
#[test]
fn filters_and_signals_work_on_probes() {
    let kill = "args: [{index: 0, type: int32}], selectors: [{matchArgs: [{index: 0, operator: GT, values: ['5']}], matchActions: [{action: Sigkill}]}]";
    let silent = "args: [{index: 0, type: int32}], selectors: [{matchArgs: [{index: 0, operator: NotEqual, values: ['6']}], matchActions: [{action: NoPost}]}]";
    for view in &kernels() {
        let note = "-4@8(%rsp)";
        let mut it = Emulated::new(&[probed(view, note, kill), probed(view, note, silent)], view);
        let stack = |it: &mut Emulated<'_>, value: i32| {
            let bytes = [&[0; 8][..], &value.to_le_bytes()].concat();
            let sp = it.machine.world_mut().user.bytes("stack", &bytes);
            Context::registers(Registers { sp, ..Registers::default() })
        };
        let context = stack(&mut it, 6);
        assert_eq!(it.run(context).signals.len(), 1);
        assert_eq!(it.reporters(), [0]);
        let context = stack(&mut it, -6);
        assert!(it.run(context).signals.is_empty());
        assert_eq!((it.reporters(), it.count(1, 0, Counter::NoPost)), (vec![], 1));
    }
}

// proves: HOOK-15 (all matching notes, semaphores)
#[test]
fn every_place_of_a_probe_is_hooked_with_its_own_arguments_and_the_semaphore() {
    let view = recorded("6.12");
    let both = file(&[(0x10, "-4@%edi"), (0x30, "-4@%esi")]);
    let resolved = resolve(&view, both, "name: run, args: [{index: 0, type: int32}]").unwrap();
    assert_eq!(resolved.hooks.len(), 2);
    let targets: Vec<_> = resolved.hooks.iter().map(|hook| hook.attachments[0].target.clone()).collect();
    let places: Vec<_> = targets.iter().map(|target| target.user_place().unwrap()).collect();
    assert_eq!(places[1].offset - places[0].offset, 0x20);
    assert!(places.iter().all(|place| place.reference_counter != 0));
    for (hook, registers) in [
        (0, Registers { di: 7, si: 1, ..Registers::default() }),
        (1, Registers { di: 1, si: 7, ..Registers::default() }),
    ] {
        let mut one = resolved.clone();
        one.hooks.swap(0, hook);
        assert_eq!(numbers(&mut Emulated::new(&[one], &view), registers), [7]);
    }
    let form = EventForm::Usdt { path: "/bin/app".into(), provider: "app".into() };
    assert!(resolved.hooks.iter().all(|hook| hook.layout.form == form && hook.layout.function_name == "run"));
}

// proves: HOOK-15 (what is not there)
#[test]
fn a_probe_or_argument_that_the_file_does_not_have_is_an_error_that_says_what_there_is() {
    let view = recorded("6.12");
    let error = |file: BinaryFile, hook: &str| resolve(&view, file, hook).unwrap_err().remove(0);
    let (code, message) = error(file(&[(0x10, "")]), "name: stop");
    assert_eq!(code, Code::NoSuchFunction);
    assert!(message.ends_with("no static probe app:stop; it has app:run"), "{message}");
    let script = BinaryFile { bytes: b"#!/bin/sh\n".as_slice().into(), ..file(&[]) };
    assert_eq!(error(script, "name: run").0, Code::BadFile);
    let (code, message) = error(file(&[(0x10, "4@%edi")]), "name: run, args: [{index: 1, type: int32}]");
    assert_eq!(
        (code, &*message),
        (Code::BeyondPrototype, "index 1 is out of range: app:run has one argument")
    );
    let (code, message) = error(file(&[(0x10, "8f@%xmm0")]), "name: run, args: [{index: 0, type: int64}]");
    assert_eq!(code, Code::PrototypeMismatch);
    assert!(message.contains("floating-point"), "{message}");
    let error = error(file(&[(0x10, "4@%edi")]), "name: run, args: [{index: 0, type: string}]");
    assert_eq!(error.0, Code::PrototypeMismatch);
    // an argument that nobody asks for may be anything
    assert!(
        resolve(&view, file(&[(0x10, "8f@%xmm0 4@%edi")]), "name: run, args: [{index: 1, type: int}]")
            .is_ok()
    );
}

const SET: &str = "args: [{index: 0, type: int32}, {index: 1, type: uint32}], selectors: [{matchArgs: [{index: 0, operator: GT, values: ['5']}], matchActions: [{action: Set, argIndex: 1, argValue: 4000000000}]}]";

// proves: ACT-08
#[test]
fn set_writes_an_argument_in_memory_and_says_when_it_could_not() {
    for view in &kernels() {
        if matches!(view.answer(Feature::ProbeWriteUser), Answer::No { .. }) {
            // a kernel under lockdown
            let refused = resolve(view, file(&[(0x10, "-4@%edi 4@(%rsi)")]), &format!("name: run, {SET}"));
            assert_eq!(refused.unwrap_err().remove(0).0, Code::NotOnThisKernel);
            continue;
        }
        for more in [&[][..], &["args: [{index: 0, type: int32}]"][..]] {
            let mut policies = vec![probed(view, "-4@%edi 4@4(%rbx,%rcx,2)", SET)];
            policies.extend(more.iter().map(|rest| probed(view, "-4@%edi 4@4(%rbx,%rcx,2)", rest)));
            let mut it = Emulated::new(&policies, view);
            let memory = it.machine.world_mut().user.bytes("memory", &[1; 12]);
            let registers = Registers { di: 6, bx: memory - 4, cx: 2, ..Registers::default() };
            let now = |it: &mut Emulated<'_>, registers: Registers| {
                it.run(Context::registers(registers));
                let report = it.reports().into_iter().find(|report| report.record.layout == 100);
                let bytes = it.machine.world().user.read(memory, 12).unwrap().to_vec();
                (
                    report.map(|report| (report.record.action, report.record.flags & !1, report.enforced)),
                    bytes,
                )
            };
            let untouched = vec![1; 12];
            let low = Registers { di: 5, ..registers };
            assert_eq!(now(&mut it, low), (None, untouched.clone()));
            it.monitor(0);
            let monitored = Some((Action::Set as u8, hook_flag::MONITOR, false));
            assert_eq!(now(&mut it, registers), (monitored, untouched.clone()));
            assert_eq!((it.count(0, 0, Counter::Set), it.count(0, 0, Counter::MonitorSet)), (0, 1));
            it.enforce(0);
            let failed = Registers { bx: 0, ..registers };
            let failure = Some((Action::Set as u8, hook_flag::ACTION_FAILED, true));
            assert_eq!(now(&mut it, failed), (failure, untouched), "{}", view.release());
            let written = [&[1; 4][..], &4_000_000_000_u32.to_le_bytes(), &[1; 4]].concat();
            assert_eq!(now(&mut it, registers), (Some((Action::Set as u8, 0, true)), written));
            assert_eq!(it.count(0, 0, Counter::Set), 2);
        }
    }
}

// proves: ACT-08 (what cannot be set)
#[test]
fn only_words_of_four_bytes_in_memory_can_be_set() {
    let view = recorded("6.12");
    let code = |note: &str| {
        resolve(&view, file(&[(0x10, note)]), &format!("name: run, {SET}")).unwrap_err().remove(0)
    };
    for (note, words) in [
        ("-4@%edi 4@%esi", "not in memory"),
        ("-4@%edi 4@$5", "not in memory"),
        ("-4@%edi 8@(%rsi)", "has 8 bytes"),
        ("-4@%edi 4f@(%rsi)", "floating-point"),
    ] {
        let (code, message) = code(note);
        assert_eq!(code, Code::PrototypeMismatch);
        assert!(message.contains(words), "{message}");
    }
    assert_eq!(code("-4@%edi").0, Code::BeyondPrototype);
}
