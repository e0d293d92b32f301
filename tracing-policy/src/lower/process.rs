//! Filters of the process become tests of numbers.

use bpf_probes::kernel::Namespace;

use super::number::{among, bits};
use crate::ir::{Check, Subject};
use crate::policy::{Membership, NamespaceValue, ProcessFilters, Sense};
use crate::source::Span;

/// The tests, each with its place in the text.
pub(super) fn tests(filters: &ProcessFilters) -> Vec<(Check, Span)> {
    let mut tests = Vec::new();
    for filter in &filters.namespaces {
        let numbers = filter.values.iter().filter_map(|value| match value {
            NamespaceValue::Number(number) => Some(*number),
            // the stage before has made numbers of them
            NamespaceValue::Host => None,
        });
        let subject = Subject::Namespace(filter.namespace);
        tests.push((among(subject, numbers, sense(filter.membership)), filter.span));
    }
    for filter in &filters.capabilities {
        let subject = Subject::Capabilities(filter.set);
        tests.push((bits(subject, filter.mask, sense(filter.membership)), filter.span));
    }
    for filter in &filters.namespace_changes {
        let bit = |kind: &Namespace| 1_u64 << kind.index();
        let all = Namespace::ALL.iter().map(bit).sum::<u64>();
        let listed = filter.namespaces.iter().fold(0, |mask, kind| mask | bit(kind));
        let asked = match filter.membership {
            Membership::In => listed,
            Membership::NotIn => all & !listed,
        };
        tests.push((bits(Subject::NamespacesChanged, asked, Sense::Plain), filter.span));
    }
    for filter in &filters.capability_changes {
        let subject = Subject::CapabilitiesChanged(filter.set);
        tests.push((bits(subject, filter.mask, sense(filter.membership)), filter.span));
        if filter.membership == Membership::NotIn {
            // another one must have changed
            tests.push((bits(subject, u64::MAX, Sense::Plain), filter.span));
        }
    }
    tests
}

fn sense(membership: Membership) -> Sense {
    match membership {
        Membership::In => Sense::Plain,
        Membership::NotIn => Sense::Negated,
    }
}
