//! What events show of a process on request, in the running daemon.

use std::process::Command;

use serde_json::Value;

use super::instance::{Instance, Waiting, wait_until};
use super::policies::{add, of_path, openat_policy};

/// The event of this type that `wanted` chooses, as soon as it is there.
fn event(instance: &Instance, kind: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let mut found = None;
    wait_until(kind, || {
        found = instance.events().into_iter().map(|event| event[kind].clone()).find(|event| wanted(event));
        found.is_some()
    });
    found.unwrap()
}

// proves: EVT-11 (time, node_name, cluster_name), ENR-06, EVT-23 (kprobe), ENR-14 (environment)
#[test]
fn root_ancestors_variables_and_users_are_shown_on_request() {
    let instance = Instance::start(&[
        "--enable-ancestors=base,kprobe",
        "--enable-process-environment-variables",
        "--filter-environment-variables=MARK,TOKEN,LONG",
        r#"--redaction-filters={"redact":["TOKEN=(\\S+)"]}"#,
        "--username-metadata=unix",
        "--cluster-name=lab",
    ]);
    let long = "x".repeat(100_000);
    let script = "/bin/sh -c '/bin/true marked; :'; :";
    let environment = [("MARK", "here"), ("TOKEN", "secret"), ("HIDDEN", "y"), ("LONG", &long)];
    let shell = Command::new("/bin/sh").args(["-c", script]).envs(environment).status().unwrap();
    assert!(shell.success());
    let executed = event(&instance, "process_exec", |event| event["process"]["arguments"] == "marked");
    let mut variables: Vec<(&str, usize)> = executed["process"]["environment_variables"]
        .as_array()
        .unwrap()
        .iter()
        .map(|variable| (variable["Key"].as_str().unwrap(), variable["Value"].as_str().unwrap().len()))
        .collect();
    variables.sort_unstable();
    assert_eq!(variables, [("LONG", 100_000), ("MARK", 4), ("TOKEN", 5)], "five stars are shown of one");
    let envelope = instance.events().into_iter().find(|event| event["process_exec"] == executed).unwrap();
    assert_eq!((&envelope["cluster_name"], envelope["time"].is_string()), (&"lab".into(), true));
    assert!(envelope["node_name"].as_str().is_some_and(|name| !name.is_empty()));
    assert!(!executed.to_string().contains("secret"));
    // A hardened host hides init's files even from root; then users have no names.
    let is_named = std::fs::read("/proc/1/root/etc/passwd").is_ok();
    assert_eq!(executed["process"]["user"]["name"] == "root", is_named);
    let ancestors = executed["ancestors"].as_array().unwrap();
    assert!(ancestors.len() >= 2, "a shell, and this test: {ancestors:?}");
    assert_eq!(ancestors[0]["exec_id"], executed["parent"]["parent_exec_id"]);
    for pair in ancestors.windows(2) {
        assert_eq!(pair[0]["parent_exec_id"], pair[1]["exec_id"]);
    }
    let own = std::process::id();
    assert!(ancestors.iter().any(|ancestor| ancestor["pid"] == own), "{ancestors:?}");
    let last = ancestors.last().unwrap();
    assert!(last["pid"].as_u64().unwrap() <= 2 || last["parent_exec_id"].is_string(), "{last}");
}

#[test]
fn root_ancestors_of_a_hook_are_those_of_its_process() {
    let instance = Instance::start(&["--enable-ancestors=base,kprobe"]);
    let file = instance.directory.path().join("seen");
    std::fs::write(&file, "").unwrap();
    let path = file.display().to_string();
    let child = Waiting::start(&format!(": < {path}"));
    add(&instance, openat_policy("seen", &of_path(&path))).unwrap();
    assert!(child.go().1.success());
    let seen = event(&instance, "process_kprobe", |event| event["policy_name"] == "seen");
    let ancestors = seen["ancestors"].as_array().unwrap();
    assert_eq!(ancestors[0]["exec_id"], seen["parent"]["parent_exec_id"]);
}

#[test]
fn root_nothing_of_that_is_shown_otherwise() {
    let instance = Instance::start(&[]);
    assert!(Command::new("/bin/true").arg("plain").env("MARK", "here").status().unwrap().success());
    let executed = event(&instance, "process_exec", |event| event["process"]["arguments"] == "plain");
    assert!(executed["ancestors"].is_null());
    assert!(executed["process"]["environment_variables"].is_null() && executed["process"]["user"].is_null());
}
