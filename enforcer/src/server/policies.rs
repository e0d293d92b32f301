//! The policy calls: from messages to requests, from the board to messages.

use api::wire::{
    AddTracingPolicyRequest, ConfigureTracingPolicyRequest, HookState, HookStatus,
    ListTracingPoliciesRequest, ListTracingPoliciesResponse, TracingPolicyActionCounters, TracingPolicyMode,
    TracingPolicySelectorActionCounters, TracingPolicyState, TracingPolicyStats, TracingPolicyStatus,
};
use bpf_probes::abi::Counter;
use tonic::Status;
use tracing_policy::policy::Mode;
use tracing_policy::source::{MAX_BYTES, SourceText};

use super::observed::Observed;
use crate::kernel::SelectorCounts;
use crate::policy::{self, GRPC_DOMAIN, Identity, Policies, PolicyError, PolicyStatus, STATIC_DOMAIN, State};

/// The name that texts of requests are shown under.
const REQUEST: &str = "policy";
/// Longest name of a domain.
const MAX_DOMAIN: usize = 253;

/// Upstream's errors of policy calls carry this code, and its client shows the text.
fn failed(error: &PolicyError) -> Status {
    Status::unknown(error.to_string())
}

fn domain(requested: &str) -> Result<&str, Status> {
    if requested.len() > MAX_DOMAIN {
        return Err(Status::invalid_argument(format!("the name of a domain has at most {MAX_DOMAIN} bytes")));
    }
    Ok(if requested.is_empty() { GRPC_DOMAIN } else { requested })
}

pub(super) fn identity(namespace: String, name: String, requested: &str) -> Result<Identity, Status> {
    Ok(Identity { namespace, name, domain: domain(requested)?.to_owned() })
}

pub(super) async fn add(policies: &Policies, request: AddTracingPolicyRequest) -> Result<(), Status> {
    let domain = domain(&request.domain)?;
    let size = request.yaml.len();
    if size > MAX_BYTES {
        return Err(Status::unknown(format!(
            "a policy of {size} bytes is larger than the {MAX_BYTES} that are read; split it"
        )));
    }
    let source = SourceText::new(REQUEST, request.yaml);
    policies.add(domain, vec![source]).await.map(drop).map_err(|error| failed(&error))
}

pub(super) async fn remove(policies: &Policies, identity: Identity) -> Result<(), Status> {
    policies.remove(identity).await.map_err(|error| failed(&error))
}

pub(super) async fn enable(policies: &Policies, identity: Identity, enable: bool) -> Result<(), Status> {
    policies.configure(identity, Some(enable), None).await.map_err(|error| failed(&error))
}

pub(super) async fn configure(
    policies: &Policies,
    request: ConfigureTracingPolicyRequest,
) -> Result<(), Status> {
    let mode = request.mode.map(wanted_mode).transpose()?;
    let identity = identity(request.namespace, request.name, &request.domain)?;
    policies.configure(identity, request.enable, mode).await.map_err(|error| failed(&error))
}

fn wanted_mode(number: i32) -> Result<Mode, Status> {
    match TracingPolicyMode::try_from(number) {
        Ok(TracingPolicyMode::TpModeEnforce) => Ok(Mode::Enforce),
        Ok(TracingPolicyMode::TpModeMonitor) => Ok(Mode::Monitor),
        Ok(TracingPolicyMode::TpModeUnknown | TracingPolicyMode::TpModeMonitorOnly) | Err(_) => {
            Err(Status::unknown("a policy can be set to mode enforce or monitor"))
        }
    }
}

/// The domains there are, the standing ones included.
pub(super) fn domains(observed: &Observed) -> Vec<String> {
    let policies = observed.board.policies();
    let mut domains: Vec<String> = policies.iter().map(|policy| policy.identity.domain.clone()).collect();
    domains.extend([GRPC_DOMAIN.to_owned(), STATIC_DOMAIN.to_owned()]);
    domains.sort_unstable();
    domains.dedup();
    domains
}

pub(super) fn list(observed: &Observed, request: &ListTracingPoliciesRequest) -> ListTracingPoliciesResponse {
    let policies = observed.board.policies();
    let wanted =
        |policy: &&PolicyStatus| request.domain.is_empty() || policy.identity.domain == request.domain;
    let mut policies: Vec<TracingPolicyStatus> =
        policies.iter().filter(wanted).map(|policy| status(observed, policy)).collect();
    policies.sort_by_key(|policy| policy.id);
    ListTracingPoliciesResponse { policies }
}

