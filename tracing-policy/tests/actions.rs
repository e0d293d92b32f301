//! Every action on every kind of hook: compiled on every kernel, or refused with a code at the action's name.

#![expect(clippy::unwrap_used, reason = "tests")]

use std::path::Path;
use std::sync::Arc;

use bpf_probes::attach::FileId;
use bpf_probes::kernel::{KernelView, TracepointFormat};
use tracing_policy::diagnostic::{Code, Severity};
use tracing_policy::files::{Binaries, BinaryFile};
use tracing_policy::policy::HookSection;
use tracing_policy::source::SourceText;
use tracing_policy::{Rider, check, compile_hook, parse};

/// What becomes of an action on a kind of hook.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Answer {
    /// It is compiled.
    Yes,
    /// The kind has no such action.
    Never,
    /// There is no socket that it could be about.
    NoSocket,
    /// There are no enforcers that it could be about.
    NoEnforcer,
}
use Answer::{Never, NoEnforcer, NoSocket, Yes};

/// A hook of each kind, up to its arguments.
const KINDS: [(&str, &str); 9] = [
    ("a system call", "kprobes: [{call: sys_symlinkat, "),
    ("a security function", "kprobes: [{call: security_file_open, syscall: false, "),
    ("another function", "kprobes: [{call: tcp_connect, syscall: false, args: [{index: 0, type: sock}], "),
    ("a tracepoint", "tracepoints: [{subsystem: sched, event: sched_process_exec, "),
    ("a raw tracepoint", "tracepoints: [{subsystem: sched, event: sched_process_exec, raw: true, "),
    ("an LSM hook", "lsmhooks: [{hook: file_open, "),
    ("a uprobe", "uprobes: [{path: /bin/sh, offsets: [16], "),
    ("a USDT probe", "usdts: [{path: /bin/sh, provider: a, name: b, "),
    ("a fentry", "fentries: [{call: tcp_connect, syscall: false, args: [{index: 0, type: sock}], "),
];

/// Each action with what it needs, and the answers by kind.
const ACTIONS: [(&str, [Answer; 9]); 12] = [
    ("Post", [Yes; 9]),
    ("NoPost", [Yes; 9]),
    ("Sigkill", [Yes, Yes, Yes, Yes, Yes, Yes, Yes, Yes, Never]),
    ("Signal, argSig: 15", [Yes, Yes, Yes, Yes, Yes, Yes, Yes, Yes, Never]),
    ("Override, argError: -1", [Yes, Yes, Yes, Never, Never, Yes, Yes, Never, Never]),
    ("GetUrl, argUrl: 'http://localhost/x'", [Yes, Yes, Yes, Yes, Yes, Never, Never, Never, Yes]),
    ("DnsLookup, argFqdn: example.com", [Yes, Yes, Yes, Yes, Yes, Never, Never, Never, Yes]),
    ("TrackSock, argSock: 0", [NoSocket, NoSocket, Yes, Never, Never, Never, Never, Never, Yes]),
    ("UntrackSock", [NoSocket, NoSocket, Yes, Never, Never, Never, Never, Never, Yes]),
    (
        "NotifyEnforcer, argError: -1",
        [NoEnforcer, NoEnforcer, NoEnforcer, NoEnforcer, NoEnforcer, Never, Never, Never, Never],
    ),
    (
        "CleanupEnforcerNotification",
        [NoEnforcer, NoEnforcer, NoEnforcer, NoEnforcer, NoEnforcer, Never, NoEnforcer, NoEnforcer, Never],
    ),
    ("Set, argIndex: 0, argValue: 1", [Never, Never, Never, Never, Never, Never, Never, Yes, Never]),
];

