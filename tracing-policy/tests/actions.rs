//! Every action on every kind of hook: accepted, or refused with a code at the action's name.

#![expect(clippy::unwrap_used, reason = "tests")]

use tracing_policy::diagnostic::{Code, Severity};
use tracing_policy::source::SourceText;
use tracing_policy::{check, parse};

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
const KINDS: [(&str, &str); 7] = [
    ("a system call", "kprobes: [{call: sys_write, "),
    ("a security function", "kprobes: [{call: security_file_open, syscall: false, "),
    ("another function", "kprobes: [{call: tcp_connect, syscall: false, args: [{index: 0, type: sock}], "),
    ("a tracepoint", "tracepoints: [{subsystem: sched, event: sched_process_exec, "),
    ("a raw tracepoint", "tracepoints: [{subsystem: sched, event: sched_process_exec, raw: true, "),
    ("an LSM hook", "lsmhooks: [{hook: file_open, "),
    ("a uprobe", "uprobes: [{path: /bin/sh, offsets: [1], "),
];

/// Each action with what it needs, and the answers by kind.
const ACTIONS: [(&str, [Answer; 7]); 12] = [
    ("Post", [Yes, Yes, Yes, Yes, Yes, Yes, Yes]),
    ("NoPost", [Yes, Yes, Yes, Yes, Yes, Yes, Yes]),
    ("Sigkill", [Yes, Yes, Yes, Yes, Yes, Yes, Yes]),
    ("Signal, argSig: 15", [Yes, Yes, Yes, Yes, Yes, Yes, Yes]),
    ("Override, argError: -1", [Yes, Yes, Yes, Never, Never, Yes, Yes]),
    ("GetUrl, argUrl: 'http://localhost/x'", [Yes, Yes, Yes, Yes, Yes, Never, Never]),
    ("DnsLookup, argFqdn: example.com", [Yes, Yes, Yes, Yes, Yes, Never, Never]),
    ("TrackSock, argSock: 0", [NoSocket, NoSocket, Yes, Never, Never, Never, Never]),
    ("UntrackSock", [NoSocket, NoSocket, Yes, Never, Never, Never, Never]),
    (
        "NotifyEnforcer, argError: -1",
        [NoEnforcer, NoEnforcer, NoEnforcer, NoEnforcer, NoEnforcer, Never, Never],
    ),
    (
        "CleanupEnforcerNotification",
        [NoEnforcer, NoEnforcer, NoEnforcer, NoEnforcer, NoEnforcer, Never, NoEnforcer],
    ),
    ("Set, argIndex: 0, argValue: 1", [Never, Never, Never, Never, Never, Never, Never]),
];

// proves: ACT-19 (kprobes, tracepoints, LSM hooks, uprobes)
#[test]
fn every_action_on_every_kind_of_hook_is_accepted_or_refused_with_its_code() {
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
