//! The policy calls: from messages to requests, from the board to messages.

use api::wire::{
    AddTracingPolicyRequest, ConfigureTracingPolicyRequest, HookState, HookStatus,
    ListTracingPoliciesRequest, ListTracingPoliciesResponse, TracingPolicyActionCounters, TracingPolicyMode,
    TracingPolicySelectorActionCounters, TracingPolicyState, TracingPolicyStats, TracingPolicyStatus,
};
use bpf_probes::abi::Counter;
use tonic::Status;
use tracing_policy::policy::{Absent, Mode};
use tracing_policy::source::{MAX_BYTES, SourceText};

use super::observed::{Observed, sensor};
use crate::kernel::SelectorCounts;
use crate::policy::{
    self, GRPC_DOMAIN, Identity, Place, Policies, PolicyError, PolicyStatus, STATIC_DOMAIN, State,
};

/// The name that texts of requests are shown under.
const REQUEST: &str = "policy";
/// Longest name of a domain.
const MAX_DOMAIN: usize = 253;

/// Longest text of an error, in bytes as they are sent. It is a header, and clients take 16 KiB of those (`hyper`) before they call it an error of
/// the protocol.
const MAX_REFUSAL: usize = 12 << 10;

/// Upstream's errors of policy calls carry this code, and its client shows the text.
fn failed(error: &PolicyError) -> Status {
    Status::unknown(fitted(error.to_string()))
}

