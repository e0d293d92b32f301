//! Policies: their state, memory, actions and requests.

use std::sync::atomic::Ordering;

use bpf_probes::abi::Counter;

use super::super::catalogue::{MISSED_NOTIFICATIONS, POLICIES, POLICY_MEMORY, REQUESTS, SELECTOR_ACTIONS};
use super::super::page::Page;
use crate::kernel::SelectorCounts;
use crate::policy::{PolicyStatus, State};
use crate::requests::Requests;
use crate::server::Observed;

const STATES: [(&str, State); 4] = [
    ("enabled", State::Enabled),
    ("partially_enabled", State::PartiallyEnabled),
    ("disabled", State::Disabled),
    ("load_error", State::LoadError),
];

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

pub(super) fn collect(observed: &Observed, page: &mut Page) {
    let policies = observed.board.policies();
    for (name, state) in STATES {
        let count = policies.iter().filter(|policy| policy.state == state).count();
        page.add(&POLICIES, &[name], count as u64);
    }
    for policy in policies.iter() {
        let identity = &policy.identity;
        page.add(&POLICY_MEMORY, &[&identity.name, &identity.namespace], policy.memory());
        actions(observed, policy, page);
        missed_notifications(observed, policy, page);
    }
    if let Some(asked) = &observed.requests {
        requests(asked, page);
    }
}

fn requests(requests: &Requests, page: &mut Page) {
    let counters = requests.counters();
    for (result, count) in
        [("made", &counters.made), ("failed", &counters.failed), ("dropped", &counters.dropped)]
    {
        page.add(&REQUESTS, &[result], count.load(Ordering::Relaxed));
    }
}

/// What a policy told its enforcers in vain, by the hook that told anew or took it back.
fn missed_notifications(observed: &Observed, policy: &PolicyStatus, page: &mut Page) {
    let reasons = [("overwritten", Counter::NotifyOverwritten), ("no_action", Counter::NotifyUnused)];
    for hook in &policy.hooks {
        let mut sum = SelectorCounts::default();
        for selector in (hook.first_selector..).take(hook.selectors.len()) {
            sum.add(&observed.cells.selector_counts(selector));
        }
        for (reason, counter) in reasons.iter().filter(|(_, counter)| sum.get(*counter) > 0) {
            let labels = [hook.function.as_str(), &policy.identity.name, reason];
            page.add(&MISSED_NOTIFICATIONS, &labels, sum.get(*counter));
        }
    }
}

/// What each selector of a policy did; only what it did at all.
fn actions(observed: &Observed, policy: &PolicyStatus, page: &mut Page) {
    let identity = &policy.identity;
    for (hook, hook_index) in policy.hooks.iter().zip(0_u32..) {
        for (selector, index) in hook.selectors.iter().zip(0_u32..) {
            let counts: SelectorCounts = observed.cells.selector_counts(hook.first_selector + index);
            for (action, counter) in ACTIONS.iter().filter(|(_, counter)| counts.get(*counter) > 0) {
                let (hook_index, index) = (hook_index.to_string(), index.to_string());
                let label = selector.as_deref().unwrap_or_default();
                let labels = [
                    identity.name.as_str(),
                    &identity.namespace,
                    action,
                    &hook.function,
                    &hook_index,
                    &index,
                    label,
                ];
                page.add(&SELECTOR_ACTIONS, &labels, counts.get(*counter));
            }
        }
    }
}
