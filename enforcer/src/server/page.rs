//! Which metrics there are: made anew for each reader from what the parts count, under upstream's names where they mean the same.

use std::sync::atomic::Ordering;

use bpf_probes::abi::{Counter, Loss, RecordKind};
use export::sink::Counts;

use super::info::VERSION;
use super::observed::Observed;
use crate::kernel::SelectorCounts;
use crate::pipeline::NoEvent;
use crate::policy::{PolicyStatus, State};
use crate::requests::Requests;

/// What a value does over time.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum MetricKind {
    /// It only grows.
    Counter,
    /// It moves.
    Gauge,
}

/// Names and values of labels.
type Labels = Vec<(&'static str, String)>;

/// One metric and its samples.
#[derive(Clone, Debug)]
pub(super) struct Metric {
    pub(super) kind: MetricKind,
    /// Without the `_total` of counters.
    pub(super) name: &'static str,
    pub(super) help: &'static str,
    pub(super) samples: Vec<(Labels, u64)>,
}

fn counter(name: &'static str, help: &'static str, samples: Vec<(Labels, u64)>) -> Metric {
    Metric { kind: MetricKind::Counter, name, help, samples }
}

fn gauge(name: &'static str, help: &'static str, samples: Vec<(Labels, u64)>) -> Metric {
    Metric { kind: MetricKind::Gauge, name, help, samples }
}

fn alone(value: u64) -> Vec<(Labels, u64)> {
    vec![(Vec::new(), value)]
}

fn label(name: &'static str, value: impl Into<String>) -> Labels {
    vec![(name, value.into())]
}

/// All metrics.
pub(super) fn page(observed: &Observed) -> Vec<Metric> {
    let version = vec![(label("version", VERSION), 1)];
    let mut metrics = vec![gauge("tetragon_build_info", "The version that runs", version)];
    metrics.extend(losses(observed));
    metrics.extend(misses(observed));
    metrics.extend(event_path(observed));
    metrics.extend(process_table(observed));
    metrics.extend(listeners(observed));
    metrics.extend(policies(observed));
    metrics.extend(observed.requests.as_ref().map(requests));
    metrics
}

/// Upstream's number of a message, by what of it is lost.
const fn op_code(loss: Loss) -> Option<&'static str> {
    match loss {
        Loss::Exec => Some("5"),
        Loss::Exit => Some("7"),
        Loss::Hook | Loss::Enforcement => Some("13"),
        Loss::Fork => Some("23"),
        Loss::Data => Some("24"),
        Loss::Process | Loss::Scratch | Loss::Note | Loss::Return => None,
    }
}

fn losses(observed: &Observed) -> Vec<Metric> {
    let losses = observed.losses();
    let ours = losses.iter().map(|(loss, lost)| (label("kind", loss.name()), *lost)).collect();
    let mut missed: Vec<(Labels, u64)> = Vec::new();
    for (loss, lost) in losses {
        let Some(op) = op_code(loss) else { continue };
        let labels = vec![("error", "ENOSPC".to_owned()), ("msg_op", op.to_owned())];
        match missed.iter_mut().find(|(known, _)| *known == labels) {
            Some((_, sum)) => *sum += lost,
            None => missed.push((labels, lost)),
        }
    }
    let in_rings = losses.iter().filter(|(loss, _)| op_code(*loss).is_some()).map(|(_, lost)| lost).sum();
    vec![
        counter("enforcer_lost_records", "Records that programs could not write, by kind", ours),
        counter("tetragon_bpf_missed_events", "Records that programs could not write, by message", missed),
        counter("tetragon_observer_ringbuf_events_lost", "Records that found a ring full", alone(in_rings)),
    ]
}

fn misses(observed: &Observed) -> Vec<Metric> {
    let misses = observed.misses();
    let ours = misses.iter().map(|program| {
        let labels = vec![
            ("program", program.program.clone()),
            ("attach", program.attach.clone()),
            ("policy", program.policy.clone()),
        ];
        (labels, program.misses)
    });
    let upstream = misses.iter().map(|program| {
        (vec![("attach", program.attach.clone()), ("policy", program.policy.clone())], program.misses)
    });
    vec![
        counter(
            "enforcer_program_recursion_misses",
            "Calls that passed a program unseen because it was running on that CPU",
            ours.collect(),
        ),
        counter("tetragon_missed_prog_probes", "The same, by attachment and policy", upstream.collect()),
    ]
}