/// As much of a text as a header takes, and how much was left out.
fn fitted(mut text: String) -> String {
    let mut sent = 0;
    let too_far = text.bytes().position(|byte| {
        // as gRPC encodes messages: what is not printable, and the sign of the encoding itself, by three bytes
        sent += if matches!(byte, b' '..=b'~') && byte != b'%' { 1 } else { 3 };
        sent > MAX_REFUSAL
    });
    if let Some(end) = too_far {
        let more = text.len() - text.floor_char_boundary(end);
        text.truncate(text.floor_char_boundary(end));
        text.extend(["…\n(", &more.to_string(), " more bytes)"]);
    }
    text
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
        sensors: sensors(policy),
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

/// Upstream's names of what carries the hooks of a policy.
fn sensors(policy: &PolicyStatus) -> Vec<String> {
    let mut names: Vec<&str> = policy.hooks.iter().map(|hook| sensor(hook.place.section)).collect();
    names.dedup();
    names.into_iter().map(ToOwned::to_owned).collect()
}

/// One for each entry of the policy, in the order of sections and entries.
fn hook_statuses(policy: &PolicyStatus) -> Vec<HookStatus> {
    let mut places: Vec<Place> = policy.hooks.iter().map(|hook| hook.place).collect();
    places.extend(policy.absent.iter().map(|hook| hook.place));
    places.sort_unstable();
    places.dedup();
    places.into_iter().map(|place| entry_status(policy, place)).collect()
}

/// What has become of an entry: it is one hook, or those of a list.
fn entry_status(policy: &PolicyStatus, place: Place) -> HookStatus {
    let mut here = policy.hooks.iter().filter(|hook| hook.place == place);
    let mut absent = policy.absent.iter().filter(|hook| hook.place == place);
    let (first, missing) = (here.next(), absent.next());
    let state = match (first, missing.map(|hook| hook.why)) {
        (_, None) => HookState::StatusLoaded,
        (Some(_), Some(_)) => HookState::StatusPartialCallNotFound,
        (None, Some(Absent::NoFunction)) => HookState::StatusCallNotFound,
        (None, Some(Absent::OtherFile)) => HookState::StatusDigestRejected,
    };
    let mut words: Vec<String> = first.into_iter().map(described).collect();
    let more = here.count();
    words.extend((more > 0).then(|| format!("and {more} more")));
    words.extend(missing.map(|hook| match hook.why {
        Absent::NoFunction => format!("{}: this kernel has none", hook.function),
        Absent::OtherFile => format!("{}: the file has none of the digests", hook.function),
    }));
    let more = absent.count();
    words.extend((more > 0).then(|| format!("and {more} more that are not there")));
    HookStatus {
        section: place.section.word().to_owned(),
        state: state.into(),
        hook_description: words.join(", "),
        hook_idx: place.entry,
    }
}

fn described(hook: &policy::HookStatus) -> String {
    let places: Vec<String> = hook
        .attachments
        .iter()
        .map(|attachment| match &attachment.can_miss {
            None => attachment.target.to_string(),
            Some(reason) => format!("{} (can miss calls: {reason})", attachment.target),
        })
        .collect();
    format!("{}: {}", hook.function, places.join(", "))
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

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use api::wire::HookState;
    use bpf_probes::spec::AttachSpec;
    use tracing_policy::policy::{Absent, HookSection, Mode};

    use super::{fitted, hook_statuses, sensors};
    use crate::policy::{
        AbsentStatus, AttachmentStatus, Figures, HookStatus, Identity, Place, PolicyStatus, State,
    };

    #[derive(Debug)]
    struct NoFigures;

    impl Figures for NoFigures {
        fn recursion_misses(&self) -> u64 {
            0
        }

        fn memory(&self) -> u64 {
            0
        }
    }

    fn hook(section: HookSection, entry: u32, function: &str, can_miss: Option<&str>) -> HookStatus {
        HookStatus {
            place: Place { section, entry },
            function: function.to_owned(),
            first_selector: 0,
            selectors: Vec::new(),
            attachments: vec![AttachmentStatus {
                target: AttachSpec::Kprobe { symbol: function.to_owned() },
                reason: String::new(),
                can_miss: can_miss.map(ToOwned::to_owned),
                riders: 1,
                figures: Arc::new(NoFigures),
            }],
        }
    }

    fn absent(section: HookSection, entry: u32, function: &str, why: Absent) -> AbsentStatus {
        AbsentStatus { place: Place { section, entry }, function: function.to_owned(), why }
    }

    // proves: POL-16, POL-12 (states of hooks), API-05 (hook statuses)
    #[test]
    fn a_refusal_is_no_longer_than_a_header_may_be() {
        assert_eq!(fitted("no such function".to_owned()), "no such function");
        let long = "│ call: sys_%\n".repeat(4000);
        let cut = fitted(long.clone());
        let sent: usize =
            cut.bytes().map(|byte| if byte.is_ascii_graphic() && byte != b'%' { 1 } else { 3 }).sum();
        assert!(sent < 16 << 10, "{sent}");
        let (kept, rest) = cut.split_once('…').unwrap_or_default();
        assert!(long.starts_with(kept));
        assert_eq!(rest, format!("\n({} more bytes)", long.len() - kept.len()));
    }

    #[test]
    fn each_entry_of_a_policy_has_its_section_its_number_and_its_state() {
        use HookSection::{Enforcers, Kprobes, Uprobes};
        let policy = PolicyStatus {
            id: 1,
            identity: Identity { namespace: String::new(), name: "p".to_owned(), domain: "grpc".to_owned() },
            state: State::PartiallyEnabled,
            mode: Mode::Enforce,
            error: String::new(),
            hooks: vec![
                hook(Kprobes, 0, "f", None),
                hook(Kprobes, 2, "g", Some("x")),
                hook(Kprobes, 2, "h", None),
                hook(Uprobes, 0, "main", None),
                hook(Enforcers, 0, "e", None),
            ],
            absent: vec![
                absent(Kprobes, 1, "function i", Absent::NoFunction),
                absent(Kprobes, 2, "function j", Absent::NoFunction),
                absent(Uprobes, 1, "/bin/sh:main", Absent::OtherFile),
            ],
        };
        let found: Vec<_> = hook_statuses(&policy)
            .into_iter()
            .map(|hook| (hook.section.clone(), hook.hook_idx, hook.state(), hook.hook_description))
            .collect();
        let expected = [
            ("kprobes", 0, HookState::StatusLoaded, "f: kprobe f"),
            ("kprobes", 1, HookState::StatusCallNotFound, "function i: this kernel has none"),
            (
                "kprobes",
                2,
                HookState::StatusPartialCallNotFound,
                "g: kprobe g (can miss calls: x), and 1 more, function j: this kernel has none",
            ),
            ("uprobes", 0, HookState::StatusLoaded, "main: kprobe main"),
            ("uprobes", 1, HookState::StatusDigestRejected, "/bin/sh:main: the file has none of the digests"),
            ("enforcers", 0, HookState::StatusLoaded, "e: kprobe e"),
        ];
        let expected: Vec<_> = expected
            .into_iter()
            .map(|(section, index, state, text)| (section.to_owned(), index, state, text.to_owned()))
            .collect();
        assert_eq!(found, expected);
        assert_eq!(sensors(&policy), ["generic_kprobe", "generic_uprobe", "__enforcer__"]);
    }
}
