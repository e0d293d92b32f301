//! The list of scenarios, in the order in which they run: the harness itself first, then what users see, then load.

use std::time::Duration;

use e2e::expect::Outcome;
use e2e::kernels::Feature;
use e2e::report::{Kernels, Machines};
use e2e::scenario::Guest;

use crate::{
    arguments, churn, classes, command, content, contention, enforcers, facts, gap, generate, kinds,
    language, lifecycle, lists, machine, many, misbehaviour, modules, network, objects, overload, overrides,
    paths, policytest, processes, refusals, reports, restart, returns, samples, selectors, shadow, sleeper,
    syscalls, throttle, uprobes, usdts, verification,
};

/// One behaviour.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Scenario {
    /// Its name, a sentence.
    pub(crate) name: &'static str,
    /// What a kernel must have for it to make sense.
    pub(crate) needs: &'static [Feature],
    /// Where it runs.
    pub(crate) machines: Machines,
    /// On which kernels.
    pub(crate) kernels: Kernels,
    /// When it is ended.
    pub(crate) limit: Duration,
    /// What it does.
    pub(crate) run: fn(&Guest) -> Outcome,
}

const fn scenario(
    name: &'static str,
    machines: Machines,
    minutes: u64,
    run: fn(&Guest) -> Outcome,
) -> Scenario {
    Scenario { name, needs: &[], machines, kernels: Kernels::Stock, limit: Duration::from_mins(minutes), run }
}

const fn plain(name: &'static str, run: fn(&Guest) -> Outcome) -> Scenario {
    scenario(name, Machines::Plain, 10, run)
}

const fn parallel(name: &'static str, run: fn(&Guest) -> Outcome) -> Scenario {
    scenario(name, Machines::Parallel, 15, run)
}

const fn contended(name: &'static str, run: fn(&Guest) -> Outcome) -> Scenario {
    scenario(name, Machines::Contended, 15, run)
}

impl Scenario {
    /// Also on the kernel that is built here.
    const fn on_all_kernels(mut self) -> Self {
        self.kernels = Kernels::All;
        self
    }

    /// Only on the kernel that upstream's samples were taken on, with minutes for all of them.
    const fn where_samples_are_from(mut self) -> Self {
        self.kernels = Kernels::Sampled;
        self.limit = Duration::from_mins(20);
        self
    }

    /// On one kernel, for what has nothing to do with the kernel.
    const fn on_one_kernel(mut self) -> Self {
        self.kernels = Kernels::Sampled;
        self
    }

    /// Only on kernels with these.
    const fn with(mut self, features: &'static [Feature]) -> Self {
        self.needs = features;
        self
    }
}

