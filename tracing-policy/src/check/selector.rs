//! Selectors.

use super::argument::Arguments;
use super::section::Target;
use super::{action, filter, post, process, request, returning, rewrite, unsupported, workload};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{Action, Descendants, PidFilter, PidNamespace, Selector};
use crate::schema;
use crate::source::Spanned;

/// The selectors of a hook. `None` when the report has an error about one.
pub(super) fn selectors(
    written: Vec<schema::Selector>,
    arguments: &Arguments,
    target: Target<'_>,
    report: &mut Report,
) -> Option<Vec<Selector>> {
    let mut selectors = Vec::with_capacity(written.len());
    let mut complete = true;
    for selector in written {
        match one(selector, arguments, target, report) {
            Some(selector) => selectors.push(selector),
            None => complete = false,
        }
    }
    if complete {
        complete = refuse_denied_changes(&selectors, report);
    }
    if complete {
        warn_never_reached(&selectors, report);
    }
    complete.then_some(selectors)
}

fn one(
    mut written: schema::Selector,
    arguments: &Arguments,
    target: Target<'_>,
    report: &mut Report,
) -> Option<Selector> {
    let pids: Vec<_> = written.match_pids.iter().map(|entry| pid(entry, report)).collect();
    let process = process::filters(&mut written, report);
    let returned = returning::selector(&mut written, arguments, target, report);
    let binaries: Vec<_> = written
        .match_binaries
        .into_iter()
        .map(|entry| filter::binary(entry, "matchBinaries", report))
        .collect();
    let mut filters: Vec<_> =
        written.match_args.into_iter().map(|entry| filter::argument(entry, arguments, report)).collect();
    let data = written.match_data.value.into_iter();
    filters.extend(data.map(|entry| filter::data(entry, arguments, report)));
    let workload = written.match_workloads.as_ref().and_then(|it| workload::of_selector(it, report));
    let actions: Vec<_> =
        written.match_actions.iter().map(|entry| action::action(entry, arguments, target, report)).collect();
    let requests = request::requests(&written.match_actions, target.section, report);
    let overrides = rewrite::overrides(target.section, &written.match_actions);
    let rewrite = rewrite::rewrite(&overrides, report);
    let post = post::options(&written.match_actions, arguments, target, report);
    let returned = returned?;
    Some(Selector {
        label: written.label.filter(|label| !label.value.is_empty()),
        pids: pids.into_iter().collect::<Option<_>>()?,
        binaries: binaries.into_iter().collect::<Option<_>>()?,
        process: process?,
        workload,
        arguments: filters.into_iter().collect::<Option<_>>()?,
        actions: actions.into_iter().collect::<Option<_>>()?,
        rewrite: if overrides.is_empty() { None } else { Some(rewrite?) },
        return_arguments: returned.filters,
        return_actions: returned.actions,
        post: post?,
        requests: requests?,
        return_post: returned.post,
        return_requests: returned.requests,
        span: written.span,
    })
}

fn pid(written: &schema::PidMatch, report: &mut Report) -> Option<PidFilter> {
    if written.values.is_empty() {
        filter::no_values(written.span, report);
        return None;
    }
    let is_on = |field: &Option<Spanned<bool>>| field.as_ref().is_some_and(|field| field.value);
    Some(PidFilter {
        membership: process::membership(&written.operator),
        pids: written.values.iter().map(|value| value.value).collect(),
        namespace: if is_on(&written.is_namespace_pid) { PidNamespace::Own } else { PidNamespace::Host },
        descendants: if is_on(&written.follow_forks) { Descendants::Followed } else { Descendants::Ignored },
        span: written.span,
    })
}

/// The program that reports records a change as told before the one that denies looks at it.
fn refuse_denied_changes(selectors: &[Selector], report: &mut Report) -> bool {
    let denies = |action: &&Spanned<Action>| action.value.overrides();
    let denial = selectors.iter().flat_map(|selector| &selector.actions).find(denies);
    let Some(denial) = denial.filter(|_| selectors.iter().any(|it| it.process.looks_at_changes())) else {
        return true;
    };
    let what = "Override on a hook with matchNamespaceChanges or matchCapabilityChanges";
    unsupported::refuse(what, denial.span, report);
    false
}

fn warn_never_reached(selectors: &[Selector], report: &mut Report) {
    let Some(always) = selectors.iter().position(Selector::matches_always) else { return };
    let (Some(first), Some(next)) = (selectors.get(always), selectors.get(always + 1)) else { return };
    let warning = Diagnostic::warning(Code::NeverReached, next.span, "this selector is never reached");
    report
        .push(warning.also(first.span, "this one has no filter and matches every call").help("swap the two"));
}
