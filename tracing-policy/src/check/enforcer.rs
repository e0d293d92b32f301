//! `spec.enforcers`, and what they are told.
//!
//! Each call of an enforcer becomes a hook whose one selector does what the policy's notifications told about the thread.

use super::hook::function;
use super::list::{Calls, Lists};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{
    Absence, Action, Function, Hook, HookKind, Notification, ReturnValue, Selector, SignalNumber, Told,
};
use crate::schema::{self, Enforcer, ListType};
use crate::source::{Span, Spanned};

/// What an entry of `matchActions` tells enforcers.
pub(super) fn notification(written: &schema::Action, report: &mut Report) -> Option<Notification> {
    let value = written.arg_error.as_ref().map_or(0, |value| value.value);
    let error = ReturnValue::new(value);
    let number = written.arg_sig.as_ref().filter(|number| number.value != 0);
    let signal = number.and_then(|number| SignalNumber::new(number.value));
    if let (Some(number), None) = (number, signal) {
        let error = Diagnostic::error(Code::BadSignal, number.span, "there is no signal of that number");
        report.push(error.help("1 to 64, for example 9 for SIGKILL"));
        return None;
    }
    if !error.is_errno() {
        let span = written.arg_error.as_ref().map_or(written.span, |value| value.span);
        let error = Diagnostic::error(Code::BadErrno, span, format!("{value} is no error number"));
        report.push(error.help("use -1 to -4095, for example -1 for \"operation not permitted\""));
        return None;
    }
    if value == 0 && signal.is_none() {
        let message = "NotifyEnforcer says neither what the call is to return nor what signal to send";
        let error = Diagnostic::error(Code::MissingField, written.span, message);
        report.push(error.help("add `argError`, for example -1, or `argSig`, for example 9"));
        return None;
    }
    Some(Notification { error, signal })
}

/// The hooks of the enforcers of a policy with these other hooks. `None` when the report has an error about one.
pub(super) fn enforcers(
    written: &Spanned<Vec<Enforcer>>,
    hooks: &[Hook],
    lists: &Lists<'_>,
    report: &mut Report,
) -> Option<Vec<Hook>> {
    let actions = || hooks.iter().flat_map(|hook| &hook.selectors).flat_map(|selector| &selector.actions);
    let is_about = |action: &&Spanned<Action>| {
        matches!(action.value, Action::NotifyEnforcer(_) | Action::CleanupEnforcerNotification)
    };
    if written.value.is_empty() {
        let mut complete = true;
        for action in actions().filter(is_about) {
            let message = "there are no enforcers to notify";
            let error = Diagnostic::error(Code::MissingField, action.span, message);
            report.push(error.help("add `enforcers:` with the `calls` that are to fail"));
            complete = false;
        }
        return complete.then(Vec::new);
    }
    let notifications = actions().filter_map(|action| action.value.notification());
    let told = Told::by(notifications);
    let mut enforced: Vec<Hook> = Vec::new();
    let mut complete = true;
    for (entry, enforcer) in (0..).zip(&written.value) {
        if enforcer.calls.is_empty() {
            let error = Diagnostic::error(Code::NoValues, enforcer.span, "this enforcer has no calls");
            report.push(error.help("add `calls:`"));
            complete = false;
        }
        for call in &enforcer.calls {
            let Some(calls) = calls(call, lists, report) else {
                complete = false;
                continue;
            };
            for function in calls.functions {
                let kind = Spanned::new(HookKind::Kprobe(function.value), function.span);
                if enforced.iter().all(|other| other.kind.value != kind.value) {
                    let hook = hook(kind, calls.absence, told, enforcer.span);
                    enforced.push(Hook { entry, ..hook });
                }
            }
        }
    }
    complete.then_some(enforced)
}

/// What a call of an enforcer stands for: system calls and functions of security modules.
fn calls(call: &Spanned<String>, lists: &Lists<'_>, report: &mut Report) -> Option<Calls> {
    let name = call.value.strip_prefix("list:");
    let list = name.and_then(|name| lists.lists.iter().find(|list| list.name.value == name));
    let is_plain = |list: &&schema::List| list.ty.as_ref().is_none_or(|ty| ty.value == ListType::Plain);
    let values = match (name, list.filter(is_plain)) {
        (None, _) => std::slice::from_ref(call),
        (Some(_), Some(list)) => &list.values,
        (Some(_), None) => {
            let calls = lists.calls(call, &Spanned::new(true, call.span), report)?;
            let is_matching = |function: &Spanned<Function>| matches!(function.value, Function::Matching(_));
            if calls.functions.iter().any(is_matching) {
                let message = "enforcers take system calls and functions of security modules, not patterns";
                report.push(Diagnostic::error(Code::BadSymbol, call.span, message));
                return None;
            }
            return Some(calls);
        }
    };
    let functions: Vec<_> = values.iter().map(|value| one(value, report)).collect();
    let functions = functions.into_iter().collect::<Option<Vec<_>>>()?;
    Some(Calls { functions, absence: Absence::Refused })
}

fn one(value: &Spanned<String>, report: &mut Report) -> Option<Spanned<Function>> {
    let is_security = value.value.starts_with("security_");
    let found = function(value, &Spanned::new(!is_security, value.span), &mut Report::default());
    if found.is_none() {
        let message =
            format!("`{}` is neither a system call nor a function of security modules", value.value);
        let error = Diagnostic::error(Code::NotASyscall, value.span, message);
        report.push(error.help("write sys_x or security_x"));
    }
    found
}

fn hook(kind: Spanned<HookKind>, absence: Absence, told: Told, span: Span) -> Hook {
    let selector =
        Selector { actions: vec![Spanned::new(Action::Enforce(told), kind.span)], ..Selector::always(span) };
    Hook {
        kind,
        absence,
        arguments: Vec::new(),
        selectors: vec![selector],
        message: None,
        tags: Vec::new(),
        means: crate::policy::Means::Any,
        returned: None,
        on_return: None,
        untyped: None,
        entry: 0,
        span,
    }
}