fn event_path(observed: &Observed) -> Vec<Metric> {
    let totals = observed.pipeline.totals();
    let rings = [("events", totals.events_ring), ("enforcement", totals.enforcement_ring)];
    let op = |kind| match kind {
        RecordKind::Exec => "5",
        RecordKind::Exit => "7",
        RecordKind::Hook | RecordKind::Return => "13",
        RecordKind::Fork => "23",
        RecordKind::Data => "24",
    };
    let events = [
        ("PROCESS_EXEC", totals.exec_events + totals.replayed),
        ("PROCESS_EXIT", totals.exit_events),
        ("PROCESS_KPROBE", totals.hook_events),
    ];
    let labelled = |name, values: &[(&str, u64)]| {
        values.iter().map(|(text, value)| (label(name, *text), *value)).collect()
    };
    let no_event = NoEvent::ALL.map(|reason| (label("reason", reason.name()), totals.no_event(reason)));
    let read = RecordKind::ALL.map(|kind| (label("msg_op", op(kind)), totals.decoded(kind)));
    vec![
        counter("tetragon_observer_ringbuf_events_received", "Records read", alone(totals.read())),
        counter("enforcer_ring_records", "Records read, by ring", labelled("ring", &rings)),
        gauge("enforcer_ring_bytes", "Size of each ring", labelled("ring", &observed.ring_bytes)),
        counter("tetragon_msg_op", "Records decoded, by message", read.to_vec()),
        counter("tetragon_events", "Events made, by type", labelled("type", &events)),
        counter("enforcer_records_without_event", "Records that gave no event, by reason", no_event.to_vec()),
        counter(
            "enforcer_records_out_of_order",
            "Records that overtook one of the other ring",
            alone(totals.unordered),
        ),
        counter(
            "tetragon_events_missing_process_info",
            "Events of an unknown process",
            alone(totals.unknown_process),
        ),
    ]
}

fn process_table(observed: &Observed) -> Vec<Metric> {
    let totals = observed.pipeline.totals();
    let (table, lookups) = (&totals.table, &totals.lookups);
    let misses = vec![(label("operation", "get"), lookups.made + lookups.refused)];
    vec![
        gauge("tetragon_process_cache_size", "Processes in the table", alone(table.entries as u64)),
        gauge(
            "tetragon_process_cache_capacity",
            "Most processes in the table",
            alone(observed.process_capacity as u64),
        ),
        counter(
            "tetragon_process_cache_evictions",
            "Processes removed for want of room",
            alone(table.evicted),
        ),
        counter(
            "tetragon_process_cache_early_deletions",
            "Ended processes removed before their time",
            alone(table.released_early),
        ),
        counter("tetragon_process_cache_misses", "Processes that were not in the table", misses),
        gauge("enforcer_calls_under_way", "Calls whose return is waited for", alone(totals.returns.waiting)),
        counter(
            "enforcer_calls_without_return",
            "Calls that were reported at their entry and given up, by reason",
            vec![
                (label("reason", "evicted"), totals.returns.evicted),
                (label("reason", "process_ended"), totals.returns.ended),
            ],
        ),
        counter(
            "tetragon_data_cache_evictions",
            "Long values thrown away incomplete",
            alone(totals.data.evicted),
        ),
    ]
}

fn listeners(observed: &Observed) -> Vec<Metric> {
    let stats = observed.hub.stats();
    let by_name = |value: fn(&crate::pipeline::SubscriberStats) -> u64| {
        stats.iter().map(|listener| (label("listener", listener.name.clone()), value(listener))).collect()
    };
    let counts: Vec<Counts> = observed.sinks.iter().map(|(_, counters)| counters.counts()).collect();
    let sum = |value: fn(&Counts) -> u64| alone(counts.iter().map(value).sum());
    let newest = counts.iter().map(|counts| u64::try_from(counts.newest).unwrap_or_default()).max();
    let dropped = observed
        .sinks
        .iter()
        .map(|(name, counters)| (label("sink", name.clone()), counters.counts().dropped));
    vec![
        counter(
            "tetragon_notify_overflowed_events",
            "Events that slow listeners lost",
            alone(observed.hub.lost()),
        ),
        counter(
            "enforcer_listener_lost_events",
            "Events that a listener lost",
            by_name(|listener| listener.lost),
        ),
        gauge(
            "enforcer_listener_waiting_events",
            "Events that wait for a listener",
            by_name(|listener| listener.waiting as u64),
        ),
        counter("tetragon_events_exported", "Events written", sum(|counts| counts.written)),
        counter(
            "tetragon_export_ratelimit_events_dropped",
            "Events that were not exported to keep the rate",
            sum(|counts| counts.limited),
        ),
        counter("tetragon_events_exported_bytes", "Bytes of events written", sum(|counts| counts.bytes)),
        gauge(
            "tetragon_events_last_exported_timestamp",
            "When the last event happened that was given to a sink, in seconds since 1970",
            alone(newest.unwrap_or_default()),
        ),
        counter("enforcer_sink_dropped_events", "Events that a sink gave up", dropped.collect()),
    ]
}

