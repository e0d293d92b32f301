//! Policies by file and by the API: what is wrong is said with its place, and disturbs nothing.

use std::fs;

use api::wire::{
    AddTracingPolicyRequest, ConfigureTracingPolicyRequest, DeleteTracingPolicyRequest, GetVersionRequest,
    ListTracingPoliciesRequest, TracingPolicyMode, TracingPolicyState, TracingPolicyStatus,
};
use tonic::Code;

use super::instance::{Instance, Waiting, run_to_end, wait_until};

/// A policy on openat(2) with the path as its argument, and the lists of its one selector.
pub(crate) fn openat_policy(name: &str, selector: &str) -> String {
    format!(
        "apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata:
  name: {name}
spec:
  kprobes:
  - call: sys_openat
    syscall: true
    args:
    - {{index: 1, type: string}}
    selectors:
    - {selector}
"
    )
}

/// The list of a selector that `path` is opened.
pub(crate) fn of_path(path: &str) -> String {
    format!("matchArgs:\n      - {{index: 1, operator: Equal, values: [{path}]}}")
}

/// Kills who opens `path` if an entry of another list of the selector, such as `matchPIDs`, chooses it.
pub(crate) fn kill_chosen(name: &str, list: &str, entry: &str, path: &str) -> String {
    let filter = of_path(path);
    openat_policy(
        name,
        &format!("{list}:\n      - {entry}\n      {filter}\n      matchActions:\n      - action: Sigkill"),
    )
}

/// Kills a descendant of `pid` that opens `path`.
pub(crate) fn kill_policy(name: &str, pid: u32, path: &str) -> String {
    let entry = format!("{{operator: In, followForks: true, values: [{pid}]}}");
    kill_chosen(name, "matchPIDs", &entry, path)
}

pub(crate) fn list(instance: &Instance) -> Vec<TracingPolicyStatus> {
    let (runtime, mut client) = instance.client();
    let request = ListTracingPoliciesRequest::default();
    runtime.block_on(client.list_tracing_policies(request)).unwrap().into_inner().policies
}

pub(crate) fn add(instance: &Instance, yaml: String) -> Result<(), tonic::Status> {
    let (runtime, mut client) = instance.client();
    let request = AddTracingPolicyRequest { yaml, domain: String::new() };
    runtime.block_on(client.add_tracing_policy(request)).map(drop)
}

pub(crate) fn delete(instance: &Instance, name: &str) -> Result<(), tonic::Status> {
    let (runtime, mut client) = instance.client();
    let request = DeleteTracingPolicyRequest { name: name.to_owned(), ..Default::default() };
    runtime.block_on(client.delete_tracing_policy(request)).map(drop)
}

fn set_mode(instance: &Instance, name: &str, mode: TracingPolicyMode) {
    let (runtime, mut client) = instance.client();
    let request = ConfigureTracingPolicyRequest {
        name: name.to_owned(),
        mode: Some(mode.into()),
        ..Default::default()
    };
    runtime.block_on(client.configure_tracing_policy(request)).unwrap();
}

#[test]
fn root_a_policy_kills_the_child_it_names_and_reports_it() {
    let instance = Instance::start(&[]);
    let secret = instance.directory.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    let path = secret.display().to_string();
    let child = Waiting::start(&format!("cat {path}; echo survived"));
    let pid = child.child.id();
    add(&instance, kill_policy("kill", pid, &path)).unwrap();
    let (text, status) = child.go();
    assert_eq!((text.as_str(), status.success()), ("survived\n", true), "cat is killed, the shell is not");
    assert_eq!(fs::read_to_string(&secret).unwrap(), "secret", "this test is no child of it");
    let reported = |event: &serde_json::Value| {
        let kprobe = &event["process_kprobe"];
        kprobe["action"] == "KPROBE_ACTION_SIGKILL"
            && kprobe["policy_name"] == "kill"
            && kprobe["args"][0]["string_arg"] == path.as_str()
            && kprobe["parent"]["pid"] == pid
    };
    wait_until("the kill is reported", || instance.events().iter().any(reported));
    let killed = |event: &serde_json::Value| {
        event["process_exit"]["signal"] == "SIGKILL" && event["process_exit"]["parent"]["pid"] == pid
    };
    wait_until("the exit is reported", || instance.events().iter().any(killed));
    let counters = list(&instance)[0].stats.clone().unwrap().action_counters.unwrap();
    assert_eq!((counters.signal, counters.monitor_signal), (1, 0));
}