#[expect(deprecated, reason = "clients of before the field `state` read `enabled`")]
fn status(observed: &Observed, policy: &PolicyStatus) -> TracingPolicyStatus {
    TracingPolicyStatus {
        id: policy.id,
        name: policy.identity.name.clone(),
        namespace: policy.identity.namespace.clone(),
        info: String::new(),
        sensors: if policy.hooks.is_empty() { Vec::new() } else { vec!["generic_kprobe".to_owned()] },
        enabled: matches!(policy.state, State::Enabled | State::PartiallyEnabled),
        filter_id: 0,
        error: policy.error.clone(),
        state: match policy.state {
            State::Enabled => TracingPolicyState::TpStateEnabled,
            State::PartiallyEnabled => TracingPolicyState::TpStatePartiallyEnabled,
            State::Disabled => TracingPolicyState::TpStateDisabled,
            State::LoadError => TracingPolicyState::TpStateLoadError,
        }
        .into(),
        kernel_memory_bytes: policy.memory(),
        mode: match policy.mode {
            Mode::Enforce => TracingPolicyMode::TpModeEnforce,
            Mode::Monitor => TracingPolicyMode::TpModeMonitor,
            Mode::MonitorOnly => TracingPolicyMode::TpModeMonitorOnly,
        }
        .into(),
        stats: Some(stats(observed, policy)),
        domain: policy.identity.domain.clone(),
        hook_statuses: hook_statuses(policy),
    }
}

/// The hooks that are there, and behind them those that are not.
fn hook_statuses(policy: &PolicyStatus) -> Vec<HookStatus> {
    let here = policy.hooks.iter().zip(0..).map(|(hook, index)| hook_status(hook, index));
    let first_absent = u32::try_from(policy.hooks.len()).unwrap_or(u32::MAX);
    let absent = policy.absent.iter().zip(first_absent..).map(|(function, index)| HookStatus {
        section: "kprobes".to_owned(),
        state: HookState::StatusCallNotFound.into(),
        hook_description: format!("{function}: this kernel has none"),
        hook_idx: index,
    });
    here.chain(absent).collect()
}

fn hook_status(hook: &policy::HookStatus, index: u32) -> HookStatus {
    let places: Vec<String> = hook
        .attachments
        .iter()
        .map(|attachment| match &attachment.can_miss {
            None => attachment.target.to_string(),
            Some(reason) => format!("{} (can miss calls: {reason})", attachment.target),
        })
        .collect();
    HookStatus {
        section: "kprobes".to_owned(),
        state: HookState::StatusLoaded.into(),
        hook_description: format!("{}: {}", hook.function, places.join(", ")),
        hook_idx: index,
    }
}

fn stats(observed: &Observed, policy: &PolicyStatus) -> TracingPolicyStats {
    let mut sum = SelectorCounts::default();
    let mut each = Vec::new();
    for (hook, hook_index) in policy.hooks.iter().zip(0..) {
        for (label, index) in hook.selectors.iter().zip(0..) {
            let counts = observed.cells.selector_counts(hook.first_selector + index);
            sum.add(&counts);
            each.push(TracingPolicySelectorActionCounters {
                hook: hook.function.clone(),
                hook_index: Some(hook_index),
                selector_index: Some(index),
                action_counters: Some(counters(&counts)),
                selector_label: label.clone().unwrap_or_default(),
            });
        }
    }
    TracingPolicyStats { action_counters: Some(counters(&sum)), selector_action_counters: each }
}

fn counters(counts: &SelectorCounts) -> TracingPolicyActionCounters {
    TracingPolicyActionCounters {
        post: counts.get(Counter::Post),
        signal: counts.get(Counter::Signal),
        monitor_signal: counts.get(Counter::MonitorSignal),
        r#override: counts.get(Counter::Override),
        monitor_override: counts.get(Counter::MonitorOverride),
        notify_enforcer: counts.get(Counter::NotifyEnforcer),
        monitor_notify_enforcer: counts.get(Counter::MonitorNotifyEnforcer),
        set: counts.get(Counter::Set),
        monitor_set: counts.get(Counter::MonitorSet),
        nopost: counts.get(Counter::NoPost),
    }
}
