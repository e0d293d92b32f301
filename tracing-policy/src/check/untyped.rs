//! Hooks with arguments whose types are left to the kernel: what can be checked of them without one, and the rest when their types are known.

use super::elsewhere::is_resolved;
use crate::diagnostic::{Code, Report, Severity};
use crate::policy::{Hook, Untyped};
use crate::schema::{self, ActionKind, ArgumentMatch, ArgumentType, Operator};
use crate::source::Spanned;

/// Whether an argument's type is left to the kernel.
pub(crate) fn is_untyped(argument: &schema::Argument) -> bool {
    argument.ty.as_ref().is_none_or(|ty| ty.value == ArgumentType::Auto) && !is_resolved(argument)
}

/// A kprobe whose types are not all known, without what depends on them, and as it was; `None` where all are.
pub(super) fn kprobe(written: &schema::Kprobe) -> Option<(schema::Kprobe, Untyped)> {
    let mut all = written.args.iter().chain(&written.data).chain(&written.return_arg);
    all.any(is_resolved).then(|| {
        let mut stripped = written.clone();
        strip(&mut stripped.args, &mut stripped.data, &mut stripped.selectors, is_resolved);
        if strip_return(stripped.return_arg.as_mut(), &mut stripped.selectors) {
            stripped.return_arg_action = None;
        }
        (stripped, Untyped::Kprobe(Box::new(written.clone())))
    })
}

/// The same of a uprobe.
pub(super) fn uprobe(written: &schema::Uprobe) -> Option<(schema::Uprobe, Untyped)> {
    let mut all = written.args.iter().chain(&written.data).chain(&written.return_arg);
    // the path is not followed yet, but that it needs types is known
    all.any(is_resolved).then(|| {
        let mut stripped = written.clone();
        strip(&mut stripped.args, &mut stripped.data, &mut stripped.selectors, is_resolved);
        strip_return(stripped.return_arg.as_mut(), &mut stripped.selectors);
        (stripped, Untyped::Uprobe(Box::new(written.clone())))
    })
}

/// The same of a static probe.
pub(super) fn usdt(written: &schema::Usdt) -> Option<(schema::Usdt, Untyped)> {
    written.args.iter().any(is_resolved).then(|| {
        let mut stripped = written.clone();
        strip(&mut stripped.args, &mut [], &mut stripped.selectors, is_resolved);
        (stripped, Untyped::Usdt(written.clone()))
    })
}

/// Takes away what depends on the type of what is returned; whether that is not known.
fn strip_return(returned: Option<&mut schema::Argument>, selectors: &mut [schema::Selector]) -> bool {
    let Some(returned) = returned.filter(|argument| is_resolved(argument)) else { return false };
    open(returned);
    for selector in selectors {
        selector.match_return_args.value.clear();
        selector.match_return_actions.value.retain(|action| !is_of_socket(action));
    }
    true
}

const fn is_of_socket(action: &schema::Action) -> bool {
    matches!(action.action.value, ActionKind::TrackSock | ActionKind::UntrackSock)
}

/// Gives an argument whose type is not known one that goes with everything.
fn open(argument: &mut schema::Argument) {
    argument.ty = Some(Spanned::new(ArgumentType::Uint64, argument.span));
    argument.size_arg_index = None;
    argument.return_copy = None;
}

/// The same of an LSM hook.
pub(super) fn lsm(written: &schema::LsmHook) -> Option<(schema::LsmHook, Untyped)> {
    written.args.iter().any(is_resolved).then(|| {
        let mut stripped = written.clone();
        strip(&mut stripped.args, &mut [], &mut stripped.selectors, is_resolved);
        (stripped, Untyped::Lsm(written.clone()))
    })
}

/// The same of a tracepoint; of a raw one nothing but a path says a type.
pub(super) fn tracepoint(written: &schema::Tracepoint, raw: bool) -> Option<(schema::Tracepoint, Untyped)> {
    let is_open = |argument: &schema::Argument| is_resolved(argument) || (!raw && is_untyped(argument));
    written.args.iter().any(is_open).then(|| {
        let mut stripped = written.clone();
        strip(&mut stripped.args, &mut [], &mut stripped.selectors, is_open);
        (stripped, Untyped::Tracepoint(written.clone()))
    })
}

/// Takes away what depends on types that are not known, and gives the arguments one that goes with everything.
fn strip(
    args: &mut [schema::Argument],
    data: &mut [schema::Argument],
    selectors: &mut [schema::Selector],
    is_open: impl Fn(&schema::Argument) -> bool,
) {
    let at = |list: &[schema::Argument], position: u32| {
        let found = usize::try_from(position).ok().and_then(|position| list.get(position));
        found.is_some_and(&is_open)
    };
    let on_open = |filter: &ArgumentMatch| match (filter.args.as_slice(), &filter.index) {
        ([], Some(index)) => {
            let found = args.iter().find(|argument| argument.index.value == index.value);
            found.map_or_else(|| at(args, index.value), &is_open)
        }
        ([], None) => false,
        (positions, _) => positions.iter().any(|position| at(args, position.value)),
    };
    for selector in selectors {
        // an expression may look at any of them
        let is_expression = |filter: &ArgumentMatch| filter.operator.value == Operator::CelExpr;
        selector.match_args.retain(|filter| !is_expression(filter) && !on_open(filter));
        let index = |filter: &ArgumentMatch| filter.index.as_ref().map_or(0, |index| index.value);
        selector.match_data.value.retain(|filter| !is_expression(filter) && !at(data, index(filter)));
        let socket = |action: &schema::Action| action.arg_sock.as_ref().map_or(0, |position| position.value);
        let is_open_socket = |action: &schema::Action| is_of_socket(action) && at(args, socket(action));
        selector.match_actions.retain(|action| !is_open_socket(action));
    }
    args.iter_mut().chain(data).filter(|argument| is_open(argument)).for_each(open);
}

/// Checks a hook without what depends on unknown types. What a selector without some of its filters makes unreachable is not known.
pub(super) fn first<T>(report: &mut Report, check: impl FnOnce(&mut Report) -> Option<T>) -> Option<T> {
    quietly(report, check, |finding| finding.code != Code::NeverReached)
}

/// Checks a hook whose types have been filled in; what was warned of already is not repeated.
pub(super) fn again(report: &mut Report, check: impl FnOnce(&mut Report) -> Option<Hook>) -> Option<Hook> {
    quietly(report, check, |finding| finding.severity == Severity::Error)
}

fn quietly<T>(
    report: &mut Report,
    check: impl FnOnce(&mut Report) -> Option<T>,
    keep: impl Fn(&crate::diagnostic::Diagnostic) -> bool,
) -> Option<T> {
    let mut own = Report::default();
    let found = check(&mut own);
    let (found, findings) = match own.finish(Some(found)) {
        Ok((found, warnings)) => (found, warnings),
        Err(findings) => (None, findings),
    };
    findings.into_iter().filter(keep).for_each(|finding| report.push(finding));
    found
}