fn kernel(version: &str) -> KernelView {
    const FORMAT: &str = "ID: 7\nformat:\n\
        \tfield:unsigned short common_type;\toffset:0;\tsize:2;\tsigned:0;\n\
        \tfield:unsigned char common_flags;\toffset:2;\tsize:1;\tsigned:0;\n\
        \tfield:unsigned char common_preempt_count;\toffset:3;\tsize:1;\tsigned:0;\n\
        \tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n";
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../bpf-probes/testdata").join(version);
    let mut view = KernelView::from_files(|name| std::fs::read(folder.join(name)).ok()).unwrap();
    view.add_tracepoint("sched", "sched_process_exec", TracepointFormat::parse(FORMAT).unwrap());
    view
}

/// Whether a policy becomes programs on a kernel, or the first code that says why not.
fn compiles(source: &SourceText, kernel: &KernelView) -> Result<(), Code> {
    let (policy, _) = tracing_policy::read(source).unwrap();
    let mut binaries = Binaries::none();
    if policy.hooks.iter().any(|hook| hook.section() == HookSection::Uprobes) {
        let id = FileId { device: 1, inode: 2 };
        let file = BinaryFile { id, path: "/bin/sh".to_owned(), bytes: Arc::from([0x90; 64]), hold: None };
        binaries.insert("/bin/sh", Ok(file));
    }
    let resolved = tracing_policy::resolve_in(policy, kernel, &binaries).map_err(|errors| errors[0].code)?;
    assert!(!resolved.hooks.is_empty());
    for hook in &resolved.hooks {
        let rider = Rider { hook, policy_number: 0, layout_number: 1, first_selector: 0, class_numbers: &[] };
        let compiled = compile_hook(&[rider], kernel).unwrap();
        assert!(compiled.bodies.iter().all(|body| !body.collection.programs.is_empty()));
    }
    Ok(())
}

// proves: ACT-19
#[test]
fn every_action_on_every_kind_of_hook_is_accepted_or_refused_with_its_code() {
    let kernels = ["5.10", "6.1", "6.12", "7.2"].map(kernel);
    for (action, answers) in ACTIONS {
        for ((kind, hook), expected) in KINDS.into_iter().zip(answers) {
            let text = format!(
                "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {{name: p}}\nspec:\n  {hook}selectors: [{{matchActions: [{{action: {action}}}]}}]}}]\n"
            );
            let source = SourceText::new("test", text.as_str());
            let result = parse::policy(&source).and_then(check::policy);
            let errors: Vec<_> =
                result.err().into_iter().flatten().filter(|it| it.severity == Severity::Error).collect();
            let code = match expected {
                Yes => {
                    assert!(errors.is_empty(), "{action} on {kind}: {errors:?}");
                    for kernel in &kernels {
                        let expected = match (kind, action.split(',').next()) {
                            // no kernel lets that be overridden which records here
                            ("another function", Some("Override")) => Err(Code::NotOnThisKernel),
                            // programs may write registers of user space on the newest only
                            ("a uprobe", Some("Override")) if !kernel.release().starts_with("7.") => {
                                Err(Code::NotOnThisKernel)
                            }
                            // there is no file
                            ("a USDT probe", _) => Err(Code::BadFile),
                            _ => Ok(()),
                        };
                        let release = kernel.release();
                        assert_eq!(compiles(&source, kernel), expected, "{action} on {kind}, {release}");
                    }
                    continue;
                }
                Never => Code::OperatorMismatch,
                NoSocket => Code::UndeclaredArgument,
                NoEnforcer => Code::MissingField,
            };
            let first = errors.first().map(|error| (error.code, error.primary.span.start as usize));
            // of a parameter that is wrong, that is shown
            let parameter =
                text.find("argSock: ").filter(|_| expected == NoSocket).map(|at| at + "argSock: ".len());
            let whole = text.find("{action: ").filter(|_| expected == NoEnforcer);
            let at = parameter.or(whole).unwrap_or(text.find("action: ").unwrap() + "action: ".len());
            assert_eq!(first, Some((code, at)), "{action} on {kind}: {errors:?}");
        }
    }
}