/// All of them.
pub(crate) const SCENARIOS: &[Scenario] = &[
    // proves: REL-15
    contended("the_machine_is_prepared", machine::prepared),
    // proves: REL-09
    contended("the_kernel_is_what_the_table_says", machine::as_the_table_says).on_all_kernels(),
    // proves: HOOK-01, ACT-02, EVT-02, EVT-03
    plain("a_read_of_shadow_is_killed_and_reported", shadow::kill),
    // proves: ACT-04, ACT-05 (for kprobes)
    plain("a_read_of_shadow_is_denied_and_reported", shadow::deny),
    // proves: HOOK-01, ACT-01
    plain("a_read_of_shadow_is_reported", shadow::post),
    // proves: POL-13, POL-15, ACT-17, API-04 (add, configure)
    plain("monitor_mode_reports_and_counts_and_does_nothing", shadow::monitor),
    plain("tetra_prints_the_kill_in_compact_form", shadow::compact),
    // proves: HOOK-16, POL-11 (of LSM hooks, in a machine), EVT-07, ACT-05 (for LSM hooks)
    plain("an_lsm_hook_denies_and_reports", kinds::lsm),
    // proves: ACT-15
    plain("a_report_carries_the_hash_of_the_file", kinds::hashes),
    // proves: HOOK-07 (in a machine), POL-11 (of tracepoints, in a machine), EVT-04
    plain("a_tracepoint_kills_and_reports", kinds::tracepoint),
    // proves: HOOK-10 (in a machine), HOOK-12 (in a machine), EVT-05
    plain("functions_of_a_program_are_hooked_by_both_mechanisms", uprobes::functions),
    // proves: HOOK-11, ACT-12 (uprobe, in a machine)
    plain("functions_of_a_program_are_seen_to_return", uprobes::returns),
    // proves: ACT-06, ACT-07
    plain("a_function_of_a_program_does_what_policies_say", overrides::overrides),
    // proves: HOOK-15, ACT-08 (in a machine), EVT-06
    plain("a_static_probe_reports_and_has_its_argument_set", usdts::probe),
    // proves: ENR-05, ENR-06 (in a machine), ENR-14, EVT-23 (base, in a machine)
    plain("processes_are_shown_with_their_variables_users_and_ancestors", content::on_request),
    // proves: ARG-06, ARG-07, ARG-11
    plain("objects_of_the_kernel_are_shown_as_they_are", objects::shown_as_they_are),
    // proves: ARG-06 (file)
    plain("paths_are_right_across_mounts_and_roots", paths::mounts_and_roots),
    // proves: ARG-06 (file)
    plain("paths_are_right_when_long_foreign_or_deleted", paths::long_foreign_deleted),
    // proves: ACT-13, ACT-14, SEC-05 (in a machine)
    plain("what_is_alike_is_reported_once_with_its_stacks", reports::limited_with_stacks),
    // proves: ACT-10 (TrackSock)
    plain("what_is_sent_over_a_tracked_socket_is_its_owners", reports::tracked_sockets),
    // proves: ACT-10
    plain("a_socket_is_its_makers_from_the_moment_it_is_made", reports::sockets_of_their_makers),
    // proves: ARG-08, ARG-09, SEL-24 (sock, sockaddr), SEL-25 (ranges), SEL-26
    plain("connections_are_told_apart_by_address_and_port", network::connections),
    // proves: ARG-02, ARG-03, ARG-05, ARG-15, ARG-17, ARG-19, SEL-02, SEL-03
    plain("values_are_reached_and_buffers_read", arguments::reached),
    // proves: ARG-04, ARG-02 (char_iovec, in a machine)
    plain("what_a_call_fills_is_reported_with_it", arguments::filled),
    // proves: HOOK-19, ARG-18, ARG-04 (data), ARG-17 (returnArg)
    plain("functions_and_types_of_a_module_are_hooked_and_read", modules::overlay),
    // proves: ACT-03 (deferred), HOOK-04 (x86-64)
    plain("denied_system_calls_fail_with_their_errors", syscalls::each_with_its_error).on_all_kernels(),
    // proves: ACT-03, POL-07 (override-method, in a machine)
    plain("a_system_call_returns_the_value_of_a_policy", syscalls::any_value)
        .with(&[Feature::OverrideReturn])
        .on_all_kernels(),
    plain("who_gets_past_all_hooks_of_a_denied_call_is_killed", syscalls::past_all_hooks),
    // proves: HOOK-06 (in a machine)
    plain("a_fentry_reports_what_was_returned", returns::by_trampoline),
    // proves: SEL-15, SEL-16, SEL-17, SEL-18 (numbers, ranges), SEL-19, SEL-20, SEL-21, SEL-22, SEL-23, SEL-27
    plain("a_policy_of_each_family_tells_calls_apart", language::families),
    // proves: SEL-04 (in a machine), ACT-12
    plain("who_fails_a_call_is_killed_at_its_return", returns::acted_on),
    // proves: CLI-16 (in a machine)
    plain("support_gets_an_archive_of_the_node", command::archive).on_one_kernel(),
    // proves: CLI-19
    plain("programs_and_maps_of_the_daemon_are_shown_with_their_cost", command::costs).on_one_kernel(),
    // proves: CLI-20
    plain(
        "tests_of_policies_that_are_built_in_succeed_and_one_that_does_not_hold_fails",
        policytest::built_in,
    ),
    // proves: CLI-12 (generate for functions of the kernel, in a machine)
    plain("policies_made_from_the_kernels_functions_load_as_they_are", generate::of_the_kernel),
    // proves: CLI-12 (generate for functions of a program, in a machine), HOOK-12 (many symbols by one link, in a machine)
    plain("a_policy_made_from_the_functions_of_a_program_loads_as_it_is", generate::of_functions),
    // proves: CLI-12 (generate for static probes, in a machine)
    plain("a_policy_made_from_the_static_probes_of_a_program_loads_as_it_is", generate::of_a_program),
    // proves: INST-11
    plain("what_the_kernel_can_do_is_probed_and_in_the_log", facts::are_told),
    // proves: INST-07 (types in a file)
    plain("types_of_a_file_serve_where_the_kernel_shows_none", facts::types_of_a_file),
    // proves: CLI-12, API-04
    plain("the_command_manages_the_policies_of_a_daemon", command::policies).on_one_kernel(),
    // proves: CLI-15, API-08 (level, in a machine)
    plain("the_command_asks_a_daemon_what_it_is_and_does", command::questions).on_one_kernel(),
    // proves: INST-10
    plain("a_second_daemon_is_refused", lifecycle::second_daemon),
    plain("nothing_stays_behind_after_sigterm", lifecycle::leaves_nothing),
    // proves: SEL-09, SEC-08 (host_ns, in a machine)
    plain("namespaces_other_than_the_hosts_are_told_by_their_kind", selectors::namespaces),
    // proves: SEL-11, SEC-08
    plain("capabilities_of_root_users_and_user_namespaces_are_told_apart", selectors::capabilities),
    // proves: SEL-08 (In, NotIn)
    plain("a_parent_is_told_by_its_binary", selectors::parents),
    // proves: SEL-05
    plain("processes_are_told_by_their_numbers_and_those_of_their_ancestors", classes::numbers),
    // proves: SEL-06
    plain("processes_are_told_by_their_binaries", classes::binaries),
    // proves: SEL-07
    plain("children_are_told_by_the_binaries_of_their_ancestors", classes::children),
    // proves: POL-01, POL-14
    plain("a_policy_is_known_by_its_namespace_name_and_domain", selectors::identities),
    // proves: SEL-30
    plain("what_has_no_address_and_no_path_passes_no_filter_of_one", network::without),
    // proves: SEL-13 (host and pods, without a watcher), K8S-02 (hostSelector, podSelector)
    plain("policies_for_pods_and_for_the_host_are_told_apart", selectors::workloads),
    // proves: SEL-10 (while a process runs)
    plain("a_namespace_that_a_process_changes_is_told_once", selectors::changes),
    // proves: POL-02, POL-03 (of clients), SEL-31
    plain("bad_policies_are_refused_and_harm_nobody", refusals::at_run_time),
    // proves: POL-03 (of files)
    plain("a_bad_policy_at_start_ends_the_daemon", refusals::at_start),
    plain("ten_thousand_values_load_and_match", many::values),
    plain("fifty_policies_on_one_hook_all_act", many::policies),
    // proves: POL-09 (in a machine), HOOK-18 (in a machine), ACT-11 (in a machine)
    plain("an_enforcer_denies_and_kills_who_it_was_told_about", enforcers::notified),
    // proves: POL-09, ACT-11, MET-10
    plain(
        "a_function_of_security_modules_is_an_enforcers_and_what_is_told_in_vain_is_counted",
        enforcers::of_security_modules,
    ),
    // proves: POL-10 (in a machine), HOOK-17, EVT-08
    plain("code_that_is_mapped_to_be_run_is_reported", enforcers::loader),
    // proves: HOOK-03, HOOK-05 (generated_syscalls, in a machine)
    plain("all_system_calls_load_as_one_list_and_are_told_by_name", lists::all_system_calls),
    // proves: POL-05 (generated_ftrace, in a machine)
    plain("a_pattern_stands_for_the_functions_that_match_it", lists::pattern),
    // proves: HOOK-21 (in a machine), ARG-16 (in a machine), SEL-18 (list:NAME, in a machine), POL-06 (in a machine)
    plain("calls_by_int_0x80_are_told_from_those_of_64_bit_programs", lists::int_0x80_told_apart),
    // proves: POL-12, POL-16 (partially enabled, in a machine)
    plain("a_policy_that_goes_without_a_function_is_enabled_in_part", lists::enabled_in_part),
    // proves: REL-07 (5.10 to 7.2)
    plain("no_program_is_expensive_to_verify", verification::cheap),
    plain("upstreams_policies_load_and_report_what_upstream_reported", samples::all).where_samples_are_from(),
    // proves: REL-04, REL-05, REL-06 (clean-up of leftovers)
    plain("enforcement_goes_on_without_the_daemon_and_while_the_next_takes_over", restart::without_gap),
    // proves: REL-06
    plain(
        "a_daemon_that_is_killed_at_any_moment_is_followed_by_a_clean_start",
        restart::killed_at_any_moment,
    ),
    // proves: REL-06
    plain("a_call_that_sleeps_while_one_daemon_follows_the_other_is_denied", sleeper::through_restarts)
        .with(&[Feature::ActiveBpfLsm]),
    // proves: REL-03 (a full disk)
    plain("a_full_disk_loses_events_that_are_counted_and_nothing_else", misbehaviour::full_disk)
        .on_one_kernel(),
    plain("a_folder_that_is_removed_under_the_export_file_is_made_again", misbehaviour::removed_folder)
        .on_one_kernel(),
    // proves: REL-03
    plain("a_reader_that_stands_still_loses_its_own_events_and_is_told", misbehaviour::stopped_reader)
        .on_one_kernel(),
    plain("a_clock_that_is_set_back_by_a_day_stops_nothing", misbehaviour::clock_set_back).on_one_kernel(),
    // proves: POL-15, API-04 (add, delete)
    parallel("policies_come_and_go_under_load_unnoticed_by_others", churn::under_load),
    // proves: MET-04 (rings), REL-03 (rings)
    parallel("an_overloaded_ring_counts_what_it_loses", overload::exact_count),
    // proves: MET-06
    plain("calls_that_the_kernel_hands_to_no_program_are_counted", overload::skipped_calls).on_one_kernel(),
    // proves: EVT-09, FLT-17
    parallel("a_storm_in_a_cgroup_is_throttled_counted_and_still_enforced", throttle::storm),
    // proves: EVT-01, EVT-02
    parallel("thousands_of_programs_in_a_row_arrive_in_order", processes::in_order),
    // proves: ACT-18 (Override and NoPost)
    contended("no_denied_open_succeeds_under_contention", contention::deny),
    // proves: ACT-03 (deferred)
    contended("no_denied_system_call_succeeds_under_contention", syscalls::contended).on_all_kernels(),
    // proves: ACT-04, POL-15
    contended("a_denied_function_has_no_gap_while_policies_change", gap::of_a_function),
    // proves: ACT-03 (deferred), POL-15
    contended("a_denied_system_call_has_no_gap_while_policies_change", gap::of_a_system_call)
        .on_all_kernels(),
    contended("no_killed_reader_gets_a_byte_under_contention", contention::kill),
    contended("every_reported_open_arrives_under_contention", contention::post),
    // proves: HOOK-02, EVT-18 (merge)
    contended("each_call_is_reported_once_with_what_it_returned", returns::contended),
    contended("eight_processes_that_exec_are_counted_exactly", processes::in_parallel),
];
