//! What each option of a policy changes, on recorded kernels.
#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::sync::Arc;

use bpf_probes::attach::FileId;
use bpf_probes::kernel::{Answer, Feature, KernelView};
use tracing_policy::diagnostic::Code;
use tracing_policy::files::{Binaries, BinaryFile};
use tracing_policy::policy::{Mode, Resolved};
use tracing_policy::source::SourceText;

fn kernel(version: &str) -> KernelView {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bpf-probes/testdata").join(version);
    KernelView::from_files(|name| std::fs::read(folder.join(name)).ok()).unwrap()
}

/// The recorded kernel as if it were built with `CONFIG_BPF_KPROBE_OVERRIDE`.
fn with_override(version: &str) -> KernelView {
    kernel(version).changed(|facts| facts.features.set(Feature::OverrideReturn, Answer::Yes))
}

/// A policy with an option, and what it becomes; all codes that it is warned of.
fn resolve(kernel: &KernelView, option: &str, spec: &str) -> (Resolved, Vec<Code>) {
    let text = format!(
        "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {{name: t}}\nspec:\n  options: [{option}]\n  {spec}\n"
    );
    let (policy, warnings) = tracing_policy::read(&SourceText::new("t.yaml", text)).unwrap();
    let id = FileId { device: 1, inode: 2 };
    let mut binaries = Binaries::none();
    let file = BinaryFile { id, path: "/x".to_owned(), bytes: Arc::from([0x90; 64]), hold: None };
    binaries.insert("/x", Ok(file));
    let resolved = tracing_policy::resolve_in(policy, kernel, &binaries).unwrap();
    let codes = warnings.iter().chain(&resolved.warnings).map(|warning| warning.code).collect();
    (resolved, codes)
}

/// What is attached for all hooks.
fn attached(resolved: &Resolved) -> Vec<String> {
    let attachments = resolved.hooks.iter().flat_map(|hook| &hook.attachments);
    attachments.map(|attachment| attachment.target.to_string()).collect()
}

fn option(name: &str, value: &str) -> String {
    format!("{{name: {name}, value: '{value}'}}")
}

const SYMLINK: &str =
    "kprobes: [{call: sys_symlinkat, selectors: [{matchActions: [{action: Override, argError: -1}]}]}]";
const ENFORCER: &str = "enforcers: [{calls: [sys_symlinkat]}]\n  tracepoints: [{subsystem: raw_syscalls, event: sys_enter, raw: true, selectors: [{matchActions: [{action: NotifyEnforcer, argError: -1}]}]}]";

// proves: POL-07 (override-method)
#[test]
fn the_method_of_overriding_is_obeyed_where_the_kernel_can_do_both() {
    for spec in [SYMLINK, ENFORCER] {
        for version in ["5.10", "6.1", "6.12", "7.2"] {
            let custom = with_override(version);
            let injects = |option: &str| {
                let (resolved, warnings) = resolve(&custom, option, spec);
                assert_eq!(warnings, [], "{version} {option}");
                let last = attached(&resolved);
                let on_the_way = last.iter().any(|target| {
                    [
                        "LSM hook path_symlink",
                        "fmod_ret security_path_symlink",
                        "fmod_ret __x64_sys_symlinkat",
                    ]
                    .contains(&target.as_str())
                });
                let twice = last.iter().filter(|target| *target == "kprobe __x64_sys_symlinkat").count() == 2;
                assert_ne!(on_the_way, twice, "{last:?}");
                twice
            };
            assert!(injects(""), "{version}");
            assert!(injects(&option("override-method", "override-return")), "{version}");
            assert!(!injects(&option("override-method", "fmod-ret")), "{version}");
        }
    }
}

// proves: POL-07 (override-method)
#[test]
fn a_method_that_the_kernel_lacks_is_warned_of_and_the_call_denied_all_the_same() {
    for spec in [SYMLINK, ENFORCER] {
        let stock = kernel("6.12");
        let without = attached(&resolve(&stock, "", spec).0);
        let (resolved, warnings) = resolve(&stock, &option("override-method", "override-return"), spec);
        assert_eq!((attached(&resolved), warnings), (without.clone(), vec![Code::NotOnThisKernel]));
        let (resolved, warnings) = resolve(&stock, &option("override-method", "fmod-ret"), spec);
        assert_eq!((attached(&resolved), warnings), (without, vec![]));
    }
    // no hook is on the way of this call
    let spec = SYMLINK.replace("symlinkat", "getpid");
    let (resolved, warnings) = resolve(&with_override("5.10"), &option("override-method", "fmod-ret"), &spec);
    assert_eq!(attached(&resolved), ["kprobe __x64_sys_getpid"; 2]);
    assert_eq!(warnings, [Code::NotOnThisKernel]);
    // nothing is overridden, so nothing is said
    let (_, warnings) =
        resolve(&kernel("6.12"), &option("override-method", "override-return"), "kprobes: [{call: sys_dup}]");
    assert_eq!(warnings, []);
}

