//! Tracepoints. Types that are left to the kernel are filled in by `resolve`, which then checks the tracepoint again.

use super::hook::symbol_problem;
use super::section::{Section, Target};
use super::{argument, selector, text};
use crate::diagnostic::{Code, Diagnostic, Report, Severity};
use crate::policy::{Absence, Hook, HookKind, Tracepoint};
use crate::schema::{self, ArgumentMatch, ArgumentType};
use crate::source::Spanned;

/// A tracepoint. `None` when the report has an error about it.
pub(super) fn tracepoint(written: schema::Tracepoint, report: &mut Report) -> Option<Hook> {
    let raw = written.raw.as_ref().is_some_and(|raw| raw.value);
    if raw || !written.args.iter().any(is_untyped) {
        return whole(written, raw, report);
    }
    let mut own = Report::default();
    let hook = whole(without_filters_on_untyped(&written), raw, &mut own);
    // what a selector without some of its filters makes unreachable is not known
    let (hook, findings) = match own.finish(Some(hook)) {
        Ok((hook, warnings)) => (hook, warnings),
        Err(findings) => (None, findings),
    };
    findings
        .into_iter()
        .filter(|finding| finding.code != Code::NeverReached)
        .for_each(|finding| report.push(finding));
    hook.map(|hook| Hook { untyped: Some(Box::new(written)), ..hook })
}

/// Checks a tracepoint whose types have been filled in; what was warned of already is not repeated.
pub(crate) fn settled(written: schema::Tracepoint, report: &mut Report) -> Option<Hook> {
    let mut own = Report::default();
    let hook = whole(written, false, &mut own);
    match own.finish(hook) {
        Ok((hook, _warnings)) => Some(hook),
        Err(findings) => {
            findings
                .into_iter()
                .filter(|finding| finding.severity == Severity::Error)
                .for_each(|finding| report.push(finding));
            None
        }
    }
}

/// Whether an argument's type is left to the kernel.
pub(crate) fn is_untyped(argument: &schema::Argument) -> bool {
    argument.ty.as_ref().is_none_or(|ty| ty.value == ArgumentType::Auto)
}

fn without_filters_on_untyped(written: &schema::Tracepoint) -> schema::Tracepoint {
    let mut stripped = written.clone();
    let untyped = |filter: &ArgumentMatch| {
        let argument = match (filter.args.as_slice(), &filter.index) {
            ([position, ..], _) => {
                usize::try_from(position.value).ok().and_then(|position| written.args.get(position))
            }
            ([], Some(index)) => {
                let position = usize::try_from(index.value).ok();
                let by_position = || position.and_then(|position| written.args.get(position));
                written.args.iter().find(|argument| argument.index.value == index.value).or_else(by_position)
            }
            ([], None) => None,
        };
        argument.is_some_and(is_untyped)
    };
    for selector in &mut stripped.selectors {
        selector.match_args.retain(|filter| !untyped(filter));
    }
    for argument in stripped.args.iter_mut().filter(|argument| is_untyped(argument)) {
        argument.ty = Some(Spanned::new(ArgumentType::Uint64, argument.span));
    }
    stripped
}

fn whole(written: schema::Tracepoint, raw: bool, report: &mut Report) -> Option<Hook> {
    let section = if raw { Section::RawTracepoints } else { Section::Tracepoints };
    let mut named = true;
    for name in [&written.subsystem, &written.event] {
        if let Some(problem) = symbol_problem(&name.value) {
            report.push(Diagnostic::error(Code::BadSymbol, name.span, problem));
            named = false;
        }
    }
    let kind = HookKind::Tracepoint(Tracepoint {
        subsystem: written.subsystem.value,
        event: written.event.value,
        raw,
    });
    let arguments = argument::arguments(&written.args, section, report);
    let target = Target { section, kind: Some(&kind) };
    let selectors = selector::selectors(written.selectors, &arguments, target, report);
    let message = text::message(written.message, report);
    let tags = text::tags(written.tags, report);
    let arguments = arguments.complete();
    let (arguments, selectors) = (arguments?, selectors?);
    named.then(|| Hook {
        kind: Spanned::new(kind, written.event.span),
        absence: Absence::Refused,
        arguments,
        returned: None,
        selectors,
        message,
        tags,
        untyped: None,
        span: written.span,
    })
}
