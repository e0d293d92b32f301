//! Actions and their parameters.

use super::argument::Arguments;
use super::section::{Section, Target};
use super::{enforcer, rewrite};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{
    Action, ArgumentId, ArgumentType, Function, HookKind, NetworkType, ObjectKind, ReturnValue, SetValue,
    SignalNumber,
};
use crate::schema::{self, ActionKind, Word};
use crate::source::{Span, Spanned};

/// An entry of `matchActions`.
pub(super) fn action(
    written: &schema::Action,
    arguments: &Arguments,
    target: Target<'_>,
    report: &mut Report,
) -> Option<Spanned<Action>> {
    parameters(written, target.section, report);
    one_destination(written, report);
    if !has_action(target.section, written.action.value) {
        let word = written.action.value.as_word();
        let message = format!("{} has no action {word}", target.section.one());
        report.push(Diagnostic::error(Code::OperatorMismatch, written.action.span, message));
        return None;
    }
    let action = match written.action.value {
        ActionKind::Post => Action::Post,
        ActionKind::NoPost => Action::NoPost,
        ActionKind::Sigkill => Action::Sigkill,
        ActionKind::Signal => Action::Signal(signal(written, report)?),
        ActionKind::Override if target.section == Section::Uprobes => Action::Rewrite,
        ActionKind::Override => Action::Override(return_value(written, target.kind, report)),
        ActionKind::TrackSock => Action::TrackSock(socket(written, arguments, report)?),
        ActionKind::UntrackSock => Action::UntrackSock(socket(written, arguments, report)?),
        ActionKind::GetUrl => Action::GetUrl,
        ActionKind::DnsLookup => Action::DnsLookup,
        ActionKind::NotifyEnforcer => Action::NotifyEnforcer(enforcer::notification(written, report)?),
        ActionKind::CleanupEnforcerNotification => Action::CleanupEnforcerNotification,
        ActionKind::Set if target.section == Section::Usdts => Action::Set(set(written, report)?),
        ActionKind::Set => {
            let message = format!("{} has no action Set", target.section.one());
            let error = Diagnostic::error(Code::OperatorMismatch, written.action.span, message);
            report.push(error.help("Set writes arguments of USDT probes"));
            return None;
        }
    };
    Some(Spanned::new(action, written.span))
}

/// Whether a kind of hook can do it at all. `Set` has a message of its own.
pub(super) fn has_action(section: Section, action: ActionKind) -> bool {
    let of_lsm = [
        ActionKind::Post,
        ActionKind::NoPost,
        ActionKind::Sigkill,
        ActionKind::Signal,
        ActionKind::Override,
        ActionKind::Set,
    ];
    match section {
        Section::Kprobes => true,
        Section::Fentries => !matches!(
            action,
            ActionKind::Sigkill
                | ActionKind::Signal
                | ActionKind::Override
                | ActionKind::NotifyEnforcer
                | ActionKind::CleanupEnforcerNotification
        ),
        Section::Uprobes => !matches!(
            action,
            ActionKind::GetUrl
                | ActionKind::DnsLookup
                | ActionKind::TrackSock
                | ActionKind::UntrackSock
                | ActionKind::NotifyEnforcer
        ),
        Section::Usdts => matches!(
            action,
            ActionKind::Post
                | ActionKind::NoPost
                | ActionKind::Sigkill
                | ActionKind::Signal
                | ActionKind::CleanupEnforcerNotification
                | ActionKind::Set
        ),
        Section::LsmHooks => of_lsm.contains(&action),
        Section::Tracepoints | Section::RawTracepoints => {
            !matches!(action, ActionKind::Override | ActionKind::TrackSock | ActionKind::UntrackSock)
        }
    }
}

/// What is written where; both are 0 unless the policy says otherwise.
fn set(written: &schema::Action, report: &mut Report) -> Option<SetValue> {
    let index = written.arg_index.as_ref();
    let value = written.arg_value.as_ref().map_or(0, |value| value.value);
    let number = index.map_or(Some(0), |index| u8::try_from(index.value).ok());
    if number.is_none() {
        let span = index.map_or(written.span, |index| index.span);
        report.push(Diagnostic::error(Code::ArgumentIndex, span, "no probe has so many arguments"));
    }
    Some(SetValue { position: number?, value, operand: None })
}

/// The argument that is the socket: its place in the list, the first unless said otherwise.
fn socket(written: &schema::Action, arguments: &Arguments, report: &mut Report) -> Option<ArgumentId> {
    let (position, span) = match &written.arg_sock {
        Some(position) => (position.value as usize, position.span),
        None => (0, written.action.span),
    };
    let Some(entry) = arguments.by_position(position) else {
        let message = format!("there is no argument {position} in `args`");
        let error = Diagnostic::error(Code::UndeclaredArgument, span, message);
        report.push(error.help("`argSock` counts the entries of `args`, from 0"));
        return None;
    };
    if !is_socket(entry.argument.as_ref()?.ty.value) {
        let message = format!("argument {position} is no socket");
        let error = Diagnostic::error(Code::OperatorMismatch, span, message);
        report.push(error.help("give it the type sock or socket"));
        return None;
    }
    ArgumentId::new(position)
}

/// Whether values of the type are sockets that can be tracked.
pub(super) const fn is_socket(ty: ArgumentType) -> bool {
    matches!(ty, ArgumentType::Object(ObjectKind::Network(NetworkType::Sock | NetworkType::Socket)))
}

