//! `tetra tracingpolicy list`

use api::wire;
use api::wire::{HookState, TracingPolicyMode, TracingPolicyState, TracingPolicyStatus};

use super::PolicyError;
use crate::args::ListFormat;
use crate::client::Client;
use crate::print::{Output, Table, bytes, escape};

const HEADER: [&str; 12] = [
    "ID",
    "NAME",
    "DOMAIN",
    "STATE",
    "FILTERID",
    "NAMESPACE",
    "SENSORS",
    "KERNELMEMORY",
    "MODE",
    "NPOST",
    "NENFORCE",
    "NMONITOR",
];

/// Prints the policies of `domain`, or of all domains where it is empty.
pub(super) fn run(client: &Client, format: ListFormat, domain: &str) -> Result<(), PolicyError> {
    let request = wire::ListTracingPoliciesRequest { domain: domain.to_owned() };
    let list = client
        .call(async |mut service| service.list_tracing_policies(request.clone()).await)
        .map_err(PolicyError::List)?;
    let text = match format {
        ListFormat::Json => api::json::write_message(&list)? + "\n",
        ListFormat::Text => render(&list.policies),
    };
    Ok(Output::stdout().write_all(text.as_bytes())?)
}

fn render(policies: &[TracingPolicyStatus]) -> String {
    let mut table = Table::default();
    table.row(HEADER);
    for policy in policies {
        table.row(row(policy));
        if policy.state() == TracingPolicyState::TpStatePartiallyEnabled {
            table.inner(hooks(policy));
        }
    }
    table.render()
}

fn row(policy: &TracingPolicyStatus) -> [String; 12] {
    let foreign = |text: &str| escape::word(text).into_owned();
    let counters = policy.stats.as_ref().and_then(|stats| stats.action_counters).unwrap_or_default();
    let enforced = counters.signal + counters.r#override + counters.notify_enforcer + counters.set;
    let monitored = counters.monitor_signal
        + counters.monitor_override
        + counters.monitor_notify_enforcer
        + counters.monitor_set;
    let namespace =
        if policy.namespace.is_empty() { "(global)".to_owned() } else { foreign(&policy.namespace) };
    let sensors: Vec<_> = policy.sensors.iter().map(|sensor| foreign(sensor)).collect();
    [
        policy.id.to_string(),
        foreign(&policy.name),
        foreign(&policy.domain),
        state(policy.state()),
        policy.filter_id.to_string(),
        namespace,
        sensors.join(","),
        bytes(policy.kernel_memory_bytes),
        mode(policy.mode()),
        counters.post.to_string(),
        enforced.to_string(),
        monitored.to_string(),
    ]
}

fn hooks(policy: &TracingPolicyStatus) -> Table {
    let mut table = Table::default();
    table.row(["SECTION", "CFGIDX", "DESCRIPTION", "STATUS"]);
    for hook in &policy.hook_statuses {
        table.row([
            escape::word(&hook.section).into_owned(),
            hook.hook_idx.to_string(),
            escape::word(&hook.hook_description).into_owned(),
            hook_state(hook.state()),
        ]);
    }
    table
}

fn state(state: TracingPolicyState) -> String {
    state.as_str_name().trim_start_matches("TP_STATE_").to_ascii_lowercase()
}

fn mode(mode: TracingPolicyMode) -> String {
    mode.as_str_name().trim_start_matches("TP_MODE_").to_ascii_lowercase()
}

fn hook_state(state: HookState) -> String {
    state.as_str_name().trim_start_matches("STATUS_").to_ascii_lowercase()
}

#[cfg(test)]
mod tests {
    use api::wire::{HookStatus, TracingPolicyActionCounters, TracingPolicyStats, TracingPolicyStatus};

    use super::render;

    // proves: CLI-13
    #[test]
    fn a_policy_is_a_row_and_its_hooks_follow_when_some_did_not_load() {
        let counters = TracingPolicyActionCounters {
            post: 1,
            signal: 2,
            r#override: 3,
            monitor_signal: 7,
            ..TracingPolicyActionCounters::default()
        };
        let policy = TracingPolicyStatus {
            id: 12,
            name: "detect".to_owned(),
            domain: "grpc".to_owned(),
            state: 8,
            mode: 2,
            sensors: vec!["kprobe".to_owned(), "x".to_owned()],
            kernel_memory_bytes: 20_000,
            stats: Some(TracingPolicyStats {
                action_counters: Some(counters),
                selector_action_counters: Vec::new(),
            }),
            hook_statuses: vec![HookStatus {
                section: "kprobes".to_owned(),
                state: 3,
                hook_description: "no_such".to_owned(),
                hook_idx: 1,
            }],
            ..TracingPolicyStatus::default()
        };
        let expected = "\
ID   NAME     DOMAIN   STATE               FILTERID   NAMESPACE   SENSORS    KERNELMEMORY   MODE      NPOST   NENFORCE   NMONITOR
12   detect   grpc     partially_enabled   0          (global)    kprobe,x   20 kB          monitor   1       5          7
     SECTION   CFGIDX   DESCRIPTION   STATUS
     kprobes   1        no_such       call_not_found
";
        assert_eq!(render(&[policy]), expected);
    }
}
