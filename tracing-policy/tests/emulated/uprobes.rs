//! Places in programs: arguments in registers, and in memory of user space.

use std::sync::{Arc, OnceLock};

use bpf_probes::attach::FileId;
use bpf_probes::kernel::KernelView;
use tracing_policy::binary::Binary;
use tracing_policy::diagnostic::Code;
use tracing_policy::files::{Binaries, BinaryFile};
use tracing_policy::policy::{Absent, EventForm, Resolved};
use tracing_policy::source::SourceText;

use bpf_probes::emulate::Context;
use bpf_probes::kernel::Feature;
use tracing_policy::policy::Role;

use crate::kernel::recorded;
use crate::run::Emulated;

/// Bytes of the file that is hooked.
const BYTES: usize = 0x2000;

pub(crate) fn kernels() -> Vec<KernelView> {
    ["5.10", "6.1", "6.12", "6.18", "7.2"].map(recorded).into()
}

fn file(inode: u64, path: &str) -> BinaryFile {
    let bytes = Arc::from(vec![0x90; BYTES]);
    BinaryFile { id: FileId { device: 7, inode }, path: path.to_owned(), bytes, hold: None }
}

/// This very program: an ELF file with symbols.
fn own_bytes() -> Arc<[u8]> {
    static BYTES: OnceLock<Arc<[u8]>> = OnceLock::new();
    let read = || std::fs::read(std::env::current_exe().unwrap()).unwrap().into();
    Arc::clone(BYTES.get_or_init(read))
}

/// A policy on `/bin/hooked`, which is the file `/bin/linked` too.
pub(crate) fn resolve(view: &KernelView, options: &str, hook: &str) -> Result<Resolved, Vec<Code>> {
    let text = format!(
        "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {{name: p}}\nspec:\n  options: [{options}]\n  uprobes:\n  - {{{hook}}}\n"
    );
    let (policy, _) = tracing_policy::read(&SourceText::new("test", text)).unwrap();
    let mut binaries = Binaries::none();
    binaries.insert("/bin/hooked", Ok(file(11, "/bin/hooked")));
    binaries.insert("/bin/linked", Ok(file(11, "/bin/linked")));
    binaries.insert("/bin/other", Ok(file(12, "/bin/other")));
    binaries.insert("/bin/elf", Ok(BinaryFile { bytes: own_bytes(), ..file(13, "/bin/elf") }));
    binaries.insert("/bin/gone", Err("/bin/gone: No such file".to_owned()));
    let resolved = tracing_policy::resolve_in(policy, view, &binaries);
    resolved.map_err(|errors| errors.iter().map(|error| error.code).collect())
}

pub(crate) fn hooked(view: &KernelView, rest: &str) -> Resolved {
    resolve(view, "", &format!("path: /bin/hooked, offsets: [0x1139], {rest}")).unwrap()
}

// proves: HOOK-12 (choice and opt-out)
#[test]
fn many_places_share_the_mechanism_that_the_kernel_has_unless_the_policy_minds() {
    let off = "{name: disable-uprobe-multi, value: 'true'}";
    for view in &kernels() {
        let of = |options| {
            let resolved = resolve(view, options, "path: /bin/hooked, offsets: [0x1139]").unwrap();
            resolved.hooks[0].attachments[0].target.to_string()
        };
        let multi = !matches!(view.release().get(..4), Some("5.10" | "6.1."));
        let expected = if multi { "uprobe.multi" } else { "uprobe" };
        assert_eq!(of(""), format!("{expected} /bin/hooked at offset 0x1139"), "{}", view.release());
        assert_eq!(of(off), "uprobe /bin/hooked at offset 0x1139");
    }
}

// proves: HOOK-10 (file offset)
#[test]
fn a_place_is_told_by_its_file_and_offset_whatever_the_file_is_called() {
    let view = recorded("6.12");
    let key = |path: &str, offset: u64| {
        let hook = format!("path: {path}, offsets: [{offset}]");
        resolve(&view, "", &hook).unwrap().hooks.remove(0).key
    };
    assert_eq!(key("/bin/hooked", 16), key("/bin/linked", 16));
    assert_ne!(key("/bin/hooked", 16), key("/bin/other", 16));
    assert_ne!(key("/bin/hooked", 16), key("/bin/hooked", 17));
    let two = resolve(&view, "", "path: /bin/hooked, offsets: [16, 17], refCtrOffsets: [0, 64]").unwrap();
    assert_eq!(two.hooks.len(), 2);
    let form =
        |offset, ref_ctr_offset| EventForm::Uprobe { path: "/bin/hooked".into(), offset, ref_ctr_offset };
    assert_eq!([&two.hooks[0].layout.form, &two.hooks[1].layout.form], [&form(16, 0), &form(17, 64)]);
}

