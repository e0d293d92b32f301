//! `tetra tracingpolicy`.

use crate::service::{Daemon, printed, refused, serde_json_line, tetra};

// proves: CLI-12 (add)
#[test]
fn a_policy_is_sent_and_a_refusal_keeps_its_lines_but_no_escapes() {
    let daemon = Daemon::start();
    let good = daemon.file("good.yaml", "kind: TracingPolicy");
    let bad = daemon.file("bad.yaml", "bad");
    let output = daemon.tetra(&["tracingpolicy", "add", &good, "--domain", "d"]);
    assert_eq!(printed(&output), format!("tracing policy \"{good}\" added\n"));
    assert!(daemon.asked().contains("kind: TracingPolicy\", domain: \"d\""));
    let error = refused(&daemon.tetra(&["tp", "add", &bad]));
    assert!(error.contains("policy.yaml:3:7: unknown field \\x1b[31m\n  | bad\n"), "{error}");
    let missing = refused(&daemon.tetra(&["tp", "add", "/nonexistent.yaml"]));
    assert!(missing.starts_with("Error: cannot read \"/nonexistent.yaml\""), "{missing}");
}

// proves: CLI-12 (delete, enable, disable, set-mode)
#[test]
fn changes_of_a_policy_ask_for_what_they_say() {
    let daemon = Daemon::start();
    for (words, line, asked) in [
        (
            vec!["tp", "delete", "p", "-n", "ns"],
            "deleted",
            "DeleteTracingPolicyRequest { name: \"p\", namespace: \"ns\"",
        ),
        (vec!["tp", "enable", "p"], "enabled", "enable: Some(true), mode: None"),
        (vec!["tp", "disable", "p"], "disabled", "enable: Some(false), mode: None"),
        (
            vec!["tp", "set-mode", "p", "monitor"],
            "set to mode \"monitor\"",
            "enable: None, mode: Some(TpModeMonitor)",
        ),
        (vec!["tp", "set-mode", "p", "enforce"], "set to mode \"enforce\"", "mode: Some(TpModeEnforce)"),
    ] {
        assert_eq!(printed(&daemon.tetra(&words)), format!("tracing policy \"p\" {line}\n"));
        assert!(daemon.asked().contains(asked), "{words:?}: {}", daemon.asked());
    }
}

// proves: CLI-12 (list), CLI-13
#[test]
fn policies_are_listed_as_a_table_and_as_json() {
    let daemon = Daemon::start();
    let table = printed(&daemon.tetra(&["tp", "list"]));
    let row: Vec<_> = table.lines().nth(1).unwrap().split_whitespace().collect();
    assert_eq!(row, ["0", "p", "enabled", "0", "(global)", "1.5", "kB", "enforce", "0", "0", "0"]);
    let list = serde_json_line(&printed(&daemon.tetra(&["tp", "list", "-o", "json"])));
    let policy = &list["policies"][0];
    assert_eq!((&policy["state"], &policy["mode"]), (&"TP_STATE_ENABLED".into(), &"TP_MODE_ENFORCE".into()));
    assert_eq!(policy["kernel_memory_bytes"], "1500");
}

// proves: CLI-12 (domains)
#[test]
fn domains_are_listed_in_brackets_and_as_json() {
    let daemon = Daemon::start();
    assert_eq!(printed(&daemon.tetra(&["tp", "domains"])), "[grpc k8s static]\n");
    let list = serde_json_line(&printed(&daemon.tetra(&["tp", "domains", "-o", "json"])));
    assert_eq!(list["domains"], serde_json::json!(["grpc", "k8s", "static"]));
}

// proves: CLI-12 (modify)
#[test]
fn a_modified_policy_is_printed_without_a_daemon() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("p.yaml");
    let policy = "apiVersion: cilium.io/v1alpha1\nkind: TracingPolicy\nmetadata: {name: p}\n\
        spec:\n  kprobes:\n  - call: x # here\n    syscall: false\n";
    std::fs::write(&path, policy).unwrap();
    let file = path.to_str().unwrap();
    let nowhere = folder.path().join("none.sock");
    assert_eq!(printed(&tetra(&nowhere, &["tp", "modify", file])), policy);
    let monitored = printed(&tetra(&nowhere, &["tp", "modify", file, "-m", "monitor"]));
    assert!(monitored.contains("{name: policy-mode, value: monitor}") && monitored.contains("x # here"));
    std::fs::write(&path, "kind: [").unwrap();
    assert!(refused(&tetra(&nowhere, &["tp", "modify", file])).contains("cannot modify"));
}
