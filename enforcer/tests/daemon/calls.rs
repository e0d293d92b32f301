//! The calls of the API on the running daemon, those of events aside.
#![expect(deprecated, reason = "clients of before still make these calls")]

use api::wire::fine_guidance_sensors_client::FineGuidanceSensorsClient;
use api::wire::{
    AddTracingPolicyRequest, ConfigFlag, ConfigureTracingPolicyRequest, DeleteTracingPolicyRequest,
    DisableSensorRequest, DisableTracingPolicyRequest, DumpProcessCacheReqArgs, EnableSensorRequest,
    EnableTracingPolicyRequest, GetDebugRequest, GetHealthStatusRequest, GetInfoRequest, GetVersionRequest,
    HealthStatusResult, HealthStatusType, HookState, ListDomainsRequest, ListSensorsRequest,
    ListTracingPoliciesRequest, LogLevel, ProcessInternal, RemoveSensorRequest, SetDebugRequest,
    TracingPolicyMode, TracingPolicyState, TracingPolicyStatus, get_debug_request, get_debug_response,
    set_debug_request,
};
use prost::Message as _;
use tokio::runtime::Runtime;
use tonic::Code;
use tonic::transport::Channel;

use super::instance::{Instance, Waiting, wait_until};
use super::policies::{of_path, openat_policy};

/// A daemon's client that waits for its answers.
struct Caller {
    runtime: Runtime,
    client: FineGuidanceSensorsClient<Channel>,
}

/// Makes a call, and says what came of it.
macro_rules! call {
    ($caller:expr, $name:ident, $request:expr) => {
        $caller.runtime.block_on($caller.client.$name($request)).map(tonic::Response::into_inner)
    };
}

impl Caller {
    fn of(instance: &Instance) -> Self {
        let (runtime, client) = instance.client();
        Self { runtime, client }
    }

    fn add(&mut self, yaml: &str, domain: &str) -> Result<(), tonic::Status> {
        let request = AddTracingPolicyRequest { yaml: yaml.to_owned(), domain: domain.to_owned() };
        call!(self, add_tracing_policy, request).map(drop)
    }

    fn list(&mut self, domain: &str) -> Vec<TracingPolicyStatus> {
        let request = ListTracingPoliciesRequest { domain: domain.to_owned() };
        call!(self, list_tracing_policies, request).unwrap().policies
    }

    fn names(&mut self, domain: &str) -> Vec<(String, String)> {
        self.list(domain).into_iter().map(|policy| (policy.domain, policy.name)).collect()
    }

    fn domains(&mut self) -> Vec<String> {
        call!(self, list_domains, ListDomainsRequest {}).unwrap().domains
    }

    fn processes(&mut self, wanted: DumpProcessCacheReqArgs) -> Vec<ProcessInternal> {
        let request = GetDebugRequest {
            flag: ConfigFlag::DumpProcessCache.into(),
            arg: Some(get_debug_request::Arg::Dump(wanted)),
        };
        let answer = call!(self, get_debug, request).unwrap();
        assert_eq!(answer.flag, i32::from(ConfigFlag::DumpProcessCache));
        let list = answer.arg.and_then(|arg| match arg {
            get_debug_response::Arg::Processes(list) => Some(list.processes),
            get_debug_response::Arg::Level(_) => None,
        });
        list.unwrap()
    }
}

