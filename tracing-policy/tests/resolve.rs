//! Policies against recorded kernels: what attaches where, and what a kernel refuses.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use bpf_probes::kernel::KernelView;
use tracing_policy::diagnostic::Code;
use tracing_policy::policy::{ClassTest, Convention, EventForm, HookSection, Resolved, Role};
use tracing_policy::source::SourceText;

fn kernel(version: &str) -> KernelView {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bpf-probes/testdata").join(version);
    KernelView::from_files(|name| std::fs::read(folder.join(name)).ok()).unwrap()
}

fn resolve(version: &str, hook: &str) -> Result<Resolved, Vec<Code>> {
    resolve_spec(version, &format!("  kprobes:\n  - {}\n", hook.trim().replace('\n', "\n    ")))
}

fn resolve_spec(version: &str, spec: &str) -> Result<Resolved, Vec<Code>> {
    let text =
        format!("apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {{name: t}}\nspec:\n{spec}");
    let source = SourceText::new("t.yaml", text);
    let (policy, _) = tracing_policy::read(&source).unwrap();
    tracing_policy::resolve(policy, &kernel(version))
        .map_err(|errors| errors.iter().map(|error| error.code).collect())
}

fn mechanisms(version: &str, hook: &str) -> Vec<(String, Role)> {
    let resolved = resolve(version, hook).unwrap();
    resolved.hooks[0].attachments.iter().map(|one| (one.target.to_string(), one.role)).collect()
}

const OPEN: &str = "call: security_file_open\nsyscall: false\nargs: [{index: 0, type: file}]\n";

fn open(action: &str) -> String {
    format!(
        "{OPEN}selectors:\n- matchArgs: [{{index: 0, operator: Prefix, values: [/etc/shadow]}}]\n  matchActions: [{action}]\n"
    )
}

#[test]
fn a_signal_is_sent_from_a_kprobe_on_every_kernel_that_has_them() {
    for version in ["5.10", "6.1", "6.12", "7.2"] {
        let found = mechanisms(version, &open("{action: Sigkill}"));
        assert_eq!(found, [("kprobe security_file_open".to_owned(), Role::Report)], "{version}");
    }
}

// proves: ACT-04 (choice)
#[test]
fn a_denial_is_left_to_lsm_where_it_is_active_and_to_fmod_ret_where_not() {
    let lsm = [
        ("kprobe security_file_open".to_owned(), Role::Report),
        ("LSM hook file_open".to_owned(), Role::Deny),
    ];
    let trampoline = [
        ("kprobe security_file_open".to_owned(), Role::Report),
        ("fmod_ret security_file_open".to_owned(), Role::Deny),
    ];
    let override_open = open("{action: Override, argError: -13}");
    for version in ["6.1", "6.12", "7.2"] {
        assert_eq!(mechanisms(version, &override_open), lsm, "{version}");
    }
    assert_eq!(mechanisms("5.10", &override_open), trampoline);
}

fn symlink(value: &str) -> String {
    format!(
        "call: sys_symlinkat\nargs: [{{index: 0, type: string}}]\nselectors:\n- matchActions: [{{action: Override, argError: {value}}}]\n"
    )
}

// proves: ACT-03 (choice)
#[test]
fn a_denied_system_call_is_noted_at_its_entry_returned_on_its_way_and_forgotten_at_its_end() {
    for (version, by, exit) in [
        ("5.10", "fmod_ret security_path_symlink", "fexit"),
        ("6.1", "LSM hook path_symlink", "fexit"),
        ("6.12", "LSM hook path_symlink", "fexit"),
        ("7.2", "LSM hook path_symlink", "kretprobe"),
    ] {
        let expected = [
            ("kprobe __x64_sys_symlinkat".to_owned(), Role::ReportAndNote),
            (by.to_owned(), Role::DenyNoted),
            (format!("{exit} __x64_sys_symlinkat"), Role::Forget),
        ];
        assert_eq!(mechanisms(version, &symlink("-1")), expected, "{version}");
    }
}

#[test]
fn a_hook_on_the_way_can_return_an_error_only() {
    for value in ["0", "7", "-4096"] {
        assert_eq!(resolve("6.12", &symlink(value)).unwrap_err(), [Code::NotOnThisKernel], "{value}");
    }
    assert!(resolve("6.12", &symlink("-4095")).is_ok());
}