fn policies(observed: &Observed) -> Vec<Metric> {
    let policies = observed.board.policies();
    let in_state = |state| policies.iter().filter(|policy| policy.state == state).count() as u64;
    let loaded = [
        ("enabled", State::Enabled),
        ("partially_enabled", State::PartiallyEnabled),
        ("disabled", State::Disabled),
        ("load_error", State::LoadError),
    ];
    let loaded = loaded.map(|(name, state)| (label("state", name), in_state(state)));
    let memory = policies.iter().map(|policy| (names(policy), policy.memory())).collect();
    let actions = policies.iter().flat_map(|policy| actions(observed, policy)).collect();
    let missed = policies.iter().flat_map(|policy| missed_notifications(observed, policy)).collect();
    vec![
        gauge("tetragon_tracingpolicy_loaded", "Policies, by state", loaded.to_vec()),
        gauge("tetragon_tracingpolicy_kernel_memory_bytes", "Kernel memory of a policy", memory),
        counter("tetragon_tracingpolicy_selector_actions", "Actions of a selector", actions),
        counter("tetragon_enforcer_missed_notifications", "What enforcers were told and did not do", missed),
    ]
}

fn requests(requests: &Requests) -> Metric {
    let counters = requests.counters();
    let results = [("made", &counters.made), ("failed", &counters.failed), ("dropped", &counters.dropped)];
    let samples = results.map(|(name, count)| (label("result", name), count.load(Ordering::Relaxed)));
    counter("enforcer_policy_requests", "What became of GetUrl and DnsLookup", samples.to_vec())
}

fn names(policy: &PolicyStatus) -> Labels {
    vec![("policy", policy.identity.name.clone()), ("policy_namespace", policy.identity.namespace.clone())]
}

const ACTIONS: [(&str, Counter); 11] = [
    ("post", Counter::Post),
    ("nopost", Counter::NoPost),
    ("signal", Counter::Signal),
    ("monitor_signal", Counter::MonitorSignal),
    ("override", Counter::Override),
    ("monitor_override", Counter::MonitorOverride),
    ("notify_enforcer", Counter::NotifyEnforcer),
    ("monitor_notify_enforcer", Counter::MonitorNotifyEnforcer),
    ("set", Counter::Set),
    ("monitor_set", Counter::MonitorSet),
    ("rate_limited", Counter::Limited),
];

/// What a policy told its enforcers in vain, by the hook that told anew or took it back.
fn missed_notifications(observed: &Observed, policy: &PolicyStatus) -> Vec<(Labels, u64)> {
    let reasons = [("overwritten", Counter::NotifyOverwritten), ("no_action", Counter::NotifyUnused)];
    let mut samples = Vec::new();
    for hook in &policy.hooks {
        let all = (hook.first_selector..).take(hook.selectors.len());
        let mut sum = SelectorCounts::default();
        all.for_each(|selector| sum.add(&observed.cells.selector_counts(selector)));
        for (reason, counter) in reasons.iter().filter(|(_, counter)| sum.get(*counter) > 0) {
            let labels = vec![
                ("info", hook.function.clone()),
                ("policy", policy.identity.name.clone()),
                ("reason", (*reason).to_owned()),
            ];
            samples.push((labels, sum.get(*counter)));
        }
    }
    samples
}

/// What each selector of a policy did; only what it did at all.
fn actions(observed: &Observed, policy: &PolicyStatus) -> Vec<(Labels, u64)> {
    let mut samples = Vec::new();
    for (hook, hook_index) in policy.hooks.iter().zip(0_u32..) {
        for (selector, index) in hook.selectors.iter().zip(0_u32..) {
            let counts: SelectorCounts = observed.cells.selector_counts(hook.first_selector + index);
            for (action, counter) in ACTIONS {
                let count = counts.get(counter);
                if count == 0 {
                    continue;
                }
                let mut labels = names(policy);
                labels.push(("action", action.to_owned()));
                labels.push(("hook", hook.function.clone()));
                labels.push(("hook_index", hook_index.to_string()));
                labels.push(("selector_index", index.to_string()));
                labels.push(("selector_label", selector.clone().unwrap_or_default()));
                samples.push((labels, count));
            }
        }
    }
    samples
}
