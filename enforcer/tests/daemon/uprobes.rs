//! Places in a program of the machine, by the API: hooked in the file that was looked at.

use std::fs;
use std::path::PathBuf;

use api::wire::{HookState, TracingPolicyState};
use tonic::Code;

use super::instance::{Instance, Waiting, wait_until};
use super::policies::{add, list};

/// A copy of the shell, which has a table of its functions.
fn shell(instance: &Instance) -> PathBuf {
    let copy = instance.directory.path().join("shell");
    fs::copy("/bin/bash", &copy).unwrap();
    copy
}

fn policy(name: &str, path: &str, rest: &str) -> String {
    format!(
        "apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {{name: {name}}}
spec:
  uprobes:
  - path: {path}
    message: a variable
    {rest}
"
    )
}

const VARIABLE: &str = "symbols: [find_variable]
    args:
    - {index: 0, type: string, label: name}
    selectors:
    - matchArgs:
      - {index: 0, operator: Equal, values: [WANTED]}";

// proves: HOOK-10 (symbol, in the daemon), EVT-05
#[test]
fn root_a_uprobe_is_reported_with_its_file_symbol_and_arguments() {
    let instance = Instance::start(&[]);
    let shell = shell(&instance);
    let path = shell.display().to_string();
    add(&instance, policy("variable", &path, VARIABLE)).unwrap();
    // the file that was looked at stays hooked, whatever has its name
    let moved = instance.directory.path().join("moved");
    fs::rename(&shell, &moved).unwrap();
    fs::write(&shell, "another file").unwrap();
    let child = Waiting::start(&format!("{} -c 'echo $WANTED $OTHER'", moved.display()));
    assert!(child.go().1.success());
    let reported = |event: &serde_json::Value| {
        let uprobe = &event["process_uprobe"];
        uprobe["path"] == path.as_str()
            && uprobe["symbol"] == "find_variable"
            && uprobe["policy_name"] == "variable"
            && uprobe["message"] == "a variable"
            && uprobe["action"] == "KPROBE_ACTION_POST"
            && uprobe["args"][0]["string_arg"] == "WANTED"
            && uprobe["args"][0]["label"] == "name"
            && uprobe["process"]["binary"] == moved.display().to_string().as_str()
    };
    wait_until("the call is reported", || instance.events().iter().any(reported));
    let other = |event: &serde_json::Value| event["process_uprobe"]["args"][0]["string_arg"] == "OTHER";
    assert!(!instance.events().iter().any(other));
}

// proves: HOOK-14 (in the daemon), POL-12 (digestVerificationFailure, in the daemon)
#[test]
fn root_a_file_that_is_another_than_the_policy_means_is_refused_with_what_it_is() {
    let instance = Instance::start(&[]);
    let shell = shell(&instance);
    let path = shell.display().to_string();
    let wrong = format!("binaryDigests: ['sha256:{}']", "0".repeat(64));
    let error = add(&instance, policy("pinned", &path, &format!("{wrong}\n    {VARIABLE}"))).unwrap_err();
    assert_eq!(error.code(), Code::Unknown, "{error}");
    assert!(error.message().contains("has none of these digests"), "{error}");
    // the right one is in the message
    let digest = error.message().split("it has sha256:").nth(1).unwrap().get(..64).unwrap().to_owned();
    let right = format!("binaryDigests: ['sha256:{digest}']");
    add(&instance, policy("right", &path, &format!("{right}\n    {VARIABLE}"))).unwrap();
    let ignore = "ignore: {digestVerificationFailure: true}";
    add(&instance, policy("without", &path, &format!("{wrong}\n    {ignore}\n    {VARIABLE}"))).unwrap();
    let listed = list(&instance);
    let without = listed.iter().find(|policy| policy.name == "without").unwrap();
    assert_eq!(without.state(), TracingPolicyState::TpStatePartiallyEnabled);
    let hooks: Vec<_> =
        without.hook_statuses.iter().map(|hook| (&*hook.section, hook.hook_idx, hook.state())).collect();
    assert_eq!(hooks, [("uprobes", 0, HookState::StatusDigestRejected)]);
    let missing = add(&instance, policy("missing", "/no/such/file", VARIABLE)).unwrap_err();
    assert!(missing.message().contains("/no/such/file: No such file"), "{missing}");
    let misspelt = policy("misspelt", &path, "symbols: [find_variabel]");
    let misspelt = add(&instance, misspelt).unwrap_err();
    assert!(misspelt.message().contains("find_variable"), "{misspelt}");
}
