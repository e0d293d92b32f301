//! Which metrics there are.

/// What a value does over time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// It only grows; its name on the page ends with `_total`.
    Counter,
    /// It moves.
    Gauge,
    /// How often values fell into which range.
    Histogram,
}

/// One metric.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Description {
    /// Without the `_total` of counters.
    pub name: &'static str,
    /// What its values do.
    pub kind: Kind,
    /// Names of its labels, in the order in which samples give their values.
    pub labels: &'static [&'static str],
    /// What it counts.
    pub help: &'static str,
}

impl Description {
    /// The name on the page.
    pub fn full_name(&self) -> String {
        let ending = if self.kind == Kind::Counter { "_total" } else { "" };
        format!("{}{ending}", self.name)
    }
}

/// One constant a metric, and the list of all. Labels of the metrics of events, those after `node_name`, can be left empty (`--metrics-label-filter`).
macro_rules! metrics {
    ($($constant:ident: $kind:ident $name:literal [$($label:literal),*] $help:literal;)*) => {
        $(
            pub(super) const $constant: Description =
                Description { name: $name, kind: Kind::$kind, labels: &[$($label),*], help: $help };
        )*

        /// All metrics.
        pub const ALL: &[Description] = &[$($constant),*];
    };
}

metrics! {
    BUILD_INFO: Gauge "tetragon_build_info" ["commit", "go_version", "modified", "time", "version"] "The version that runs";
    ERRORS: Counter "tetragon_errors" ["error"] "Records that gave no event though they should have, by reason";
    FLAGS: Counter "tetragon_flags" ["type"] "What was special about processes that began a program, by the words of their flags";

    EVENTS: Counter "tetragon_events" ["type", "node_name", "namespace", "workload", "pod", "binary"] "Events, by type and program";
    POLICY_EVENTS: Counter "tetragon_policy_events" ["policy", "hook", "node_name", "namespace", "workload", "pod", "binary"] "Events of policies, by hook and program";
    SYSCALLS: Counter "tetragon_syscalls" ["syscall", "node_name", "namespace", "workload", "pod", "binary"] "System calls in events of raw_syscalls/sys_enter, by program";
    SERIES_SHARED: Counter "enforcer_events_of_other_programs" [] "Events that the metrics of events show under the program (others), as there are too many programs";

    MSG_OP: Counter "tetragon_msg_op" ["msg_op"] "Records decoded, by message";
    HANDLER_ERRORS: Counter "tetragon_handler_errors" ["error", "opcode"] "Records that could not be read, by message";
    HANDLING_LATENCY: Histogram "tetragon_handling_latency" ["op"] "Microseconds from a record to its event, by message (--enable-msg-handling-latency)";
    MISSING_PROCESS: Counter "tetragon_events_missing_process_info" [] "Events of an unknown process";
    NO_EVENT: Counter "enforcer_records_without_event" ["reason"] "Records that gave no event, by reason";
    OUT_OF_ORDER: Counter "enforcer_records_out_of_order" [] "Records that overtook one of the other ring";
    DEBUG_EVENTS: Counter "tetragon_debug_events" ["type"] "Events for finding faults of the daemon; there are none";

    BPF_ERRORS: Counter "tetragon_bpf_error_metrics" ["error", "error_name", "file_name", "helper_func", "line_number"] "Calls of the kernel's helpers that failed in programs, by the source of the program";
    BPF_MISSED: Counter "tetragon_bpf_missed_events" ["error", "msg_op"] "Records that programs could not write, by message";
    LOST: Counter "enforcer_lost_records" ["kind"] "Records that programs could not write, by kind";
    RING_LOST: Counter "tetragon_observer_ringbuf_events_lost" [] "Records that found a ring full";
    RING_RECEIVED: Counter "tetragon_observer_ringbuf_events_received" [] "Records read";
    RING_ERRORS: Counter "tetragon_observer_ringbuf_errors" [] "Times that a ring held what no program writes";
    QUEUE_LOST: Counter "tetragon_observer_ringbuf_queue_events_lost" [] "Records lost between ring and decoder; there is no queue between them that could lose any";
    QUEUE_RECEIVED: Counter "tetragon_observer_ringbuf_queue_events_received" [] "Records handed to the decoder";
    RING_RECORDS: Counter "enforcer_ring_records" ["ring"] "Records read, by ring";
    RING_BYTES: Gauge "enforcer_ring_bytes" ["ring"] "Size of each ring";
    SKIPPED_BYTES: Counter "enforcer_ring_skipped_bytes" [] "Bytes of rings that were skipped because no program writes such";

    MISSED_LINK: Counter "tetragon_missed_link_probes" ["attach", "policy"] "Calls that the kernel did not hand to a program because a kprobe was running on that CPU, by attachment and policy (6.7)";
    MISSED_PROG: Counter "tetragon_missed_prog_probes" ["attach", "policy"] "Calls that passed a program unseen because it was running on that CPU, by attachment and policy";
    RECURSION_MISSES: Counter "enforcer_program_recursion_misses" ["program", "attach", "policy"] "The same, by program";
    OVERHEAD_RUNS: Counter "tetragon_overhead_program_runs" ["attach", "policy", "policy_namespace", "section", "sensor"] "Runs of programs, while kernel.bpf_stats_enabled is 1";
    OVERHEAD_SECONDS: Counter "tetragon_overhead_program_seconds" ["attach", "policy", "policy_namespace", "section", "sensor"] "Time spent in programs, while kernel.bpf_stats_enabled is 1";
    VERIFIED: Gauge "enforcer_program_verified_instructions" ["attach", "policy"] "Instructions that the verifier walked when it loaded the program";

    MAP_CAPACITY: Gauge "tetragon_map_capacity" ["map"] "Most entries of a table of the kernel";
    MAP_ENTRIES: Gauge "tetragon_map_entries" ["map"] "Entries of a table of the kernel, as far as the daemon follows them: of execve_map, the running processes it knows";
    MAP_DELETE_ERRORS: Counter "tetragon_map_errors_delete" ["map"] "Entries that programs could not remove; removing what is not there is none";
    MAP_UPDATE_ERRORS: Counter "tetragon_map_errors_update" ["map"] "Entries that programs could not add";

    PROCESSES: Gauge "tetragon_process_cache_size" [] "Processes in the table";
    PROCESS_CAPACITY: Gauge "tetragon_process_cache_capacity" [] "Most processes in the table";
    PROCESS_EVICTIONS: Counter "tetragon_process_cache_evictions" [] "Processes removed from the table for any reason";
    PROCESS_CAPACITY_EVICTIONS: Counter "tetragon_process_cache_capacity_evictions" [] "Processes in use removed from the table for want of room";
    PROCESS_EARLY: Counter "tetragon_process_cache_early_deletions" [] "Ended processes removed before their time";
    PROCESS_MISSES: Counter "tetragon_process_cache_misses" ["operation"] "Processes that were not in the table";
    PROCESSES_RELEASED: Gauge "enforcer_process_cache_released" [] "Ended processes in the table that wait for their removal";
    LOOKUPS: Counter "enforcer_process_lookups" ["result"] "Processes that were looked up in procfs, as nothing else told of them";
    LOADER_STATS: Gauge "tetragon_process_loader_stats" ["count"] "Events of mapped code";
    CACHE_ENTRIES: Gauge "tetragon_event_cache_entries" [] "Events that wait for facts of their process; none does, they are looked up at once";
    CACHE_INSERTS: Counter "tetragon_event_cache_inserts" [] "Events that had to wait for facts of their process";
    CACHE_ERRORS: Counter "tetragon_event_cache_errors" ["error", "event_type"] "Events that were given up while they waited";
    CACHE_FAILURES: Counter "tetragon_event_cache_fetch_failures" ["entry_type", "event_type"] "Facts that did not come in time";
    CACHE_RETRIES: Counter "tetragon_event_cache_fetch_retries" ["entry_type"] "Further attempts to get facts";

    DATA_SIZE: Gauge "tetragon_data_cache_size" [] "Long values that are incomplete now";
    DATA_CAPACITY: Gauge "tetragon_data_cache_capacity" [] "Most long values that may be incomplete at a time";
    DATA_EVICTIONS: Counter "tetragon_data_cache_evictions" [] "Long values thrown away incomplete";
    DATA_MISSES: Counter "tetragon_data_cache_misses" ["operation"] "Long values of which no piece was there";
    DATA_EVENTS: Counter "tetragon_data_events" ["event"] "Pieces of long values, and the values they made";
    DATA_EVENT_SIZE: Histogram "tetragon_data_event_size" ["op"] "Bytes of long values: ok for whole ones, bad for others";

    MERGED: Counter "tetragon_generic_kprobe_merge" ["curr_fn", "curr_type", "prev_fn", "prev_type", "status"] "Calls whose entry and return became one event (ok), and returns without their entry (error)";
    MERGE_PUSHED: Counter "tetragon_generic_kprobe_merge_pushed" [] "Entries of calls that were given up without their return";
    CALLS: Gauge "enforcer_calls_under_way" [] "Calls whose return is waited for";
    CALLS_GIVEN_UP: Counter "enforcer_calls_without_return" ["reason"] "Calls that were reported at their entry and given up, by reason";

    EXPORTED: Counter "tetragon_events_exported" [] "Events written";
    EXPORTED_BYTES: Counter "tetragon_events_exported_bytes" [] "Bytes of events written";
    LAST_EXPORTED: Gauge "tetragon_events_last_exported_timestamp" [] "When the last event happened that was given to a sink, in seconds since 1970";
    RATE_LIMITED: Counter "tetragon_export_ratelimit_events_dropped" [] "Events that were not exported to keep the rate";
    SINK_DROPPED: Counter "enforcer_sink_dropped_events" ["sink"] "Events that a sink gave up";
    OVERFLOWED: Counter "tetragon_notify_overflowed_events" [] "Events that slow listeners lost";
    LISTENER_LOST: Counter "enforcer_listener_lost_events" ["listener"] "Events that a listener lost";
    LISTENER_WAITING: Gauge "enforcer_listener_waiting_events" ["listener"] "Events that wait for a listener";
    CGROUP_RATE: Counter "tetragon_cgroup_rate" ["type"] "Cgroups that were throttled (throttle_start), and let go again (throttle_stop) (--cgroup-rate)";
    WITHHELD: Counter "enforcer_throttled_events" ["kind"] "Events of throttled cgroups that were withheld in the kernel, by kind";
    UNTOLD: Counter "enforcer_throttled_cgroups_untold" [] "Cgroups that were throttled without an event, because too many were at once";

    POLICIES: Gauge "tetragon_tracingpolicy_loaded" ["state"] "Policies, by state";
    POLICY_MEMORY: Gauge "tetragon_tracingpolicy_kernel_memory_bytes" ["policy", "policy_namespace"] "Kernel memory of a policy";
    SELECTOR_ACTIONS: Counter "tetragon_tracingpolicy_selector_actions" ["policy", "policy_namespace", "action", "hook", "hook_index", "selector_index", "selector_label"] "Actions of a selector";
    MISSED_NOTIFICATIONS: Counter "tetragon_enforcer_missed_notifications" ["info", "policy", "reason"] "What enforcers were told and did not do";
    REQUESTS: Counter "enforcer_policy_requests" ["result"] "What became of GetUrl and DnsLookup";

    POLICYFILTER_OPERATIONS: Counter "tetragon_policyfilter_operations" ["error", "operation", "subsys"] "Changes to the tables of pods; there are none yet";
    POLICYFILTER_NO_IMAGE: Counter "tetragon_policyfilter_hook_container_image_missing" [] "Containers that the runtime's hook told of without their image; none is told of yet";
    POLICYFILTER_NO_NAME: Counter "tetragon_policyfilter_hook_container_name_missing" [] "The same without their name";
    CGIDMAP: Counter "tetragon_cri_cgidmap_resolutions" [] "Containers looked up at the runtime; none is yet";
    CGIDMAP_ERRORS: Counter "tetragon_cri_cgidmap_resolutions_errors" [] "Look-ups at the runtime that failed";
    WATCHER_EVENTS: Counter "tetragon_watcher_events" ["watcher"] "Changes that Kubernetes told of; it is not asked yet";
    WATCHER_ERRORS: Counter "tetragon_watcher_errors" ["error", "watcher"] "Failures in watching Kubernetes";
    WATCHER_POD_EVICTIONS: Gauge "tetragon_watcher_delete_pod_cache_evictions" [] "Deleted pods that were forgotten";
    WATCHER_POD_HITS: Gauge "tetragon_watcher_delete_pod_cache_hits" [] "Look-ups that found a deleted pod";

    CPU_SECONDS: Counter "process_cpu_seconds" [] "Time that the daemon ran on a CPU";
    OPEN_FILES: Gauge "process_open_fds" [] "Open files of the daemon";
    MAX_FILES: Gauge "process_max_fds" [] "Most open files that the daemon may have";
    RESIDENT: Gauge "process_resident_memory_bytes" [] "Memory of the daemon";
    VIRTUAL: Gauge "process_virtual_memory_bytes" [] "Address space of the daemon";
    START_TIME: Gauge "process_start_time_seconds" [] "When the daemon began, in seconds since 1970";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{ALL, Kind};

    /// Name and labels of each of upstream's metrics, as they stand on its page.
    const UPSTREAM: &str = include_str!("upstream.txt");

    // proves: MET-01 (names and labels)
    #[test]
    fn every_metric_of_upstream_is_there_with_its_labels() {
        let ours: BTreeSet<(String, BTreeSet<&str>)> =
            ALL.iter().map(|metric| (metric.full_name(), metric.labels.iter().copied().collect())).collect();
        let lines = UPSTREAM.lines().filter(|line| !line.is_empty());
        let upstream: Vec<(String, BTreeSet<&str>)> = lines
            .map(|line| {
                let (name, labels) = line.split_once(' ').unwrap_or((line, ""));
                (name.to_owned(), labels.split(',').filter(|label| !label.is_empty()).collect())
            })
            .collect();
        assert!(upstream.len() > 60, "{}", upstream.len());
        let missing: Vec<_> = upstream.iter().filter(|metric| !ours.contains(metric)).collect();
        assert!(missing.is_empty(), "{missing:#?}");
        let names: BTreeSet<&str> = upstream.iter().map(|(name, _)| name.as_str()).collect();
        let more: Vec<_> = ours
            .iter()
            .filter(|(name, _)| name.starts_with("tetragon_") && !names.contains(name.as_str()))
            .collect();
        assert!(more.is_empty(), "upstream has not got {more:?}: name them enforcer_…");
    }

    #[test]
    fn each_name_is_there_once_and_counters_leave_their_ending_out() {
        let names: BTreeSet<&str> = ALL.iter().map(|metric| metric.name).collect();
        assert_eq!(names.len(), ALL.len());
        assert!(ALL.iter().all(|metric| !metric.name.ends_with("_total") && !metric.help.ends_with('.')));
        assert!(ALL.iter().any(|metric| metric.kind == Kind::Histogram));
    }
}