// proves: POL-07
#[test]
fn each_other_option_changes_what_it_says_and_nothing_else() {
    let many = "lists: [{name: l, values: [vfs_open, vfs_read, vfs_write, security_file_open]}]\n  kprobes: [{call: 'list:l', syscall: false}]";
    let kernel = kernel("6.12");
    let together = attached(&resolve(&kernel, "", many).0);
    assert_eq!(together, ["kprobe.multi of 4 functions"]);
    assert_eq!(attached(&resolve(&kernel, &option("disable-kprobe-multi", "true"), many).0).len(), 4);
    for no in ["false", "0", "F"] {
        assert_eq!(attached(&resolve(&kernel, &option("disable-kprobe-multi", no), many).0), together);
    }
    let user = "uprobes: [{path: /x, offsets: [16]}]";
    let multi = attached(&resolve(&kernel, "", user).0);
    assert!(multi[0].starts_with("uprobe.multi"), "{multi:?}");
    let single = attached(&resolve(&kernel, &option("disable-uprobe-multi", "1"), user).0);
    assert!(single[0].starts_with("uprobe ") && single.len() == 1, "{single:?}");
    assert_eq!(attached(&resolve(&kernel, &option("disable-kprobe-multi", "1"), user).0), multi);
    for (value, mode) in [("enforce", Mode::Enforce), ("monitor", Mode::Monitor)] {
        assert_eq!(resolve(&kernel, &option("policy-mode", value), SYMLINK).0.mode, mode);
    }
    let (resolved, warnings) = resolve(&kernel, &option("sleepable-preload-size", "4096"), user);
    assert_eq!((attached(&resolved), warnings), (multi, vec![Code::UselessParameter]));
}

/// A hook of each section with an action, the mode in which it starts, and whether a mode can be asked for.
const MODES: [(&str, Mode); 18] = [
    ("kprobes: [{call: sys_dup, selectors: [{matchActions: [{action: Sigkill}]}]}]", Mode::Enforce),
    (
        "kprobes: [{call: sys_dup, selectors: [{matchActions: [{action: Signal, argSig: 10}]}]}]",
        Mode::Enforce,
    ),
    (SYMLINK, Mode::Enforce),
    (ENFORCER, Mode::Enforce),
    (
        "tracepoints: [{subsystem: a, event: b, selectors: [{matchActions: [{action: Post}, {action: Sigkill}]}]}]",
        Mode::Enforce,
    ),
    (
        "uprobes: [{path: /x, offsets: [16], selectors: [{}, {matchActions: [{action: Sigkill}]}]}]",
        Mode::Enforce,
    ),
    (
        "usdts: [{path: /x, provider: a, name: b, args: [{index: 0, type: int32}], selectors: [{matchActions: [{action: Set, argIndex: 0, argValue: 1}]}]}]",
        Mode::Enforce,
    ),
    (
        "lsmhooks: [{hook: file_open, selectors: [{matchActions: [{action: Override, argError: -1}]}]}]",
        Mode::Enforce,
    ),
    (
        "selectorsMacros: {kill: {matchActions: [{action: Sigkill}]}}\n  kprobes: [{call: sys_dup, selectors: [{macros: [kill]}]}]",
        Mode::Enforce,
    ),
    (
        "kprobes: [{call: sys_dup, return: true, returnArg: {index: 0, type: int}, selectors: [{matchReturnArgs: [{index: 0, operator: Equal, values: ['1']}], matchReturnActions: [{action: Sigkill}]}]}]",
        Mode::Enforce,
    ),
    (
        "selectorsMacros: {kill: {matchReturnActions: [{action: Signal, argSig: 9}]}}\n  kprobes: [{call: sys_dup, return: true, returnArg: {index: 0, type: int}, selectors: [{macros: [kill], matchReturnArgs: [{index: 0, operator: Equal, values: ['1']}]}]}]",
        Mode::Enforce,
    ),
    (
        "kprobes: [{call: sys_dup}, {call: sys_dup2, selectors: [{matchActions: [{action: Sigkill}]}]}]",
        Mode::Enforce,
    ),
    ("kprobes: [{call: sys_dup}]", Mode::MonitorOnly),
    ("kprobes: [{call: sys_dup, selectors: [{matchActions: [{action: NoPost}]}]}]", Mode::MonitorOnly),
    (
        "kprobes: [{call: sys_dup, selectors: [{matchActions: [{action: DnsLookup, argFqdn: example.com}]}]}]",
        Mode::MonitorOnly,
    ),
    (
        "kprobes: [{call: tcp_connect, syscall: false, args: [{index: 0, type: sock}], selectors: [{matchActions: [{action: TrackSock, argSock: 0}]}]}]",
        Mode::MonitorOnly,
    ),
    // a macro that nobody names
    (
        "selectorsMacros: {kill: {matchActions: [{action: Sigkill}]}}\n  kprobes: [{call: sys_dup, selectors: [{}]}]",
        Mode::MonitorOnly,
    ),
    ("loader: true", Mode::MonitorOnly),
];

// proves: POL-13
#[test]
fn a_policy_enforces_if_anything_in_it_does_and_starts_in_the_mode_that_it_asks_for() {
    let mode = |option: &str, spec: &str| {
        let text = format!(
            "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {{name: t}}\nspec:\n  options: [{option}]\n  {spec}\n"
        );
        let (policy, warnings) = tracing_policy::read(&SourceText::new("t.yaml", text)).unwrap();
        let ignored = warnings.iter().any(|warning| warning.code == Code::ModeWithoutEffect);
        (policy.initial_mode(), ignored)
    };
    for (spec, expected) in MODES {
        assert_eq!(mode("", spec), (expected, false), "{spec}");
        let asked = |value: &str| mode(&option("policy-mode", value), spec);
        if expected == Mode::Enforce {
            assert_eq!(asked("enforce"), (Mode::Enforce, false), "{spec}");
            assert_eq!(asked("monitor"), (Mode::Monitor, false), "{spec}");
        } else {
            assert_eq!([asked("enforce"), asked("monitor")], [(Mode::MonitorOnly, true); 2], "{spec}");
        }
    }
}