// proves: HOOK-10 (what is not there)
#[test]
fn a_file_that_is_not_there_and_a_place_behind_its_end_are_errors() {
    let view = recorded("6.12");
    let code = |hook: &str| resolve(&view, "", hook).unwrap_err();
    assert_eq!(code("path: /bin/gone, offsets: [16]"), [Code::BadFile]);
    assert_eq!(code("path: /bin/never, offsets: [16]"), [Code::BadFile]);
    assert_eq!(code(&format!("path: /bin/hooked, offsets: [{BYTES}]")), [Code::NoSuchFunction]);
}

// proves: HOOK-10 (arguments)
#[test]
fn arguments_are_in_registers_and_their_text_in_the_memory_of_user_space() {
    let arguments = "args: [{index: 0, type: int8}, {index: 1, type: string}, {index: 3, type: uint64}, {index: 5, type: uint32}]";
    for view in &kernels() {
        let mut it = Emulated::new(&[hooked(view, arguments)], view);
        let text = it.machine.world_mut().user.string("hello");
        it.call([0x1ff, text, 0, 1 << 40, 0, u64::MAX]);
        let values: Vec<_> = it.reports().remove(0).values.into_iter().map(|(_, bytes)| bytes).collect();
        let numbers = [(-1_i64).cast_unsigned(), 1 << 40, u64::from(u32::MAX)].map(u64::to_le_bytes);
        assert_eq!(
            values,
            [&numbers[0][..], b"hello", &numbers[1][..], &numbers[2][..]],
            "{}",
            view.release()
        );
    }
}

// proves: HOOK-10 (filters), SEL-09 (uprobe)
#[test]
fn filters_match_and_do_not_positive_and_negated() {
    for view in &kernels() {
        let of = |operator: &str, value: &str| {
            let argument = "args: [{index: 2, type: string}]";
            hooked(
                view,
                &format!(
                    "{argument}, selectors: [{{matchArgs: [{{index: 2, operator: {operator}, values: ['{value}']}}]}}]"
                ),
            )
        };
        let policies = [of("Equal", "abc"), of("NotEqual", "abc"), of("Postfix", "bc"), of("NotPrefix", "a")];
        let mut it = Emulated::new(&policies, view);
        let text = it.machine.world_mut().user.string("abc");
        it.call([0, 0, text, 0, 0, 0]);
        assert_eq!(it.reporters(), [0, 2]);
        let text = it.machine.world_mut().user.string("bcd");
        it.call([0, 0, text, 0, 0, 0]);
        assert_eq!(it.reporters(), [1, 3]);
        // what cannot be read matches nothing, negated or not
        it.call([0, 0, 0, 0, 0, 0]);
        assert_eq!(it.reporters(), [0; 0]);
    }
}

// proves: ACT-02 (uprobe)
#[test]
fn who_comes_to_the_place_is_signalled_unless_the_policy_only_monitors() {
    for view in &kernels() {
        let kill = hooked(
            view,
            "args: [{index: 0, type: int}], selectors: [{matchArgs: [{index: 0, operator: Equal, values: ['1']}], matchActions: [{action: Sigkill}]}]",
        );
        let mut it = Emulated::new(&[kill], view);
        assert_eq!(it.call([1, 0, 0, 0, 0, 0]).signals.len(), 1);
        assert!(it.call([2, 0, 0, 0, 0, 0]).signals.is_empty());
        it.monitor(0);
        assert!(it.call([1, 0, 0, 0, 0, 0]).signals.is_empty());
    }
}

