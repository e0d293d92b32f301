//! Policies of clients outlive the daemon that was told to keep them.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use api::wire::{ConfigureTracingPolicyRequest, DeleteTracingPolicyRequest, TracingPolicyState};

use super::instance::{Instance, Waiting};
use super::policies::{add, kill_policy, list};

const KEEP: &str = "--persist-grpc-policies";

fn states(instance: &Instance) -> Vec<(String, TracingPolicyState)> {
    let mut states: Vec<_> =
        list(instance).into_iter().map(|policy| (policy.name.clone(), policy.state())).collect();
    states.sort_unstable_by(|one, other| one.0.cmp(&other.0));
    states
}

// proves: API-14, SEC-06
#[test]
fn root_policies_of_clients_are_back_before_the_next_daemon_is_ready() {
    let keep = tempfile::tempdir().unwrap();
    let kept = keep.path().join("kept");
    let at = format!("--persist-grpc-policies-dir={}", kept.display());
    let first = Instance::start(&[KEEP, &at]);
    let secret = first.directory.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    let path = secret.display().to_string();
    let child = Waiting::start(&format!("cat {path}; echo survived"));
    let pid = child.child.id();
    add(&first, kill_policy("kill", pid, &path)).unwrap();
    for name in ["off", "gone", "bad"] {
        add(&first, kill_policy(name, pid, "/no/such/file")).unwrap();
    }
    let (runtime, mut client) = first.client();
    let off =
        ConfigureTracingPolicyRequest { name: "off".to_owned(), enable: Some(false), ..Default::default() };
    runtime.block_on(client.configure_tracing_policy(off)).unwrap();
    let gone = DeleteTracingPolicyRequest { name: "gone".to_owned(), ..Default::default() };
    runtime.block_on(client.delete_tracing_policy(gone)).unwrap();
    drop((client, runtime));
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o7777;
    assert_eq!((mode(&kept), mode(&kept.join("kill::grpc.json"))), (0o700, 0o600));
    let directory = first.kill();
    fs::write(kept.join("bad::grpc.json"), "{").unwrap();
    fs::write(kept.join("foreign"), "kind: TracingPolicy").unwrap();

    let second = Instance::start_in(directory, &[KEEP, &at]);
    use TracingPolicyState::{TpStateDisabled, TpStateEnabled};
    assert_eq!(states(&second), [("kill".to_owned(), TpStateEnabled), ("off".to_owned(), TpStateDisabled)]);
    let (text, status) = child.go();
    assert_eq!((text.as_str(), status.success()), ("survived\n", true), "cat is killed, the shell is not");
    let log = second.log();
    assert!(
        log.contains("bad::grpc.json is not restored") && log.contains("foreign is not restored"),
        "{log}"
    );
    assert!(second.stop().status.success());
    assert!(kept.join("kill::grpc.json").exists(), "an end in order keeps them too");
}

#[test]
fn root_a_daemon_that_keeps_nothing_neither_writes_nor_restores() {
    let first = Instance::start(&[]);
    add(&first, kill_policy("p", 1, "/no/such/file")).unwrap();
    assert!(!first.run_dir().join("grpc-policies").exists());
    let second = Instance::start_in(first.kill(), &[KEEP]);
    assert!(list(&second).is_empty());
}
