//! Selectors and their filters.

use super::{Purpose, Reads, bytes, expression, network, number, process};
use crate::Rider;
use crate::ir::{self, Check, ReadId, SourceMap, Test};
use crate::policy::{
    Action, ArgumentFilter, ArgumentId, ClassTest, ClassUse, Descendants, Family, Kin, PostOptions, Role,
    Selector, Sense,
};

/// The selectors of a rider that matter for the purpose.
pub(super) fn selectors(
    rider: &Rider<'_>,
    number: usize,
    purpose: Purpose,
    reads: &Reads,
    places: &mut SourceMap,
) -> Vec<ir::Selector> {
    let all = &rider.hook.selectors;
    let kept = match purpose {
        Purpose::Report if is_enforced_elsewhere(rider) => 0,
        Purpose::Report | Purpose::Return => all.len(),
        // what comes behind the last denial cannot change whether one is due
        Purpose::Deny => all.iter().rposition(denies).map_or(0, |last| last + 1),
        Purpose::Ask => all.iter().rposition(|selector| selector.post.file_hash).map_or(0, |last| last + 1),
    };
    let mut lowered = Vec::with_capacity(kept);
    for (index, selector) in all.iter().take(kept).enumerate() {
        let mut tests = Vec::new();
        let origin = places.origin(number, selector.span);
        if purpose == Purpose::Return {
            lowered.push(returning(rider, (number, index), selector, reads, places));
            continue;
        }
        let is_enforcer = selector.actions.iter().any(|action| matches!(action.value, Action::Enforce(_)));
        // an enforcer in monitor mode forgets what it was told
        if purpose == Purpose::Deny && !is_enforcer {
            tests.push(Test { check: Check::Enforcing, origin });
        }
        let uses = rider.hook.class_uses.get(index).map(Vec::as_slice).unwrap_or_default();
        for class in uses {
            tests.extend(class_test(rider, *class).map(|check| Test { check, origin }));
        }
        for filter in selector.pids.iter().filter(|filter| filter.descendants == Descendants::Ignored) {
            let origin = places.origin(number, filter.span);
            tests.push(Test { check: number::pid(filter), origin });
        }
        for (check, span) in process::tests(&selector.process) {
            tests.push(Test { check, origin: places.origin(number, span) });
        }
        // a call with a descriptor that the process does not have is none that concerns the policy
        for read in reads.descriptors(rider) {
            tests.push(Test { check: Check::Readable(read), origin });
        }
        tests.extend(filters(rider, number, &selector.arguments, reads, places));
        lowered.push(ir::Selector {
            number: u16::try_from(index).unwrap_or(u16::MAX),
            tests,
            actions: selector.actions.iter().map(|action| action.value).collect(),
            return_actions: selector.return_actions.iter().map(|action| action.value).collect(),
            rewrite: selector.rewrite.clone(),
            sockets: sockets(rider, selector.actions.iter().map(|action| action.value), reads),
            post: match purpose {
                Purpose::Report | Purpose::Ask => selector.post,
                Purpose::Deny | Purpose::Return => PostOptions::default(),
            },
            origin,
        });
    }
    lowered
}

/// The arguments that actions name, where they are read.
fn sockets(
    rider: &Rider<'_>,
    actions: impl Iterator<Item = Action>,
    reads: &Reads,
) -> Vec<(ArgumentId, ReadId)> {
    let named = actions.filter_map(Action::socket);
    named.filter_map(|socket| Some((socket, reads.of_argument(rider, socket)?))).collect()
}

/// The tests of filters on values, of the rider with this number.
fn filters(
    rider: &Rider<'_>,
    number: usize,
    filters: &[ArgumentFilter],
    reads: &Reads,
    places: &mut SourceMap,
) -> Vec<Test> {
    let mut tests = Vec::new();
    for filter in filters {
        let origin = places.origin(number, filter.span());
        tests.extend(checks(rider, filter, reads).into_iter().map(|check| Test { check, origin }));
    }
    tests
}