#[test]
fn root_monitor_mode_counts_and_does_not_kill() {
    let instance = Instance::start(&[]);
    let secret = instance.directory.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    let path = secret.display().to_string();
    let child = Waiting::start(&format!("cat {path}"));
    add(&instance, kill_policy("kill", child.child.id(), &path)).unwrap();
    set_mode(&instance, "kill", TracingPolicyMode::TpModeMonitor);
    assert_eq!(child.go().0, "secret");
    wait_until("the match is counted", || {
        let counters = list(&instance)[0].stats.clone().unwrap().action_counters.unwrap();
        (counters.signal, counters.monitor_signal) == (0, 1)
    });
}

#[test]
fn root_a_deleted_policy_acts_no_more() {
    let instance = Instance::start(&[]);
    let secret = instance.directory.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    let path = secret.display().to_string();
    let child = Waiting::start(&format!("cat {path}"));
    add(&instance, kill_policy("kill", child.child.id(), &path)).unwrap();
    delete(&instance, "kill").unwrap();
    assert_eq!(child.go().0, "secret");
    assert!(list(&instance).is_empty());
    let error = delete(&instance, "kill").unwrap_err();
    assert!(error.message().contains("there is no policy kill"), "{}", error.message());
}

#[test]
fn root_policies_on_one_hook_act_each_for_itself() {
    let instance = Instance::start(&[]);
    let secret = instance.directory.path().join("secret");
    fs::write(&secret, "secret").unwrap();
    let path = secret.display().to_string();
    let children: Vec<Waiting> = (0..5).map(|_| Waiting::start(&format!("cat {path}; echo end"))).collect();
    for (number, child) in children.iter().enumerate().take(4) {
        add(&instance, kill_policy(&format!("kill-{number}"), child.child.id(), &path)).unwrap();
    }
    delete(&instance, "kill-1").unwrap();
    let texts: Vec<String> = children.into_iter().map(|child| child.go().0).collect();
    assert_eq!(texts, ["end\n", "secretend\n", "end\n", "end\n", "secretend\n"]);
}

#[test]
fn root_policies_that_come_and_go_cost_the_others_no_event_and_double_none() {
    const OPENS: u64 = 5_000;
    // all events stay in one file, which is read at the end
    let flags = ["--rb-size-total=16M", "--event-queue-size=100000", "--export-file-max-size-mb=1000"];
    let instance = Instance::start(&flags);
    let file = instance.directory.path().join("file");
    fs::write(&file, "x").unwrap();
    let path = file.display().to_string();
    let child = Waiting::start(&format!("i=0; while [ $i -lt {OPENS} ]; do : < {path}; i=$((i+1)); done"));
    let pid = child.child.id();
    add(&instance, kill_policy("stays", pid, &path).replace("Sigkill", "Post")).unwrap();
    let opens = std::thread::spawn(move || child.go().1);
    let mut changes = 0;
    while !opens.is_finished() || changes == 0 {
        add(&instance, kill_policy("comes-and-goes", pid, "/no/such/file")).unwrap();
        delete(&instance, "comes-and-goes").unwrap();
        changes += 1;
    }
    assert!(opens.join().unwrap().success());
    let counters = list(&instance)[0].stats.clone().unwrap().action_counters.unwrap();
    assert_eq!(counters.post, OPENS, "after {changes} changes");
    let ours = |event: &serde_json::Value| {
        event["process_kprobe"]["policy_name"] == "stays" && event["process_kprobe"]["process"]["pid"] == pid
    };
    let mut seen = 0;
    wait_until("all events are in the file", || {
        seen = instance.events().iter().filter(|event| ours(event)).count() as u64;
        seen >= OPENS
    });
    assert_eq!(seen, OPENS);
}