#[test]
fn a_call_that_passes_no_hook_is_not_overridden_here() {
    let hook = symlink("-1").replace("symlinkat", "getpid").replace("{index: 0, type: string}", "");
    assert_eq!(resolve("6.12", &hook).unwrap_err(), [Code::NotOnThisKernel]);
}

// proves: HOOK-04 (where functions cannot be traced)
#[test]
fn a_kernel_without_function_tracing_serves_system_calls_by_tracepoint_and_refuses_functions() {
    let call = "call: sys_openat\nargs: [{index: 1, type: string}]";
    let found = mechanisms("6.18", call);
    assert_eq!(found, [("raw tracepoint sys_enter".to_owned(), Role::Report)]);
    assert_eq!(resolve("6.18", OPEN).unwrap_err(), [Code::NotOnThisKernel]);
}

#[test]
fn a_symbol_that_the_kernel_lacks_is_an_error() {
    let hook = "call: security_file_opne\nsyscall: false";
    assert_eq!(resolve("6.12", hook).unwrap_err(), [Code::NoSuchFunction]);
}

#[test]
fn arguments_must_have_a_parameter_that_fits() {
    let beyond = "call: security_file_open\nsyscall: false\nargs: [{index: 1, type: int}]";
    assert_eq!(resolve("6.12", beyond).unwrap_err(), [Code::BeyondPrototype]);
    let syscall = "call: sys_openat\nargs: [{index: 4, type: int}]";
    assert_eq!(resolve("6.12", syscall).unwrap_err(), [Code::BeyondPrototype]);
    let other = "call: security_file_open\nsyscall: false\nargs: [{index: 0, type: path}]";
    assert_eq!(resolve("6.12", other).unwrap_err(), [Code::PrototypeMismatch]);
}

#[test]
fn tests_of_the_process_become_classes_and_equal_ones_one() {
    let hook = format!(
        "{OPEN}selectors:\n- matchBinaries: [{{operator: In, values: [/bin/cat]}}]\n- matchBinaries: [{{operator: NotIn, values: [/bin/cat]}}]\n  matchPIDs: [{{operator: In, values: [7], followForks: true}}]\n"
    );
    let resolved = resolve("6.12", &hook).unwrap();
    let hook = &resolved.hooks[0];
    assert_eq!(hook.classes.len(), 2);
    assert!(matches!(&hook.classes[1], ClassTest::Descendants { pids, .. } if *pids == [7]));
    assert_eq!(hook.class_uses[0].len(), 1);
    assert_eq!(hook.class_uses[1].len(), 2);
    assert!(hook.selectors.iter().all(|selector| selector.binaries.is_empty() && selector.pids.is_empty()));
}

/// Functions that events name, and what is attached for each.
fn places(resolved: &Resolved) -> Vec<(String, Vec<String>)> {
    let targets = |hook: &tracing_policy::policy::ResolvedHook| {
        hook.attachments.iter().map(|one| one.target.to_string()).collect()
    };
    resolved.hooks.iter().map(|hook| (hook.layout.function_name.clone(), targets(hook))).collect()
}

// proves: HOOK-05 (lists of symbols and of system calls)
#[test]
fn a_list_is_a_hook_for_each_of_its_values_under_its_own_name() {
    let spec = "  lists:
  - {name: dups, type: syscalls, values: [sys_dup, x64/sys_dup2]}
  - {name: opens, values: [vfs_open]}
  kprobes:
  - {call: 'list:dups', syscall: false, args: [{index: 0, type: int, label: fd}]}
  - {call: 'list:opens', syscall: false}
";
    let resolved = resolve_spec("6.12", spec).unwrap();
    let kprobe = |symbol: &str| (symbol.to_owned(), vec![format!("kprobe {symbol}")]);
    let expected = [kprobe("__x64_sys_dup"), kprobe("__x64_sys_dup2"), kprobe("vfs_open")];
    assert_eq!(places(&resolved), expected);
    assert_eq!(resolved.hooks[0].layout.values, resolved.hooks[1].layout.values);
    let missing = spec.replace("vfs_open", "vfs_opne");
    assert_eq!(resolve_spec("6.12", &missing).unwrap_err(), [Code::NoSuchFunction]);
}

