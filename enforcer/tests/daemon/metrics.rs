//! The page of metrics of the running daemon.

use std::io::{Read as _, Write as _};
use std::process::Command;

use super::instance::{Instance, Waiting, wait_until};
use super::policies::{add, of_path, openat_policy};

const SERVER: &str = "--metrics-server=127.0.0.1:0";
/// Names and labels of upstream's metrics, one a line.
const UPSTREAM: &str = include_str!("../../src/metrics/upstream.txt");

fn page(instance: &Instance) -> String {
    let log = instance.log();
    let address = log.split("metrics on http://").nth(1).and_then(|rest| rest.split('/').next()).unwrap();
    let mut stream = std::net::TcpStream::connect(address).unwrap();
    stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

/// The sum of all samples of a name whose line holds each of the labels.
fn sum(page: &str, name: &str, labels: &[&str]) -> f64 {
    let of_name = |line: &&str| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
            && labels.iter().all(|label| line.contains(label))
    };
    let values = page.lines().filter(of_name).map(|line| line.rsplit(' ').next().unwrap());
    values.map(|value| value.parse::<f64>().unwrap()).sum()
}

fn wait_for(instance: &Instance, name: &str, labels: &[&str], least: f64) {
    wait_until(&format!("{name} {labels:?}"), || sum(&page(instance), name, labels) >= least);
}

/// What must be counted after two opens of a policy's file and a program with long arguments.
const COUNTED: [(&str, &[&str], f64); 20] = [
    ("tetragon_msg_op_total", &["msg_op=\"5\""], 2.0),
    ("tetragon_events_total", &["type=\"PROCESS_EXEC\"", "binary=\"/bin/true\""], 1.0),
    ("tetragon_policy_events_total", &["policy=\"counted\"", "hook=\"__x64_sys_openat\""], 2.0),
    ("tetragon_tracingpolicy_selector_actions_total", &["policy=\"counted\"", "action=\"post\""], 2.0),
    ("tetragon_tracingpolicy_loaded", &["state=\"enabled\""], 1.0),
    ("tetragon_tracingpolicy_kernel_memory_bytes", &["policy=\"counted\""], 4096.0),
    ("tetragon_observer_ringbuf_events_received_total", &[], 4.0),
    ("tetragon_handling_latency_count", &["op=\"5\""], 1.0),
    ("tetragon_data_events_total", &["event=\"Matched\""], 1.0),
    ("tetragon_data_event_size_count", &["op=\"ok\""], 1.0),
    ("tetragon_flags_total", &["type=\"dataArgs\""], 1.0),
    ("tetragon_process_cache_size", &[], 3.0),
    ("tetragon_process_cache_capacity", &[], 65_536.0),
    ("tetragon_map_capacity", &["map=\"execve_map\""], 32_768.0),
    ("tetragon_map_entries", &["map=\"execve_map\""], 2.0),
    ("tetragon_events_exported_total", &[], 4.0),
    ("tetragon_events_exported_bytes_total", &[], 1000.0),
    ("process_resident_memory_bytes", &[], 1_000_000.0),
    ("process_start_time_seconds", &[], 1_700_000_000.0),
    ("enforcer_program_verified_instructions", &[], 100.0),
];

// proves: MET-01, MET-04, MET-09, MET-10 (state, memory)
#[test]
fn root_every_metric_of_upstream_is_served_and_counts_what_happens() {
    let instance = Instance::start(&[SERVER, "--enable-msg-handling-latency"]);
    let file = instance.directory.path().join("counted");
    std::fs::write(&file, "").unwrap();
    let path = file.display().to_string();
    let child = Waiting::start(&format!(": < {path}; : < {path}"));
    add(&instance, openat_policy("counted", &of_path(&path))).unwrap();
    assert!(child.go().1.success());
    assert!(Command::new("/bin/true").arg("x".repeat(5000)).status().unwrap().success());
    let text = page(&instance);
    for line in UPSTREAM.lines() {
        let name = line.split(' ').next().unwrap();
        let family = name.strip_suffix("_total").unwrap_or(name);
        assert!(text.contains(&format!("# TYPE {family} ")), "{name}");
    }
    for (name, labels, least) in COUNTED {
        wait_for(&instance, name, labels, least);
    }
    let text = page(&instance);
    assert!(text.contains("enforcer_lost_records_total{kind=\"exec\"} 0"), "{text}");
    assert!(text.contains("tetragon_bpf_missed_events_total{error=\"ENOSPC\",msg_op=\"5\"} 0"), "{text}");
}

