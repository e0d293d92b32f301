//! Static probes of programs and libraries.

use super::section::{Section, Target};
use super::uprobe::path;
use super::{argument, elsewhere, selector, text, untyped};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{Absence, Hook, HookKind, Means, Usdt};
use crate::schema;
use crate::source::Spanned;

/// The hook of a static probe. `None` when the report has an error about it.
pub(super) fn usdt(written: schema::Usdt, report: &mut Report) -> Option<Hook> {
    let Some((stripped, untyped)) = untyped::usdt(&written) else { return typed(written, report) };
    let hook = untyped::first(report, |own| typed(stripped, own))?;
    Some(Hook { untyped: Some(Box::new(untyped)), ..hook })
}

/// Checks a probe whose types have been filled in.
pub(crate) fn settled(written: schema::Usdt, report: &mut Report) -> Option<Hook> {
    untyped::again(report, |own| typed(written, own))
}

fn typed(written: schema::Usdt, report: &mut Report) -> Option<Hook> {
    let path = path(&written.path, report);
    let types = elsewhere::types(written.btf_path.as_ref(), &written.args, report);
    let provider = word("provider", &written.provider, report);
    let name = word("name", &written.name, report);
    let arguments = argument::arguments(&written.args, Section::Usdts, report);
    let target = Target { section: Section::Usdts, kind: None };
    let selectors = selector::selectors(written.selectors, &arguments, target, report);
    let message = text::message(written.message, report);
    let tags = text::tags(written.tags, report);
    let usdt = Usdt {
        path: path?,
        path_span: written.path.span,
        provider: provider?,
        name: name?,
        types: types.ok()?,
    };
    Some(Hook {
        kind: Spanned::new(HookKind::Usdt(usdt), written.name.span),
        absence: Absence::Refused,
        arguments: arguments.complete()?,
        selectors: selectors?,
        message,
        tags,
        untyped: None,
        entry: 0,
        returned: None,
        on_return: None,
        means: Means::Any,
        span: written.span,
    })
}

/// A part of a probe's name.
fn word(what: &str, written: &Spanned<String>, report: &mut Report) -> Option<String> {
    if written.value.is_empty() || written.value.chars().any(char::is_control) {
        let message = format!("this is no {what} of a static probe");
        let error = Diagnostic::error(Code::BadSymbol, written.span, message);
        report.push(error.help("`readelf -n FILE` lists the probes of a file"));
        return None;
    }
    Some(written.value.clone())
}
