//! Lists of functions and system calls: what each type stands for, and the names that a system call goes by.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

use std::path::Path;

use bpf_probes::kernel::{KernelView, Symbols};
use tracing_policy::diagnostic::Code;
use tracing_policy::policy::{Convention, HookSection, Resolved};
use tracing_policy::source::SourceText;

/// A recorded kernel that serves `dup` to 32-bit programs as well.
fn kernel(version: &str) -> KernelView {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bpf-probes/testdata").join(version);
    let mut view = KernelView::from_files(|name| std::fs::read(folder.join(name)).ok()).unwrap();
    view.add_symbols(&Symbols::from_names(["__ia32_sys_dup", "__ia32_compat_sys_openat"]));
    view
}

fn resolve(kernel: &KernelView, spec: &str) -> Result<Resolved, Vec<Code>> {
    let text =
        format!("apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {{name: t}}\nspec:\n{spec}");
    let read = tracing_policy::read(&SourceText::new("t.yaml", text));
    read.and_then(|(policy, _)| tracing_policy::resolve(policy, kernel))
        .map_err(|errors| errors.iter().map(|error| error.code).collect())
}

/// The functions of a section, as events show them, and how each is called.
fn functions(resolved: &Resolved, section: HookSection) -> Vec<(String, Convention)> {
    let hooks = resolved.hooks.iter().filter(|hook| hook.section == section);
    hooks.flat_map(|hook| hook.layouts().map(|layout| (layout.function_name, hook.key.convention))).collect()
}

const KERNELS: [&str; 5] = ["5.10", "6.1", "6.12", "6.18", "7.2"];

// proves: POL-06 (x64, i386, symbols), HOOK-04 (names on x86-64)
#[test]
fn a_system_call_is_known_by_each_of_its_names() {
    let native = ("__x64_sys_dup".to_owned(), Convention::Syscall { number: 32 });
    let of_32_bit = ("__ia32_sys_dup".to_owned(), Convention::Syscall32 { number: 41 });
    for version in KERNELS {
        let kernel = kernel(version);
        for (name, expected) in [
            ("sys_dup", &native),
            ("__x64_sys_dup", &native),
            ("x64/sys_dup", &native),
            ("__ia32_sys_dup", &of_32_bit),
            ("i386/sys_dup", &of_32_bit),
        ] {
            let list = format!(
                "  lists: [{{name: l, type: syscalls, values: ['{name}']}}]\n  kprobes: [{{call: 'list:l', syscall: false}}]\n"
            );
            let found = resolve(&kernel, &list).unwrap();
            assert_eq!(
                functions(&found, HookSection::Kprobes),
                std::slice::from_ref(expected),
                "{version} {name}"
            );
            if !name.contains('/') {
                let call = resolve(&kernel, &format!("  kprobes: [{{call: {name}}}]\n")).unwrap();
                assert_eq!(
                    functions(&call, HookSection::Kprobes),
                    std::slice::from_ref(expected),
                    "{version} {name}"
                );
            }
        }
    }
}

// proves: POL-06 (names of other machines)
#[test]
fn names_of_other_machines_are_read_and_are_no_calls_of_this_one() {
    for name in ["arm64/sys_dup", "arm32/sys_dup", "__arm64_sys_dup"] {
        let list = |field: &str| {
            format!(
                "  lists: [{{name: l, type: syscalls, values: [{name}, sys_dup]}}]\n  kprobes: [{{call: 'list:l'{field}}}]\n"
            )
        };
        let kernel = kernel("6.12");
        assert_eq!(resolve(&kernel, &list("")).unwrap_err(), [Code::NoSuchFunction], "{name}");
        let rest = resolve(&kernel, &list(", ignore: {callNotFound: true}")).unwrap();
        assert_eq!((rest.hooks.len(), rest.absent.len()), (1, 1), "{name}");
    }
    for name in ["mips/sys_dup", "x64/dup", "x64/__x64_sys_dup", "/sys_dup"] {
        let list = format!(
            "  lists: [{{name: l, type: syscalls, values: ['{name}']}}]\n  kprobes: [{{call: 'list:l'}}]\n"
        );
        assert_eq!(resolve(&kernel("6.12"), &list).unwrap_err(), [Code::BadSymbol], "{name}");
    }
}

