//! What a checked policy means, plainly.

use bpf_probes::kernel::{KernelView, Namespace};
use tracing_policy::policy::{
    Argument, ArgumentFilter, ArgumentType, BinaryFilter, CapabilityFilter, CapabilityScope, Children,
    Descendants, Family, Membership, NamespaceValue, NetworkTest, PidFilter, PidNamespace, Resolved,
    Selector, Sense,
};

use super::calls::{Call, Net, own_pids, pids};

/// For each policy that matches, its selector that acts.
pub(super) fn expected(policies: &[Resolved], call: &Call, view: &KernelView) -> Vec<(usize, usize)> {
    let acts = |policy: &Resolved| {
        let hook = &policy.policy.hooks[0];
        // a call with a descriptor that is not open concerns no policy that looks at it
        if call.file.is_none() && hook.arguments.iter().any(|argument| argument.ty.value == ArgumentType::Fd)
        {
            return None;
        }
        hook.selectors.iter().position(|selector| matches(selector, &hook.arguments, call, view))
    };
    policies.iter().enumerate().filter_map(|(number, policy)| Some((number, acts(policy)?))).collect()
}

fn matches(selector: &Selector, declared: &[Argument], call: &Call, view: &KernelView) -> bool {
    selector.pids.iter().all(|filter| pid(filter, call))
        && selector.binaries.iter().all(|filter| call.known && binary(filter, &call.binaries))
        && process(selector, call, view)
        && selector.arguments.iter().all(|filter| argument(filter, declared, call))
}

fn is(found: bool, membership: Membership) -> bool {
    found == (membership == Membership::In)
}

fn pid(filter: &PidFilter, call: &Call) -> bool {
    let found = match (filter.descendants, filter.namespace) {
        (Descendants::Ignored, PidNamespace::Host) => filter.pids.contains(&call.tgid),
        (Descendants::Ignored, PidNamespace::Own) => filter.pids.contains(&call.own_pid),
        // of whom nothing is known descends from nobody
        (Descendants::Followed, PidNamespace::Host) => {
            call.known && pids(call).iter().any(|pid| filter.pids.contains(pid))
        }
        (Descendants::Followed, PidNamespace::Own) => {
            // who has no number passes no test
            if !call.known || call.own_pid == 0 {
                return false;
            }
            own_pids(call).iter().any(|pid| *pid != 0 && filter.pids.contains(pid))
        }
    };
    is(found, filter.membership)
}

/// Of a process and its ancestors.
fn binary(filter: &BinaryFilter, binaries: &[&str]) -> bool {
    match (filter.children, filter.test.sense) {
        (Children::Ignored, _) => filter.test.matches(binaries[0].as_bytes()),
        (Children::Followed, Sense::Plain) => binaries.iter().any(|it| filter.test.matches(it.as_bytes())),
        (Children::Followed, Sense::Negated) => binaries.iter().all(|it| filter.test.matches(it.as_bytes())),
    }
}

fn process(selector: &Selector, call: &Call, view: &KernelView) -> bool {
    let filters = &selector.process;
    let host = |kind: Namespace| view.facts().namespaces.number(kind).unwrap();
    let number = |kind: Namespace| call.thread.namespaces[kind as usize];
    let in_scope = |filter: &CapabilityFilter| {
        filter.scope == CapabilityScope::Any || number(Namespace::User) != host(Namespace::User)
    };
    filters.parents.iter().all(|filter| !call.parent_known || binary(filter, &call.binaries[1..]))
        && filters.namespaces.iter().all(|filter| {
            let same = |value: &NamespaceValue| match value {
                NamespaceValue::Number(listed) => *listed == number(filter.namespace),
                NamespaceValue::Host => host(filter.namespace) == number(filter.namespace),
            };
            is(filter.values.iter().any(same), filter.membership)
        })
        && filters.capabilities.iter().all(|filter| {
            let has = call.thread.capabilities[filter.set as usize] & filter.mask != 0;
            in_scope(filter) && is(has, filter.membership)
        })
        && filters.namespace_changes.iter().all(|filter| {
            let asked = |kind: &Namespace| is(filter.namespaces.contains(kind), filter.membership);
            let changed = |kind: Namespace, before: u32| number(kind) != before;
            call.recorded.as_ref().is_some_and(|before| {
                let kinds = Namespace::ALL.into_iter().filter(asked);
                kinds.into_iter().any(|kind| changed(kind, before.namespaces[kind as usize]))
            })
        })
        && filters.capability_changes.iter().all(|filter| {
            let set = filter.set as usize;
            let differ = call
                .recorded
                .as_ref()
                .map_or(0, |before| before.capabilities[set] ^ call.thread.capabilities[set]);
            in_scope(filter) && differ != 0 && is(differ & filter.mask != 0, filter.membership)
        })
}

fn argument(filter: &ArgumentFilter, declared: &[Argument], call: &Call) -> bool {
    let ty = |id: tracing_policy::policy::ArgumentId| &declared[id.index()];
    let bytes = |id| match ty(id).index.value {
        1 => call.text.as_deref(),
        2 => call.file.as_ref().and_then(|file| file.path.as_deref()),
        _ => match call.net.as_ref()? {
            Net::Named(name) => Some(name.as_str()),
            Net::Described(_) => None,
        },
    };
    match filter {
        ArgumentFilter::Integer { argument, test, .. } => {
            let Family::Number(number) = ty(*argument).ty.value.family() else { panic!("no number") };
            let register = match ty(*argument).index.value {
                0 => Some(call.number),
                4 => call.sets[0],
                _ => call.sets[1],
            };
            register.is_some_and(|register| test.matches(number.from_register(register)))
        }
        ArgumentFilter::String { argument, test, .. } | ArgumentFilter::Path { argument, test, .. } => {
            bytes(*argument).is_some_and(|text| test.matches(text.as_bytes()))
        }
        ArgumentFilter::Contains { argument, test, .. } => {
            bytes(*argument).is_some_and(|text| test.matches(text.as_bytes()))
        }
        ArgumentFilter::FileType { test, .. } => {
            call.file.as_ref().is_some_and(|file| test.matches(file.mode))
        }
        ArgumentFilter::CapabilitiesGained { .. } => {
            matches!(call.sets, [Some(before), Some(after)] if after & !before != 0)
        }
        ArgumentFilter::Network { test, .. } => match (&call.net, test) {
            (None, _) => false,
            (Some(Net::Described(subject)), test) => test.matches(subject),
            // of a name only the family is asked, and it is AF_UNIX
            (Some(Net::Named(_)), NetworkTest::Number { ranges, .. }) => {
                ranges.iter().any(|range| range.min.get() <= 1 && 1 <= range.max.get())
            }
            (Some(Net::Named(_)), NetworkTest::Address { .. }) => panic!("a name has no address"),
        },
        ArgumentFilter::Expression { .. } => panic!("expressions have tests of their own"),
    }
}