// proves: HOOK-05 (generated_syscalls)
#[test]
fn a_generated_list_has_every_system_call_that_the_kernel_has() {
    let spec = "  lists: [{name: all, type: generated_syscalls}]\n  kprobes: [{call: 'list:all'}]\n";
    let resolved = resolve_spec("6.12", spec).unwrap();
    let found: Vec<_> = resolved.hooks[0].members.iter().map(|member| member.function.as_str()).collect();
    assert!(found.contains(&"__x64_sys_openat"), "{found:?}");
    assert!(found.len() < bpf_probes::kernel::Syscall::all().len(), "the recorded kernel lacks some");
    assert!(resolved.warnings.is_empty());
}

// proves: POL-12 (callNotFound)
#[test]
fn a_symbol_that_may_be_missing_is_left_out_with_a_warning() {
    let spec = "  kprobes:
  - {call: security_file_opne, syscall: false, ignore: {callNotFound: true}}
  - {call: security_file_open, syscall: false, ignore: {callNotFound: true}}
";
    let resolved = resolve_spec("6.12", spec).unwrap();
    assert_eq!(places(&resolved).len(), 1);
    let warned: Vec<_> = resolved.warnings.iter().map(|warning| warning.code).collect();
    assert_eq!(warned, [Code::NoSuchFunction]);
    let absent: Vec<_> = resolved.absent.iter().map(|hook| hook.function.as_str()).collect();
    assert_eq!(absent, ["function security_file_opne"]);
}

/// Where hooks stand in a policy, and what they are on.
fn entries(resolved: &Resolved) -> Vec<(HookSection, u32, &str)> {
    let absent = resolved.absent.iter().map(|hook| (hook.section, hook.entry, hook.function.as_str()));
    let hooks = resolved.hooks.iter().map(|hook| (hook.section, hook.entry, hook.key.function.as_str()));
    hooks.chain(absent).collect()
}

// proves: POL-16 (number of the entry)
#[test]
fn a_hook_has_the_number_of_its_entry_whatever_became_of_the_entries_before_it() {
    use HookSection::{Enforcers, Kprobes};
    let spec = "  kprobes:
  - {call: security_file_opne, syscall: false, ignore: {callNotFound: true}}
  - {call: security_file_open, syscall: false, args: [{index: 0, type: auto, resolve: f_flags}]}
";
    let resolved = resolve_spec("6.12", spec).unwrap();
    let expected = [(Kprobes, 1, "security_file_open"), (Kprobes, 0, "function security_file_opne")];
    assert_eq!(entries(&resolved), expected);
    let spec = "  kprobes:
  - call: security_file_open
    syscall: false
    selectors: [{matchActions: [{action: NotifyEnforcer, argError: -1}]}]
  enforcers: [{calls: [sys_symlink]}, {calls: [sys_symlink]}, {calls: [sys_link]}]
";
    let resolved = resolve_spec("6.12", spec).unwrap();
    let expected = [
        (Kprobes, 0, "security_file_open"),
        (Enforcers, 0, "__x64_sys_symlink"),
        (Enforcers, 2, "__x64_sys_link"),
    ];
    assert_eq!(entries(&resolved), expected);
}

fn matching(pattern: &str) -> String {
    format!(
        "  lists: [{{name: some, type: generated_ftrace, pattern: '{pattern}'}}]\n  kprobes: [{{call: 'list:some'}}]\n"
    )
}

// proves: POL-05 (generated_ftrace), HOOK-05 (generated_ftrace)
#[test]
fn a_pattern_stands_for_every_function_that_matches_it() {
    let resolved = resolve_spec("6.1", &matching("^security_path_(symlink|link)$")).unwrap();
    let names: Vec<_> = places(&resolved).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["security_path_link", "security_path_symlink"]);
    assert!(resolved.hooks.iter().all(|hook| hook.key.convention == Convention::Function));
    let calls = resolve_spec("6.1", &matching("^__x64_sys_symlink(at)?$")).unwrap();
    assert!(calls.hooks.iter().all(|hook| hook.key.convention.is_syscall()), "wrappers are system calls");
    let many = resolve_spec("6.12", &matching("^security_path_")).unwrap();
    assert_eq!(many.hooks.len(), 1);
    assert!(many.hooks[0].members.len() > 4);
    assert_eq!(resolve_spec("6.12", &matching("^no_such_")).unwrap_err(), [Code::NoSuchFunction]);
}