/// A list of each type, and functions that it stands for.
const LISTS: [(&str, &[&str]); 5] = [
    ("{name: l, values: [vfs_open, security_file_open]}", &["vfs_open", "security_file_open"]),
    ("{name: l, type: '', values: [security_path_symlink]}", &["security_path_symlink"]),
    (
        "{name: l, type: syscalls, values: [sys_symlinkat, x64/sys_symlink]}",
        &["__x64_sys_symlinkat", "__x64_sys_symlink"],
    ),
    ("{name: l, type: generated_syscalls}", &["__x64_sys_openat", "__x64_sys_symlinkat"]),
    (
        "{name: l, type: generated_ftrace, pattern: '^security_path_(sym)?link$'}",
        &["security_path_link", "security_path_symlink"],
    ),
];

// proves: POL-05, HOOK-05
#[test]
fn a_list_of_each_type_stands_for_its_functions_in_every_section_that_takes_calls() {
    for version in ["5.10", "6.12", "7.2"] {
        let kernel = kernel(version);
        for (list, expected) in LISTS {
            // of a list of system calls all are such, whatever the hook says
            let plain = !list.contains("syscalls");
            for section in [HookSection::Kprobes, HookSection::Fentries] {
                let spec = format!(
                    "  lists: [{list}]\n  {}: [{{call: 'list:l', syscall: false}}]\n",
                    section.word()
                );
                let found = functions(&resolve(&kernel, &spec).unwrap(), section);
                for name in expected {
                    let one = found.iter().find(|(found, _)| found == name);
                    let convention = one.unwrap_or_else(|| panic!("{version} {spec}: no {name}")).1;
                    assert_eq!(convention == Convention::Function, plain, "{spec} {name}");
                }
                let whole = list.contains("generated_syscalls");
                assert!(if whole { found.len() > 100 } else { found.len() == expected.len() }, "{found:?}");
            }
        }
    }
}

// proves: POL-05 (in enforcers and as values)
#[test]
fn a_list_is_what_enforcers_and_numbers_take_where_its_functions_are() {
    let kernel = kernel("6.12");
    for (list, expected) in LISTS {
        let tracepoint = |values: &str| {
            format!(
                "  tracepoints: [{{subsystem: raw_syscalls, event: sys_enter, raw: true, args: [{{index: 1, type: syscall64}}], selectors: [{{matchArgs: [{{index: 1, operator: InMap, values: ['{values}']}}], matchActions: [{{action: NotifyEnforcer, argSig: 9}}]}}]}}]\n"
            )
        };
        let enforced =
            format!("  lists: [{list}]\n  enforcers: [{{calls: ['list:l']}}]\n{}", tracepoint("1"));
        let found = resolve(&kernel, &enforced);
        // enforcers take system calls and functions of security modules
        let refusal = match list {
            _ if list.contains("vfs_open") => Some(Code::NotASyscall),
            _ if list.contains("ftrace") => Some(Code::BadSymbol),
            _ => None,
        };
        if let Some(code) = refusal {
            assert_eq!(found.unwrap_err(), [code], "{list}");
        } else {
            let found = functions(&found.unwrap(), HookSection::Enforcers);
            assert!(expected.iter().all(|name| found.iter().any(|(found, _)| found == name)), "{list}");
        }
        let as_value =
            format!("  lists: [{list}]\n  enforcers: [{{calls: [sys_dup]}}]\n{}", tracepoint("list:l"));
        let found = resolve(&kernel, &as_value).map(|_| ());
        let expected = if list.contains("syscalls") { Ok(()) } else { Err(vec![Code::WrongType]) };
        assert_eq!(found, expected, "{list}");
    }
}