// proves: API-03, API-01 (health, version, info, sensors)
#[test]
fn root_a_daemon_says_that_it_runs_what_it_is_and_that_sensors_are_not_for_clients() {
    let instance = Instance::start(&["--cluster-name=lab"]);
    let mut caller = Caller::of(&instance);
    let health = call!(caller, get_health, GetHealthStatusRequest::default()).unwrap().health_status;
    assert_eq!(health[0].event(), HealthStatusType::Status);
    assert_eq!(health[0].status(), HealthStatusResult::HealthStatusRunning);
    assert_eq!(health[0].details, "running");
    let version = call!(caller, get_version, GetVersionRequest {}).unwrap().version;
    assert_eq!(version, concat!("v", env!("CARGO_PKG_VERSION")));
    let info = call!(caller, get_info, GetInfoRequest {}).unwrap();
    assert_eq!((info.version, info.name.as_str()), (version, "enforcer"));
    assert!(info.build.is_some());
    let probe = |name: &str| info.probes.iter().find(|probe| probe.name == name).unwrap().enabled;
    assert_eq!(probe("ring_buffer"), Some(true), "{:?}", info.probes);
    let value = |key: &str| {
        let value = info.conf.iter().find(|conf| conf.key == key).unwrap().value.clone().unwrap();
        assert_eq!(value.type_url, "type.googleapis.com/google.protobuf.StringValue");
        String::decode(value.value.as_slice()).unwrap()
    };
    assert_eq!(value("cluster-name"), "lab");
    // as upstream, where these are answered by an error
    let name = "sensor".to_owned();
    let refused = [
        call!(caller, list_sensors, ListSensorsRequest {}).map(drop),
        call!(caller, enable_sensor, EnableSensorRequest { name: name.clone() }).map(drop),
        call!(caller, disable_sensor, DisableSensorRequest { name: name.clone() }).map(drop),
        call!(caller, remove_sensor, RemoveSensorRequest { name }).map(drop),
    ];
    for answer in refused {
        assert_eq!(answer.unwrap_err().code(), Code::Unimplemented);
    }
}

// proves: API-04 (list, enable, disable, configure, delete), API-05, API-01 (policies)
#[test]
fn root_a_policy_is_added_counted_disabled_enabled_configured_and_deleted() {
    let instance = Instance::start(&[]);
    let mut caller = Caller::of(&instance);
    let file = instance.directory.path().join("counted");
    std::fs::write(&file, "").unwrap();
    let path = file.display().to_string();
    let child = Waiting::start(&format!(": < {path}; : < {path}"));
    let yaml = openat_policy("counted", &of_path(&path));
    caller.add(&yaml, "").unwrap();
    let again = caller.add(&yaml, "").unwrap_err();
    assert_eq!(again.code(), Code::Unknown, "as upstream");
    assert!(child.go().1.success());
    let posts = |caller: &mut Caller| caller.list("")[0].stats.clone().unwrap().action_counters.unwrap().post;
    wait_until("both opens are counted", || posts(&mut caller) == 2);

    let [policy] = <[_; 1]>::try_from(caller.list("")).unwrap();
    assert_eq!((policy.name.as_str(), policy.domain.as_str()), ("counted", "grpc"));
    assert_eq!(
        (policy.state(), policy.mode()),
        (TracingPolicyState::TpStateEnabled, TracingPolicyMode::TpModeMonitorOnly),
        "it has no action that enforces"
    );
    assert!(policy.kernel_memory_bytes > 0 && policy.error.is_empty() && !policy.sensors.is_empty());
    let selectors = policy.stats.unwrap().selector_action_counters;
    assert_eq!(
        (selectors.len(), selectors[0].selector_index, selectors[0].hook_index),
        (1, Some(0), Some(0))
    );
    assert_eq!(selectors[0].action_counters.unwrap().post, 2);
    let [hook] = <[_; 1]>::try_from(policy.hook_statuses).unwrap();
    assert_eq!((hook.section.as_str(), hook.hook_idx, hook.state()), ("kprobes", 0, HookState::StatusLoaded));
    assert!(hook.hook_description.contains("openat"), "{}", hook.hook_description);

    let named = || ("counted".to_owned(), String::new(), String::new());
    let (name, namespace, domain) = named();
    call!(caller, disable_tracing_policy, DisableTracingPolicyRequest { name, namespace, domain }).unwrap();
    assert_eq!(caller.list("")[0].state(), TracingPolicyState::TpStateDisabled);
    let (name, namespace, domain) = named();
    call!(caller, enable_tracing_policy, EnableTracingPolicyRequest { name, namespace, domain }).unwrap();
    assert_eq!(caller.list("")[0].state(), TracingPolicyState::TpStateEnabled);
    let (name, namespace, domain) = named();
    let mode = Some(TracingPolicyMode::TpModeMonitor.into());
    let request = ConfigureTracingPolicyRequest { name, namespace, domain, mode, enable: None };
    assert_eq!(call!(caller, configure_tracing_policy, request.clone()).unwrap_err().code(), Code::Unknown);
    let request = ConfigureTracingPolicyRequest { mode: None, enable: Some(false), ..request };
    call!(caller, configure_tracing_policy, request).unwrap();
    assert_eq!(caller.list("")[0].state(), TracingPolicyState::TpStateDisabled);
    let (name, namespace, domain) = named();
    let delete = DeleteTracingPolicyRequest { name, namespace, domain };
    call!(caller, delete_tracing_policy, delete.clone()).unwrap();
    assert!(caller.list("").is_empty());
    assert_eq!(call!(caller, delete_tracing_policy, delete).unwrap_err().code(), Code::Unknown);
}