fn signal(written: &schema::Action, report: &mut Report) -> Option<SignalNumber> {
    let number = written.arg_sig.as_ref();
    let signal = number.and_then(|number| SignalNumber::new(number.value));
    if signal.is_none() {
        let span = number.map_or(written.span, |number| number.span);
        let error =
            Diagnostic::error(Code::BadSignal, span, "Signal needs the number of a signal in `argSig`");
        report.push(error.help("1 to 64, for example 15 for SIGTERM"));
    }
    signal
}

fn return_value(written: &schema::Action, kind: Option<&HookKind>, report: &mut Report) -> ReturnValue {
    let span = written.arg_error.as_ref().map_or(written.span, |value| value.span);
    let value = ReturnValue::new(written.arg_error.as_ref().map_or(0, |value| value.value));
    let symbol = match kind {
        Some(HookKind::Kprobe(Function::Kernel(symbol))) if symbol.starts_with("security_") => symbol,
        Some(HookKind::Lsm(hook)) => hook,
        Some(
            HookKind::Kprobe(_)
            | HookKind::Tracepoint(_)
            | HookKind::Uprobe(_)
            | HookKind::Usdt(_)
            | HookKind::Loader,
        )
        | None => return value,
    };
    if !value.is_errno() {
        let message = format!("{symbol} cannot return {}; it will return -1 (EPERM)", value.get());
        let warning = Diagnostic::warning(Code::BadErrno, span, message);
        report.push(warning.help("use 0 to -4095, for example -13 for \"permission denied\""));
        return ReturnValue::EPERM;
    }
    if value.get() == 0 {
        let message = format!("an override of {symbol} with 0 denies nothing");
        report.push(
            Diagnostic::warning(Code::BadErrno, span, message).help("set `argError`, for example to -1"),
        );
    }
    value
}

/// Refuses more than one place to go to, as the custom resource definition does.
fn one_destination(written: &schema::Action, report: &mut Report) {
    let mut said: Vec<Span> = rewrite::destinations(written).map(|(_, span)| span).collect();
    said.sort_by_key(|span| span.start);
    if let [first, second, ..] = said.as_slice() {
        let message = "an Override goes to one place: argNewSymbol, argNewAddr or argNewOffset";
        let error = Diagnostic::error(Code::BadAssignment, *second, message);
        report.push(error.also(*first, "the first of them"));
    }
}

/// A parameter: its name, its place if it is there, and the actions that take it.
type Parameter = (&'static str, Option<Span>, &'static [ActionKind]);

/// Warns of parameters that the action does not take.
fn parameters(written: &schema::Action, section: Section, report: &mut Report) {
    fn span<T>(field: Option<&Spanned<T>>) -> Option<Span> {
        field.map(|field| field.span)
    }
    let on =
        |field: &Option<Spanned<bool>>| field.as_ref().filter(|field| field.value).map(|field| field.span);
    let of_override: &[ActionKind] = if section == Section::Uprobes { &[ActionKind::Override] } else { &[] };
    let known: [Parameter; 16] = [
        ("argFqdn", span(written.arg_fqdn.as_ref()), &[ActionKind::DnsLookup]),
        ("argUrl", span(written.arg_url.as_ref()), &[ActionKind::GetUrl]),
        ("argSock", span(written.arg_sock.as_ref()), &[ActionKind::TrackSock, ActionKind::UntrackSock]),
        ("argError", span(written.arg_error.as_ref()), &[ActionKind::Override, ActionKind::NotifyEnforcer]),
        ("argSig", span(written.arg_sig.as_ref()), &[ActionKind::Signal, ActionKind::NotifyEnforcer]),
        ("argRegs", span(written.arg_regs.first()), of_override),
        ("argNewSymbol", span(written.arg_new_symbol.as_ref()), of_override),
        ("argNewAddr", span(written.arg_new_addr.as_ref()), of_override),
        ("argNewOffset", span(written.arg_new_offset.as_ref()), of_override),
        ("argIndex", span(written.arg_index.as_ref()), &[ActionKind::Set]),
        ("argValue", span(written.arg_value.as_ref()), &[ActionKind::Set]),
        ("rateLimit", span(written.rate_limit.as_ref()), &[ActionKind::Post]),
        ("rateLimitScope", span(written.rate_limit_scope.as_ref()), &[ActionKind::Post]),
        ("kernelStackTrace", on(&written.kernel_stack_trace), &[ActionKind::Post]),
        ("userStackTrace", on(&written.user_stack_trace), &[ActionKind::Post]),
        ("imaHash", on(&written.ima_hash), &[ActionKind::Post]),
    ];
    let action = written.action.value;
    for (name, span, takers) in known {
        if let Some(span) = span.filter(|_| !takers.contains(&action)) {
            let message = format!("{} takes no `{name}`", action.as_word());
            report.push(Diagnostic::warning(Code::UselessParameter, span, message).labelled("has no effect"));
        }
    }
    if section == Section::LsmHooks && action == ActionKind::Post {
        for (name, field) in
            [("kernelStackTrace", &written.kernel_stack_trace), ("userStackTrace", &written.user_stack_trace)]
        {
            if let Some(span) = on(field) {
                let message = format!("an LSM hook has no `{name}`");
                report.push(Diagnostic::error(Code::OperatorMismatch, span, message));
            }
        }
    }
}
