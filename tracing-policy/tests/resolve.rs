//! Policies against recorded kernels: what attaches where, and what a kernel refuses.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;

use bpf_probes::kernel::KernelView;
use tracing_policy::diagnostic::Code;
use tracing_policy::policy::{ClassTest, Resolved, Role};
use tracing_policy::source::SourceText;

fn kernel(version: &str) -> KernelView {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bpf-probes/testdata").join(version);
    KernelView::from_files(|name| std::fs::read(folder.join(name)).ok()).unwrap()
}

fn resolve(version: &str, hook: &str) -> Result<Resolved, Vec<Code>> {
    let text = format!(
        "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {{name: t}}\nspec:\n  kprobes:\n  - {}\n",
        hook.trim().replace('\n', "\n    ")
    );
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
    assert!(matches!(&hook.classes[1], ClassTest::Descendants { pids } if *pids == [7]));
    assert_eq!(hook.class_uses[0].len(), 1);
    assert_eq!(hook.class_uses[1].len(), 2);
    assert!(hook.selectors.iter().all(|selector| selector.binaries.is_empty() && selector.pids.is_empty()));
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
