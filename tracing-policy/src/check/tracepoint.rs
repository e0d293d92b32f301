//! Tracepoints. Types that are left to the kernel are filled in by `resolve`, which then checks the tracepoint again.

use super::hook::symbol_problem;
use super::section::{Section, Target};
use super::{argument, selector, text, untyped};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{Absence, Hook, HookKind, Means, Tracepoint};
use crate::schema;
use crate::source::Spanned;

/// A tracepoint. `None` when the report has an error about it.
pub(super) fn tracepoint(written: schema::Tracepoint, report: &mut Report) -> Option<Hook> {
    let raw = written.raw.as_ref().is_some_and(|raw| raw.value);
    let Some((stripped, untyped)) = untyped::tracepoint(&written, raw) else {
        return whole(written, raw, report);
    };
    let hook = untyped::first(report, |own| whole(stripped, raw, own));
    hook.map(|hook| Hook { untyped: Some(Box::new(untyped)), ..hook })
}

/// Checks a tracepoint whose types have been filled in.
pub(crate) fn settled(written: schema::Tracepoint, report: &mut Report) -> Option<Hook> {
    let raw = written.raw.as_ref().is_some_and(|raw| raw.value);
    untyped::again(report, |own| whole(written, raw, own))
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
        means: Means::Any,
        returned: None,
        on_return: None,
        selectors,
        message,
        tags,
        untyped: None,
        entry: 0,
        span: written.span,
    })
}