// proves: HOOK-10 (symbol, symbol+offset, virtual address)
#[test]
fn a_place_in_an_elf_file_is_found_by_symbol_and_address() {
    let view = recorded("6.12");
    let bytes = own_bytes();
    let entry = u64::from_le_bytes(bytes[24..32].try_into().unwrap());
    let key = |place: &str| {
        let resolved = resolve(&view, "", &format!("path: /bin/elf, {place}")).unwrap();
        (resolved.hooks[0].key.clone(), resolved.hooks[0].layout.clone())
    };
    let (start, layout) = key("symbols: [_start]");
    assert_eq!((layout.function_name.as_str(), &layout.form), ("_start", &form("/bin/elf", 0, 0)));
    let (same, layout) = key(&format!("addrs: [{entry}]"));
    assert_eq!(start, same);
    assert_eq!((layout.function_name.as_str(), &layout.form), ("", &form("/bin/elf", entry, 0)));
    let offset = u64::from_str_radix(start.function.rsplit("+0x").next().unwrap(), 16).unwrap();
    assert_eq!(key(&format!("offsets: [{offset}]")).0, start);
    let (behind, layout) = key("symbols: [_start+0x4]");
    assert!(behind.function.ends_with(&format!("+{:#x}", offset + 4)), "{behind}");
    assert_eq!(layout.function_name, "_start+0x4");
}

// proves: HOOK-12 (many symbols by one link)
#[test]
fn the_cookie_tells_which_of_many_functions_of_a_file_was_reached() {
    let bytes = own_bytes();
    let functions: Vec<_> = Binary::parse(&bytes).unwrap().functions().into_iter().take(5).collect();
    let symbols: Vec<String> = functions.iter().map(|name| format!("'{name}'")).collect();
    let of = |view: &KernelView, options: &str, further: &str| {
        let less = "selectors: [{matchArgs: [{index: 0, operator: LT, values: ['7']}]}]";
        let symbols = format!("[{}{further}]", symbols.join(", "));
        let hook = format!("path: /bin/elf, symbols: {symbols}, args: [{{index: 0, type: int}}], {less}");
        resolve(view, options, &hook)
    };
    for view in kernels().iter().filter(|view| view.has(Feature::UprobeMulti)) {
        let policy = of(view, "", &format!(", '{}'", functions[1])).unwrap();
        let [hook] = policy.hooks.as_slice() else { panic!("{:?}", policy.hooks) };
        let mut it = Emulated::new(std::slice::from_ref(&policy), view);
        let target = it.compiled.bodies[0].target.to_string();
        assert!(target.starts_with("uprobe.multi /bin/elf") && target.ends_with(" and 4 more"), "{target}");
        for (cookie, expected) in [(0, functions[0]), (4, functions[4]), (1, functions[1])] {
            it.run(Context::kprobe([3, 0, 0, 0, 0, 0]).with_cookie(cookie));
            let report = it.reports().remove(0);
            let layout = hook.layouts().nth((report.record.layout - 100) as usize).unwrap();
            assert_eq!((layout.function_name.as_str(), &layout.form), (expected, &form("/bin/elf", 0, 0)));
        }
        it.run(Context::kprobe([9, 0, 0, 0, 0, 0]).with_cookie(2));
        assert!(it.reports().is_empty());
        let off = "{name: disable-uprobe-multi, value: 'true'}";
        assert_eq!(of(view, off, "").unwrap().hooks.len(), 5);
        assert_eq!(of(view, "", ", no_such_function").unwrap_err(), [Code::NoSuchFunction]);
    }
    assert_eq!(
        of(&recorded("6.1"), "", "").unwrap().hooks.len(),
        5,
        "without uprobe.multi each is by itself"
    );
}

fn form(path: &str, offset: u64, ref_ctr_offset: u64) -> EventForm {
    EventForm::Uprobe { path: path.into(), offset, ref_ctr_offset }
}

// proves: HOOK-10 (what is not there)
#[test]
fn a_symbol_that_is_not_there_is_an_error_that_names_the_closest() {
    let view = recorded("6.12");
    let text = "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: p}\nspec:\n  uprobes:\n  - {path: /e, symbols: [mian, main, no_such_function_anywhere], args: []}\n";
    let (policy, _) = tracing_policy::read(&SourceText::new("test", text)).unwrap();
    let mut binaries = Binaries::none();
    binaries.insert("/e", Ok(BinaryFile { bytes: own_bytes(), ..file(13, "/e") }));
    let errors = tracing_policy::resolve_in(policy, &view, &binaries).unwrap_err();
    let found: Vec<_> = errors.iter().map(|error| (error.code, error.message.contains("main"))).collect();
    assert_eq!(found, [(Code::NoSuchFunction, true), (Code::NoSuchFunction, false)], "{errors:?}");
    // no instructions at the ELF header, nor at any symbol of a file that is none
    assert_eq!(resolve(&view, "", "path: /bin/elf, offsets: [0]").unwrap_err(), [Code::NoSuchFunction]);
    assert_eq!(resolve(&view, "", "path: /bin/hooked, symbols: [main]").unwrap_err(), [Code::NoSuchFunction]);
}