// proves: API-06
#[test]
fn root_policies_of_the_same_name_live_in_domains_and_who_names_none_means_the_one_of_clients() {
    let instance = Instance::start(&[]);
    let mut caller = Caller::of(&instance);
    let before = caller.domains();
    assert!(before.contains(&"grpc".to_owned()) && !before.contains(&"team".to_owned()), "{before:?}");
    let yaml = openat_policy("same", &of_path("/nonexistent"));
    caller.add(&yaml, "").unwrap();
    caller.add(&yaml, "team").unwrap();
    assert!(caller.add(&yaml, "team").is_err() && caller.add(&yaml, "grpc").is_err(), "each has one already");
    let both = [("grpc".to_owned(), "same".to_owned()), ("team".to_owned(), "same".to_owned())];
    assert_eq!(caller.names(""), both, "a list without a domain is of all");
    assert_eq!(caller.names("team"), both[1..]);
    assert!(caller.names("other").is_empty());
    assert!(caller.domains().contains(&"team".to_owned()));
    let name = "same".to_owned();
    let delete = DeleteTracingPolicyRequest { name, ..DeleteTracingPolicyRequest::default() };
    call!(caller, delete_tracing_policy, delete).unwrap();
    assert_eq!(caller.names(""), both[1..], "a change without a domain is of grpc");
}

// proves: API-08, CLI-18 (dump processcache of this daemon)
#[test]
fn root_the_processes_that_are_known_are_listed() {
    let instance = Instance::start(&[]);
    let mut caller = Caller::of(&instance);
    let child = Waiting::start(":");
    let pid = child.child.id();
    let of = |caller: &mut Caller, wanted: DumpProcessCacheReqArgs| {
        let list = caller.processes(wanted);
        let is_child =
            |one: &ProcessInternal| one.process.as_ref().is_some_and(|process| process.pid == Some(pid));
        let mine: Vec<_> = list.iter().filter(|one| is_child(one)).cloned().collect();
        (list.len(), mine)
    };
    let mut seen = (0, Vec::new());
    wait_until("the child's exec is known", || {
        seen = of(&mut caller, DumpProcessCacheReqArgs::default());
        seen.1.iter().any(|one| one.process.as_ref().unwrap().binary == "/bin/sh")
    });
    let (all, mine) = seen;
    let shell = mine.iter().find(|one| one.process.as_ref().unwrap().binary == "/bin/sh").unwrap();
    assert_eq!((shell.color.as_str(), shell.refcnt), ("inUse", Some(1)));
    assert!(!shell.process.as_ref().unwrap().exec_id.is_empty());
    // what runs is in the kernel's table
    let exclude_execve_map_processes = true;
    let wanted = DumpProcessCacheReqArgs { exclude_execve_map_processes, skip_zero_refcnt: false };
    let (fewer, left) = of(&mut caller, wanted);
    assert!(fewer < all && left.is_empty(), "{left:?}");

    assert!(child.go().1.success());
    let used = DumpProcessCacheReqArgs { skip_zero_refcnt: true, exclude_execve_map_processes: false };
    wait_until("nobody refers to the child", || of(&mut caller, used).1.is_empty());
    let ended = of(&mut caller, DumpProcessCacheReqArgs::default()).1;
    assert!(ended.iter().all(|one| one.refcnt == Some(0) && one.color == "deletePending"), "{ended:?}");
    let unsaid = GetDebugRequest { flag: ConfigFlag::DumpProcessCache.into(), arg: None };
    assert_eq!(call!(caller, get_debug, unsaid).unwrap_err().code(), Code::InvalidArgument);

    let level = LogLevel::Debug.into();
    let set = SetDebugRequest {
        flag: ConfigFlag::LogLevel.into(),
        arg: Some(set_debug_request::Arg::Level(level)),
    };
    call!(caller, set_debug, set).unwrap();
    let asked = GetDebugRequest { flag: ConfigFlag::LogLevel.into(), arg: None };
    let answer = call!(caller, get_debug, asked).unwrap();
    assert_eq!(answer.arg, Some(get_debug_response::Arg::Level(level)));
}