const CALLS: &str = "apiVersion: cilium.io/v1alpha1
kind: TracingPolicy
metadata: {name: calls}
spec:
  tracepoints:
  - subsystem: raw_syscalls
    event: sys_enter
    args: [{index: 4, type: syscall64}]
    selectors:
    - matchArgs: [{index: 4, operator: Equal, values: ['266']}]
";

// proves: MET-02 (labels), MET-03
#[test]
fn root_events_are_counted_by_program_and_system_call_unless_the_filter_says_otherwise() {
    for (flag, program) in
        [("--metrics-label-filter=namespace,binary", "/bin/ln"), ("--metrics-label-filter=pod", "")]
    {
        let instance = Instance::start(&[SERVER, flag]);
        add(&instance, CALLS.to_owned()).unwrap();
        let link = instance.directory.path().join("link");
        assert!(Command::new("/bin/ln").arg("-s").arg("nowhere").arg(&link).status().unwrap().success());
        let binary = format!("binary=\"{program}\"");
        wait_for(&instance, "tetragon_syscalls_total", &["syscall=\"symlinkat\"", &binary], 1.0);
        wait_for(&instance, "tetragon_events_total", &["type=\"PROCESS_TRACEPOINT\"", &binary], 1.0);
        let is_filled = page(&instance).contains("binary=\"/bin/ln\"");
        assert_eq!(is_filled, !program.is_empty(), "{flag}");
    }
    let instance = Instance::start(&[SERVER, "--enable-event-metrics=false"]);
    assert!(Command::new("/bin/true").status().unwrap().success());
    wait_for(&instance, "tetragon_msg_op_total", &["msg_op=\"5\""], 1.0);
    assert!(!page(&instance).contains("\ntetragon_events_total{"));
}

// proves: MET-08, MET-05 (helper and file), REL-10 (the kernel's table)
#[test]
fn root_what_finds_the_kernels_table_full_is_counted() {
    let instance = Instance::start(&[SERVER, "--execve-map-entries=128"]);
    let mut children: Vec<_> =
        (0..150).map(|_| Command::new("/bin/sleep").arg("1000").spawn().unwrap()).collect();
    wait_for(&instance, "tetragon_map_errors_update_total", &["map=\"execve_map\""], 1.0);
    wait_for(&instance, "tetragon_bpf_error_metrics_total", &["helper_func=\"map_update_elem\""], 1.0);
    wait_for(&instance, "tetragon_map_entries", &["map=\"execve_map\""], 150.0);
    assert!(page(&instance).contains("tetragon_map_errors_delete_total{map=\"execve_map\"} 0"));
    assert!(page(&instance).contains("tetragon_map_capacity{map=\"execve_map\"} 128"));
    for child in &mut children {
        child.kill().unwrap();
        child.wait().unwrap();
    }
}

/// Statistics of programs are switched on for the whole machine as long as this lives.
struct Statistics {
    before: String,
}

const STATISTICS: &str = "/proc/sys/kernel/bpf_stats_enabled";

impl Statistics {
    fn on() -> Self {
        let before = std::fs::read_to_string(STATISTICS).unwrap();
        std::fs::write(STATISTICS, "1").unwrap();
        Self { before }
    }
}

impl Drop for Statistics {
    fn drop(&mut self) {
        std::fs::write(STATISTICS, &self.before).unwrap();
    }
}

// proves: MET-07, MET-06 (programs)
#[test]
fn root_programs_tell_what_they_cost_and_miss() {
    let statistics = Statistics::on();
    let instance = Instance::start(&[SERVER]);
    for _ in 0..10 {
        assert!(Command::new("/bin/true").status().unwrap().success());
    }
    let base = ["sensor=\"__base__\"", "exec"];
    wait_for(&instance, "tetragon_overhead_program_runs_total", &base, 10.0);
    assert!(sum(&page(&instance), "tetragon_overhead_program_seconds_total", &base) > 0.0);
    assert!(page(&instance).contains("tetragon_missed_prog_probes_total{attach="));
    drop(statistics);
}
