//! A cgroup whose processes begin and end too often, on the running kernel.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};

use api::convert::from_wire;
use api::event::EventKind;
use api::filter::read_filters;
use api::name::{EventType, ThrottleType};
use api::wire::GetEventsRequest;
use serde_json::Value;

use super::instance::{Instance, wait_until};
use super::policies::{add, kill_policy};

/// A cgroup of the test's own; gone when dropped.
struct Cgroup {
    path: PathBuf,
}

impl Cgroup {
    fn make(name: &str) -> Self {
        let mounts = fs::read_to_string("/proc/self/mounts").unwrap();
        let mount = mounts.lines().find(|line| line.contains(" cgroup2 ")).unwrap();
        let path = Path::new(mount.split(' ').nth(1).unwrap()).join(name);
        fs::create_dir(&path).unwrap();
        Self { path }
    }

    /// Runs a script of the shell in it.
    fn run(&self, script: &str) -> ExitStatus {
        let enter = format!("echo $$ > {}/cgroup.procs && {script}", self.path.display());
        Command::new("/bin/sh").args(["-c", &enter]).status().unwrap()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        wait_until("the cgroup is empty", || fs::remove_dir(&self.path).is_ok());
    }
}

/// The ids of the processes of `/bin/true marked` in the events of a type.
fn marked(instance: &Instance, kind: &str) -> BTreeSet<String> {
    let of = |event: Value| {
        let process = &event[kind]["process"];
        (process["arguments"] == "marked").then(|| process["exec_id"].as_str().unwrap().to_owned())
    };
    instance.events().into_iter().filter_map(of).collect()
}

/// What is said of the cgroup.
fn said(instance: &Instance, cgroup: &str) -> Vec<String> {
    let throttle = instance.events().into_iter().map(|event| event["process_throttle"].clone());
    let of = throttle.filter(|throttle| throttle["cgroup"] == cgroup);
    of.map(|throttle| throttle["type"].as_str().unwrap().to_owned()).collect()
}

// proves: EVT-09 (JSON, gRPC), FLT-17 (START, STOP, enforcement)
#[test]
fn root_a_storm_in_a_cgroup_is_throttled_and_still_enforced_and_let_go_when_it_is_over() {
    let name = format!("enforcer-storm-{}", std::process::id());
    let cgroup = Cgroup::make(&name);
    let instance = Instance::start(&["--cgroup-rate=30,1s"]);
    let (runtime, mut client) = instance.client();
    let allow_list = read_filters(r#"{"event_set":["PROCESS_THROTTLE"]}"#).unwrap();
    let request = GetEventsRequest { allow_list, ..GetEventsRequest::default() };
    let mut stream = runtime.block_on(client.get_events(request)).unwrap().into_inner();
    let secret = instance.directory.path().join("secret");
    fs::write(&secret, "").unwrap();
    let path = secret.display().to_string();
    add(&instance, kill_policy("kill", std::process::id(), &path)).unwrap();

    let storm = cgroup.run("n=0; while [ $n -lt 300 ]; do /bin/true marked; n=$((n+1)); done");
    assert!(storm.success(), "{storm}");
    wait_until("it is throttled", || said(&instance, &name) == ["THROTTLE_START"]);
    let killed = cgroup.run(&format!("exec /bin/cat {path}"));
    assert_eq!(killed.signal(), Some(9), "what is not reported is enforced all the same");
    let of_policy = |event: &Value| event["process_kprobe"]["policy_name"] == "kill";
    wait_until("the kill is reported", || instance.events().iter().any(of_policy));

    wait_until("it is let go", || said(&instance, &name) == ["THROTTLE_START", "THROTTLE_STOP"]);
    let (begun, ended) = (marked(&instance, "process_exec"), marked(&instance, "process_exit"));
    assert!(begun.len() < 300 && !begun.is_empty(), "{} execs of 300 were reported", begun.len());
    assert_eq!(begun, ended, "who was seen to begin is seen to end, and nobody else");
    assert!(cgroup.run("exec /bin/true afterwards").success());
    let afterwards = |event: &Value| event["process_exit"]["process"]["arguments"] == "afterwards";
    wait_until("it is reported again", || instance.events().iter().any(afterwards));

    let mut streamed = Vec::new();
    while streamed.len() < 2 {
        let message = runtime.block_on(stream.message()).unwrap().unwrap();
        let event = from_wire(message).unwrap();
        assert_eq!(event.event_type(), EventType::ProcessThrottle, "only such were asked for");
        if let EventKind::Throttle(throttle) = event.kind
            && *throttle.cgroup == *name
        {
            streamed.push(throttle.kind);
        }
    }
    assert_eq!(streamed, [ThrottleType::Start, ThrottleType::Stop]);
}