/// The selector that matched at the entry, at the return: `place` is that of the rider and of the selector.
fn returning(
    rider: &Rider<'_>,
    place: (usize, usize),
    selector: &Selector,
    reads: &Reads,
    places: &mut SourceMap,
) -> ir::Selector {
    let (number, index) = place;
    let origin = places.origin(number, selector.span);
    let short = |position: usize| u16::try_from(position).unwrap_or(u16::MAX);
    let entered = Check::Entered { rider: short(number), selector: short(index) };
    let mut tests = vec![Test { check: entered, origin }];
    tests.extend(filters(rider, number, &selector.return_arguments, reads, places));
    let actions = selector.return_actions.iter().map(|action| action.value);
    ir::Selector {
        number: short(index),
        tests,
        sockets: sockets(rider, actions.clone().chain(rider.hook.on_return), reads),
        actions: actions.collect(),
        return_actions: Vec::new(),
        rewrite: None,
        post: selector.return_post,
        origin,
    }
}

fn denies(selector: &Selector) -> bool {
    selector.actions.iter().any(|action| matches!(action.value, Action::Override(_) | Action::Enforce(_)))
}

/// Whether another program of the hook does what its enforcer was told: the one that returns the error.
fn is_enforced_elsewhere(rider: &Rider<'_>) -> bool {
    let mut actions = rider.hook.selectors.iter().flat_map(|selector| &selector.actions);
    let has_denier = rider.hook.attachments.iter().any(|attachment| attachment.role == Role::Deny);
    has_denier && actions.any(|action| matches!(action.value, Action::Enforce(_)))
}

fn class_test(rider: &Rider<'_>, class: ClassUse) -> Option<Check> {
    let number = rider.class_numbers.get(class.class).copied()?;
    // A process that we know nothing of descends from nobody we know; of its binary nothing can be said, not even what it is not.
    let unknown_passes = match (rider.hook.classes.get(class.class)?, class.of) {
        (_, Kin::Parent) => true,
        // the host's processes are a workload too
        (_, Kin::Workload) | (ClassTest::Workload(_), Kin::Process) => false,
        (ClassTest::Descendants { .. }, Kin::Process) => class.sense == Sense::Negated,
        (ClassTest::Binary { .. } | ClassTest::InPidNamespace, Kin::Process) => false,
    };
    Some(Check::Class { number, of: class.of, sense: class.sense, unknown_passes })
}

/// The tests that a filter becomes.
fn checks(rider: &Rider<'_>, filter: &ArgumentFilter, reads: &Reads) -> Vec<Check> {
    if let ArgumentFilter::Expression { condition, arguments, .. } = filter {
        return expression::tests(rider, condition, arguments, reads).unwrap_or_default();
    }
    argument(rider, filter, reads).into_iter().collect()
}

/// The test of one argument.
pub(super) fn argument(rider: &Rider<'_>, filter: &ArgumentFilter, reads: &Reads) -> Option<Check> {
    let read = reads.of_argument(rider, filter.argument())?;
    match filter {
        ArgumentFilter::Integer { test, .. } => {
            let Family::Number(ty) = reads.get(read)?.ty.family() else { return None };
            Some(number::integer(read, ty, test))
        }
        ArgumentFilter::String { test, .. } | ArgumentFilter::Path { test, .. } => {
            Some(bytes::test(read, test, reads.get(read)?.ty.is_buffer()))
        }
        ArgumentFilter::Contains { test, .. } => Some(bytes::contains(read, test)),
        ArgumentFilter::FileType { test, .. } => Some(Check::FileType { read, test: *test }),
        ArgumentFilter::CapabilitiesGained { before, .. } => {
            Some(Check::Gained { before: reads.of_argument(rider, *before)?, after: read })
        }
        ArgumentFilter::Network { test, .. } => Some(network::test(read, reads.get(read)?.ty, test)),
        // more than one test, each of which comes here
        ArgumentFilter::Expression { .. } => None,
    }
}
