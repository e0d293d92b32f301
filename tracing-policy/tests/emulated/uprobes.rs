//! Places in programs: arguments in registers, and in memory of user space.

use std::sync::Arc;

use bpf_probes::attach::FileId;
use bpf_probes::kernel::KernelView;
use tracing_policy::diagnostic::Code;
use tracing_policy::files::{Binaries, BinaryFile};
use tracing_policy::policy::{EventForm, Resolved};
use tracing_policy::source::SourceText;

use crate::kernel::recorded;
use crate::run::Emulated;

/// Bytes of the file that is hooked.
const BYTES: usize = 0x2000;

fn kernels() -> Vec<KernelView> {
    ["5.10", "6.1", "6.12", "6.18", "7.2"].map(recorded).into()
}

fn file(inode: u64, path: &str) -> BinaryFile {
    let bytes = Arc::from(vec![0x90; BYTES]);
    BinaryFile { id: FileId { device: 7, inode }, path: path.to_owned(), bytes, hold: None }
}

/// A policy on `/bin/hooked`, which is the file `/bin/linked` too.
fn resolve(view: &KernelView, options: &str, hook: &str) -> Result<Resolved, Vec<Code>> {
    let text = format!(
        "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {{name: p}}\nspec:\n  options: [{options}]\n  uprobes:\n  - {{{hook}}}\n"
    );
    let (policy, _) = tracing_policy::read(&SourceText::new("test", text)).unwrap();
    let mut binaries = Binaries::none();
    binaries.insert("/bin/hooked", Ok(file(11, "/bin/hooked")));
    binaries.insert("/bin/linked", Ok(file(11, "/bin/linked")));
    binaries.insert("/bin/other", Ok(file(12, "/bin/other")));
    binaries.insert("/bin/gone", Err("/bin/gone: No such file".to_owned()));
    let resolved = tracing_policy::resolve_in(policy, view, &binaries);
    resolved.map_err(|errors| errors.iter().map(|error| error.code).collect())
}

fn hooked(view: &KernelView, rest: &str) -> Resolved {
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