#[test]
fn root_a_policy_that_came_and_went_leaves_no_descriptor_and_no_program() {
    let instance = Instance::start(&[]);
    // what it looks at in /proc is open for a moment
    let stays =
        |entry: &fs::DirEntry| fs::read_link(entry.path()).is_ok_and(|file| !file.starts_with("/proc"));
    let open = || fs::read_dir(format!("/proc/{}/fd", instance.pid())).unwrap();
    let descriptors = || open().filter(|entry| stays(entry.as_ref().unwrap())).count();
    let settled = |wanted: usize| wait_until("connections are closed", || descriptors() <= wanted);
    // a server that has answered is all there, and has this connection
    let (runtime, mut client) = instance.client();
    runtime.block_on(client.get_version(GetVersionRequest {})).unwrap();
    let before = descriptors() - 1;
    drop((client, runtime));
    for number in 0..10 {
        let policy = kill_policy(&format!("p{number}"), std::process::id(), "/no/such/file");
        add(&instance, policy.replace("followForks: true", "followForks: false")).unwrap();
    }
    let with_policies = descriptors();
    assert!(with_policies > before);
    assert!(with_policies < before + 20, "ten policies on one hook are one program");
    for number in 0..10 {
        delete(&instance, &format!("p{number}")).unwrap();
    }
    settled(before);
    for _ in 0..3 {
        add(&instance, kill_policy("bad", 1, "/x").replace("sys_openat", "sys_nosuchcall")).unwrap_err();
    }
    settled(before);
}

#[test]
fn root_a_bad_request_is_refused_with_its_place_and_harms_nobody() {
    let instance = Instance::start(&[]);
    let good = kill_policy("good", std::process::id(), "/no/such/file");
    add(&instance, good.clone()).unwrap();
    let cases = [
        ("a: [".to_owned(), ":1:4: "),
        (good.replace("good", "x").replace("    syscall: true", "    sycall: true"), ":8:5: "),
        (good.replace("good", "x").replace("index: 1, type: string", "index: 9, type: string"), ":10:"),
        (
            good.replace("good", "x").replace("    syscall: true", "    syscall: true\n    syscall: true"),
            ":9:5: ",
        ),
        (good.clone(), "exists already"),
        ("x".repeat(17_000_000), "too large"),
        ("&a [*a, *a]".to_owned(), "policy"),
    ];
    for (yaml, expected) in cases {
        let start: String = yaml.chars().take(300).collect();
        let error = add(&instance, yaml).unwrap_err();
        assert!(error.message().contains(expected), "{expected:?} in {:?} for {start}", error.message());
    }
    let policies = list(&instance);
    assert_eq!((policies.len(), policies[0].state), (1, TracingPolicyState::TpStateEnabled as i32));
    let (runtime, mut client) = instance.client();
    assert!(runtime.block_on(client.get_version(GetVersionRequest {})).is_ok());
    assert!(instance.stop().status.success());
}

#[test]
fn root_a_policy_that_needs_what_this_kernel_refuses_says_what_would_do() {
    let instance = Instance::start(&[]);
    let yaml = kill_policy("lsm", 1, "/x")
        .replace("sys_openat", "security_file_open")
        .replace("syscall: true", "syscall: false")
        .replace("{index: 1, type: string}", "{index: 0, type: file}")
        .replace("index: 1, operator", "index: 0, operator");
    match add(&instance, yaml) {
        // A kernel that lets functions be traced takes it.
        Ok(()) => assert_eq!(list(&instance)[0].state, TracingPolicyState::TpStateEnabled as i32),
        Err(error) => {
            assert_eq!(error.code(), Code::Unknown);
            let text = error.message();
            assert!(text.contains("security_file_open") && text.contains("hook a system call"), "{text}");
        }
    }
}

#[test]
fn root_one_bad_file_refuses_the_start() {
    let directory = tempfile::tempdir().unwrap();
    let (policies, run_dir) = (directory.path().join("policies"), directory.path().join("run"));
    fs::create_dir(&policies).unwrap();
    fs::write(policies.join("a.yaml"), kill_policy("good", 1, "/x")).unwrap();
    fs::write(policies.join("b.yaml"), kill_policy("bad", 1, "/x").replace("Sigkill", "Sigkil")).unwrap();
    let option = format!("--tracing-policy-dir={}", policies.display());
    let ended = run_to_end(&run_dir, &[&option]);
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.log.contains("b.yaml:17:17: "), "{}", ended.log);
    assert!(!run_dir.join("tetragon.sock").exists() && !run_dir.join("tetragon.pid").exists());
}