// proves: HOOK-21 (calls that a kernel does not serve)
#[test]
fn a_system_call_that_the_kernel_does_not_serve_to_32_bit_programs_is_missed_by_name() {
    for call in ["__ia32_sys_dup", "__ia32_compat_sys_openat", "__ia32_sys_frobnicate"] {
        assert_eq!(
            resolve("6.12", &format!("call: {call}\n")).unwrap_err(),
            [Code::NoSuchFunction],
            "{call}"
        );
    }
}

fn lsm(version: &str, hook: &str) -> Result<Resolved, Vec<Code>> {
    resolve_spec(version, &format!("  lsmhooks:\n  - {hook}\n"))
}

// proves: HOOK-16 (choice)
#[test]
fn an_lsm_hook_is_an_lsm_program_where_such_run_and_else_the_function_that_asks_it() {
    let text = "{hook: file_open, args: [{index: 0, type: file}], selectors: [{matchActions: [{action: Override, argError: -1}]}]}";
    for version in ["6.1", "6.12", "7.2"] {
        let resolved = lsm(version, text).unwrap();
        let hook = &resolved.hooks[0];
        assert_eq!((&*hook.layout.function_name, &hook.layout.form), ("file_open", &EventForm::Lsm));
        assert_eq!((&*hook.key.function, hook.key.convention), ("file_open", Convention::Lsm));
        assert_eq!(hook.attachments.len(), 1, "{version}");
        let one = &hook.attachments[0];
        assert_eq!((one.target.to_string().as_str(), one.role), ("LSM hook file_open", Role::ReportAndDeny));
        assert!(one.reason.contains("security modules before"), "{}", one.reason);
    }
    let resolved = lsm("5.10", text).unwrap();
    let there = vec!["kprobe security_file_open".to_owned(), "fmod_ret security_file_open".to_owned()];
    assert_eq!(places(&resolved), [("file_open".to_owned(), there)]);
    assert_eq!(resolved.hooks[0].key.convention, Convention::Function);
    assert_eq!(lsm("6.18", text).unwrap_err(), [Code::NotOnThisKernel]);
}

#[test]
fn an_lsm_hook_is_checked_against_its_own_parameters() {
    assert_eq!(lsm("6.12", "{hook: file_opne}").unwrap_err(), [Code::NoSuchFunction]);
    let beyond = "{hook: file_open, args: [{index: 1, type: int}]}";
    assert_eq!(lsm("6.12", beyond).unwrap_err(), [Code::BeyondPrototype]);
    let other = "{hook: file_open, args: [{index: 0, type: path}]}";
    assert_eq!(lsm("6.12", other).unwrap_err(), [Code::PrototypeMismatch]);
}

#[test]
fn hooks_of_several_kinds_may_be_in_one_policy() {
    let spec = "  kprobes:\n  - {call: vfs_open, syscall: false}\n  lsmhooks:\n  - {hook: file_open}\n";
    let names: Vec<_> =
        places(&resolve_spec("6.12", spec).unwrap()).into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["vfs_open", "file_open"]);
}

// proves: HOOK-07 (what a kernel lacks)
#[test]
fn a_tracepoint_needs_its_format_and_fields_that_fit() {
    const FORMAT: &str = "ID: 7\nformat:\n\
        \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
        \tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n\
        \tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n\
        \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\
        \tfield:int number;\toffset:8;\tsize:4;\tsigned:1;\n\
        \tfield:unsigned long args[6];\toffset:16;\tsize:48;\tsigned:0;\n\n";
    let mut view = kernel("6.12");
    view.add_tracepoint("made", "up", bpf_probes::kernel::TracepointFormat::parse(FORMAT).unwrap());
    let codes = |arguments: &str| {
        let text = format!(
            "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {{name: t}}\nspec:\n  tracepoints: [{arguments}]\n"
        );
        let (policy, _) = tracing_policy::read(&SourceText::new("t.yaml", text)).unwrap();
        let errors = tracing_policy::resolve(policy, &view).map(|_| ()).err().unwrap_or_default();
        errors.iter().map(|error| error.code).collect::<Vec<_>>()
    };
    let one = |arguments: &str| codes(&format!("{{subsystem: made, event: up, args: [{arguments}]}}"));
    assert_eq!(one("{index: 4}, {index: 4, type: int}"), []);
    assert_eq!(one("{index: 6}"), [Code::BeyondPrototype]);
    assert_eq!(one("{index: 6, type: int}"), [Code::BeyondPrototype]);
    // bytes of its size
    assert_eq!(one("{index: 5}"), []);
    assert_eq!(one("{index: 5, type: uint64}"), [Code::PrototypeMismatch]);
    assert_eq!(one("{index: 4, type: string}"), [Code::PrototypeMismatch]);
    assert_eq!(codes("{subsystem: made, event: down, args: [{index: 4}]}"), [Code::NoSuchFunction]);
    assert_eq!(codes("{subsystem: made, event: down}"), [Code::NoSuchFunction]);
    assert_eq!(codes("{subsystem: raw_syscalls, event: sys_enter, raw: true}"), []);
    let filter = "{subsystem: made, event: up, args: [{index: 4}], selectors: [{matchArgs: [{index: 4, operator: Prefix, values: [a]}]}]}";
    assert_eq!(codes(filter), [Code::OperatorMismatch]);
}