// proves: HOOK-14 (choice), POL-12 (digestVerificationFailure), SEC-04
#[test]
fn a_file_with_none_of_the_digests_is_refused_or_gone_without() {
    let view = recorded("6.12");
    let hook = |digests: &str, ignore: bool| {
        let ignore = format!("ignore: {{digestVerificationFailure: {ignore}}}");
        resolve(&view, "", &format!("path: /bin/hooked, offsets: [16], binaryDigests: [{digests}], {ignore}"))
    };
    // of 8192 bytes 0x90
    let right = "'SHA1:df8e432150f1316c70d3e736dd392343b79725c0'";
    let wrong = format!("'sha256:{}'", "0".repeat(64));
    assert_eq!(hook(right, false).unwrap().hooks.len(), 1);
    assert_eq!(hook(&format!("{wrong}, {right}"), false).unwrap().hooks.len(), 1, "one will do");
    assert_eq!(hook(&wrong, false).unwrap_err(), [Code::BadFile]);
    assert_eq!(hook("'build-id:00'", false).unwrap_err(), [Code::BadFile]);
    let without = hook(&wrong, true).unwrap();
    assert_eq!((without.hooks.len(), without.warnings.len()), (0, 1));
    assert_eq!(without.warnings[0].code, Code::BadFile);
    assert_eq!(without.absent[0].why, Absent::OtherFile);
}

// proves: HOOK-10 (text that is not in memory yet)
#[test]
fn a_program_that_sleeps_goes_first_where_there_is_text_to_read_and_the_kernel_has_such() {
    for view in &kernels() {
        let roles = |arguments: &str| -> Vec<Role> {
            let policy = hooked(view, arguments);
            policy.hooks[0].attachments.iter().map(|attachment| attachment.role).collect()
        };
        let sleeps = view.has(Feature::UprobeSleepable);
        assert_eq!(sleeps, !view.release().starts_with("5.10"), "{}", view.release());
        assert_eq!(roles("args: [{index: 0, type: int}, {index: 1, type: fd}]"), [Role::Report]);
        let expected = [Role::Report, Role::FaultIn { arguments: 0b10_0010 }];
        let expected = if sleeps { &expected[..] } else { &expected[..1] };
        let arguments = "args: [{index: 0, type: int}, {index: 1, type: string}, {index: 5, type: string}]";
        assert_eq!(roles(arguments), expected);
        if sleeps {
            let mut it = Emulated::new(&[hooked(view, arguments)], view);
            let text = it.machine.world_mut().user.string("hello");
            // nothing can be read at the other one
            let outcome = it.machine.run("stub", Context::kprobe([0, text, 0, 0, 0, 7])).unwrap();
            assert_eq!(outcome.result(), 0);
        }
    }
}

#[test]
fn policies_with_different_texts_have_a_program_that_sleeps_for_each() {
    let view = recorded("6.12");
    let of = |index: u8| hooked(&view, &format!("args: [{{index: {index}, type: string}}]"));
    let it = Emulated::new(&[of(0), of(1), of(0)], &view);
    let roles: Vec<Role> = it.compiled.bodies.iter().map(|body| body.role).collect();
    assert_eq!(roles, [Role::Report, Role::FaultIn { arguments: 1 }, Role::FaultIn { arguments: 2 }]);
}

// proves: HOOK-10 (data)
#[test]
fn registers_and_fields_of_the_task_are_data_of_the_event() {
    let data = "data: [{index: 0, type: string, source: pt_regs, resolve: rsi}, {index: 0, type: int32, source: current_task, resolve: tgid}]";
    for view in &kernels() {
        let policy = hooked(view, &format!("args: [{{index: 0, type: int}}], {data}"));
        assert_eq!(policy.hooks[0].layout.data_values, 2);
        let mut it = Emulated::new(&[policy], view);
        let text = it.machine.world_mut().user.string("hello");
        it.call([7, text, 0, 0, 0, 0]);
        let values: Vec<_> = it.reports().remove(0).values.into_iter().map(|(_, bytes)| bytes).collect();
        assert_eq!(values.len(), 3);
        assert_eq!(values[..2], [7_u64.to_le_bytes().to_vec(), b"hello".to_vec()], "{}", view.release());
    }
}
