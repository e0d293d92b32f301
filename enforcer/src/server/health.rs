//! `GetHealth`: running, and what of the daemon's promises is not kept.

use api::wire::{
    GetHealthStatusRequest, GetHealthStatusResponse, HealthStatus, HealthStatusResult, HealthStatusType,
};

use super::observed::{Observed, ProgramMisses};
use crate::policy::State;

/// The answer. The first entry is the one that upstream gives; each further one says what was lost, or can be.
pub(super) fn health(observed: &Observed, request: &GetHealthStatusRequest) -> GetHealthStatusResponse {
    let status = HealthStatusType::Status as i32;
    if !request.event_set.is_empty() && !request.event_set.contains(&status) {
        return GetHealthStatusResponse { health_status: Vec::new() };
    }
    let entry = |result: HealthStatusResult, details: String| HealthStatus {
        event: status,
        status: result as i32,
        details,
    };
    let mut health_status = vec![entry(HealthStatusResult::HealthStatusRunning, "running".to_owned())];
    health_status.extend(
        complaints(observed).into_iter().map(|details| entry(HealthStatusResult::HealthStatusError, details)),
    );
    GetHealthStatusResponse { health_status }
}

/// What a person should know, one line each.
pub(crate) fn complaints(observed: &Observed) -> Vec<String> {
    let mut lines = Vec::new();
    let losses: Vec<String> = observed
        .losses()
        .into_iter()
        .filter(|(_, lost)| *lost > 0)
        .map(|(kind, lost)| format!("{}={lost}", kind.name()))
        .collect();
    if !losses.is_empty() {
        lines.push(format!("lost in the kernel: {}; a larger --rb-size-total helps", losses.join(" ")));
    }
    for listener in observed.hub.stats().into_iter().filter(|listener| listener.lost > 0) {
        lines.push(format!("lost by slow listener {}: {}", listener.name, listener.lost));
    }
    for (name, counters) in &observed.sinks {
        let dropped = counters.counts().dropped;
        if dropped > 0 {
            lines.push(format!("dropped by {name}: {dropped}"));
        }
    }
    lines.extend(observed.misses().iter().filter_map(miss));
    let policies = observed.board.policies();
    for policy in policies.iter().filter(|policy| policy.state == State::LoadError) {
        let first = policy.error.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        lines.push(format!("policy {} is not loaded: {}", policy.identity, first.trim()));
    }
    lines
}

fn miss(program: &ProgramMisses) -> Option<String> {
    let ProgramMisses { attach, policy, misses, link_misses, reason, .. } = program;
    let whose = if policy.is_empty() { String::new() } else { format!(" (policy {policy})") };
    match (misses + link_misses, reason) {
        (0, None) => None,
        (0, Some(reason)) => Some(format!("{attach}{whose} can miss calls: {reason}")),
        (missed, _) => Some(format!("{attach}{whose} missed {missed} calls")),
    }
}