#[test]
fn what_describes_the_network_is_read_only_where_the_prototype_has_it() {
    let hook = |call: &str, index: u32, ty: &str| {
        format!("call: {call}\nsyscall: false\nargs: [{{index: {index}, type: {ty}}}]\n")
    };
    for version in ["5.10", "6.1", "6.12", "7.2"] {
        for (call, index, ty) in [
            ("tcp_connect", 0, "sock"),
            ("security_socket_connect", 0, "socket"),
            ("security_socket_connect", 1, "sockaddr"),
            ("security_socket_bind", 1, "sockaddr_un"),
            ("security_sock_rcv_skb", 1, "skb"),
        ] {
            assert!(resolve(version, &hook(call, index, ty)).is_ok(), "{version} {call} {ty}");
        }
        for (call, index, ty) in [
            ("tcp_connect", 0, "socket"),
            ("tcp_sendmsg", 1, "sock"),
            ("tcp_sendmsg", 2, "sockaddr"),
            ("security_socket_connect", 1, "skb"),
        ] {
            let refused = resolve(version, &hook(call, index, ty)).unwrap_err();
            assert_eq!(refused, [Code::PrototypeMismatch], "{version} {call} {ty}");
        }
    }
}

// proves: ARG-17 (refusals), ARG-18 (refusals), ARG-19 (mechanism)
#[test]
fn what_the_kernels_types_do_not_have_is_refused_with_its_place() {
    let bprm =
        |fields: &str| format!("call: security_bprm_check\nsyscall: false\nargs: [{{index: 0, {fields}}}]\n");
    for (hook, code) in [
        (bprm("resolve: file.f_innode"), Code::PrototypeMismatch),
        (bprm("resolve: 'file['"), Code::BadSymbol),
        (bprm("resolve: 'argc[1]', type: int"), Code::PrototypeMismatch),
        (bprm("resolve: mm"), Code::ArgumentType),
        (bprm("resolve: x, type: int, btfType: no_such_struct"), Code::NotOnThisKernel),
        (bprm("resolve: x, type: int, btfType: file, btfTypeModule: no_such_module"), Code::NotOnThisKernel),
        (bprm("resolve: cred.uid, type: uint64"), Code::PrototypeMismatch),
        // a filter is checked against the type that is found
        (
            format!(
                "{}selectors: [{{matchArgs: [{{index: 0, operator: Prefix, values: [a]}}]}}]\n",
                bprm("type: string, resolve: argc")
            ),
            Code::OperatorMismatch,
        ),
        ("call: sys_dup\nargs: [{index: 0, type: int, resolve: pid}]\n".to_owned(), Code::PrototypeMismatch),
    ] {
        assert_eq!(resolve("6.12", &hook).map(|_| ()), Err(vec![code]), "{hook}");
    }
    let registers = "call: sys_dup\ndata: [{index: 0, type: int, source: pt_regs, resolve: eax}]\n";
    assert!(resolve("6.12", registers).is_ok());
    // there, system calls are seen by a tracepoint
    assert_eq!(resolve("6.18", registers).map(|_| ()), Err(vec![Code::NotOnThisKernel]));
    let judged = "call: security_bprm_check\nsyscall: false\ndata: [{index: 0, type: int, source: pt_regs, resolve: eax}]\n\
        selectors: [{matchData: [{index: 0, operator: Equal, values: ['1']}], matchActions: [{action: Override, argError: -1}]}]\n";
    assert_eq!(resolve("6.12", judged).map(|_| ()), Err(vec![Code::NotOnThisKernel]));
}
