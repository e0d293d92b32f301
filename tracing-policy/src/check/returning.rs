//! What a hook says about the return: the value, the filters on it, and what is done then.

use super::argument::{self, Arguments};
use super::section::{Section, Target};
use super::{action, filter, post, request};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::parse::{shortened, suggestion};
use crate::policy::{Action, Argument, ArgumentFilter, ArgumentId, ArgumentType, PostOptions, Request};
use crate::schema::{self, ActionKind, Word};
use crate::source::{Span, Spanned};

/// The value that the events of a hook carry as what the call returned: an argument with the index 0, if `return` and `returnArg` ask for one.
pub(super) fn value(
    returns: Option<&Spanned<bool>>,
    return_arg: Option<&schema::Argument>,
    section: Section,
    report: &mut Report,
) -> Option<Arguments> {
    let asked = returns.filter(|on| on.value);
    let (asked, written) = match (asked, return_arg) {
        (Some(asked), Some(written)) => (asked, written),
        (Some(asked), None) => {
            let error = Diagnostic::error(Code::MissingField, asked.span, "`return` needs `returnArg`");
            report.push(error.help("add `returnArg: {index: 0, type: int}`, or leave `return` out"));
            return None;
        }
        (None, Some(written)) => {
            let warning =
                Diagnostic::warning(Code::UselessParameter, written.span, "`returnArg` without `return`");
            report.push(warning.labelled("has no effect").help("add `return: true`"));
            return None;
        }
        (None, None) => return None,
    };
    for (on, message) in [
        (&written.return_copy, "returnCopy is of buffers among `args`"),
        (
            &written.max_data,
            "maxData is of buffers among `args`: of one that is returned the first 4095 bytes are read",
        ),
    ] {
        if let Some(on) = on.as_ref().filter(|on| on.value) {
            let warning = Diagnostic::warning(Code::UselessParameter, on.span, message);
            report.push(warning.labelled("has no effect"));
        }
    }
    let first = schema::Argument {
        index: Spanned::new(0, written.index.span),
        return_copy: None,
        max_data: None,
        ..written.clone()
    };
    let checked = argument::arguments(&[first], section, report);
    let value = checked.by_position(0).and_then(|entry| entry.argument.as_ref());
    if let Some(value) = value.filter(|value| !can_be_returned(value)) {
        let word = written.ty.as_ref().map_or("auto", |ty| ty.value.as_word());
        let message = format!("what is returned cannot be read as {word}");
        let error = Diagnostic::error(Code::ArgumentType, value.ty.span, message);
        let help = if value.ty.value == ArgumentType::CharBuf {
            "add `sizeArgIndex:` with the position of its size among the parameters, from 1"
        } else {
            "for example `type: int`"
        };
        report.push(error.also(asked.span, "the return is asked for here").help(help));
    }
    Some(checked)
}

/// Whether a return value can have the type: a number, a pointer to one thing or to so many bytes, or what is reached from there.
fn can_be_returned(value: &Argument) -> bool {
    let is_reached = value.resolve.is_some();
    match value.ty.value {
        ArgumentType::Nop | ArgumentType::CharIovec => false,
        ArgumentType::CharBuf => is_reached || value.size_index.is_some(),
        ArgumentType::IovIter
        | ArgumentType::Fd
        | ArgumentType::SockaddrUn
        | ArgumentType::Capabilities(_) => is_reached,
        ArgumentType::Integer(_)
        | ArgumentType::String
        | ArgumentType::File
        | ArgumentType::Path
        | ArgumentType::Kiocb
        | ArgumentType::Dentry
        | ArgumentType::LinuxBinprm
        | ArgumentType::Filename
        | ArgumentType::NetDevice
        | ArgumentType::Capability
        | ArgumentType::BpfCmd
        | ArgumentType::Object(_) => true,
    }
}

/// What is done with the socket that a call returns (`returnArgAction`).
pub(super) fn tracking(
    hook: &schema::Kprobe,
    returned: Option<&Arguments>,
    report: &mut Report,
) -> Option<Action> {
    let written = hook.return_arg_action.as_ref().filter(|text| !text.value.is_empty())?;
    let socket = ArgumentId::default();
    let known = [("TrackSock", Action::TrackSock(socket)), ("UntrackSock", Action::UntrackSock(socket))];
    let Some((_, action)) = known.iter().find(|(word, _)| word.eq_ignore_ascii_case(&written.value)) else {
        let message = format!("{:?} is no `returnArgAction`", shortened(&written.value));
        let error = Diagnostic::error(Code::UnknownWord, written.span, message);
        let words = known.iter().map(|(word, _)| *word);
        report.push(error.help(suggestion(&written.value, words, "actions")));
        return None;
    };
    let Some(returned) = returned else {
        // a return that has an error is not blamed twice
        if hook.returns.as_ref().is_none_or(|on| !on.value) {
            let message = "`returnArgAction` without `return`";
            let warning = Diagnostic::warning(Code::UselessParameter, written.span, message);
            report.push(warning.labelled("has no effect").help("add `return: true`"));
        }
        return None;
    };
    let value = returned.by_position(0)?.argument.as_ref()?;
    if !action::is_socket(value.ty.value) {
        let message = "what is returned is no socket";
        let error = Diagnostic::error(Code::OperatorMismatch, written.span, message);
        report.push(
            error.also(value.ty.span, "the type of `returnArg`").help("give it the type sock or socket"),
        );
        return None;
    }
    Some(*action)
}

/// What a selector says about the return.
pub(super) struct OnReturn {
    /// Filters on the value.
    pub(super) filters: Vec<ArgumentFilter>,
    /// What is done.
    pub(super) actions: Vec<Spanned<Action>>,
    /// How it is reported.
    pub(super) post: PostOptions,
    /// What the daemon asks for then.
    pub(super) requests: Vec<Request>,
}

/// Takes what a selector says about the return out of it. `None` when the report has an error about it.
pub(super) fn selector(
    written: &mut schema::Selector,
    arguments: &Arguments,
    target: Target<'_>,
    report: &mut Report,
) -> Option<OnReturn> {
    let filters = std::mem::take(&mut written.match_return_args.value);
    let actions = std::mem::take(&mut written.match_return_actions.value);
    let Some(returned) = arguments.returned() else {
        let mut complete = true;
        for (name, span, empty) in [
            ("matchReturnArgs", written.match_return_args.span, filters.is_empty()),
            ("matchReturnActions", written.match_return_actions.span, actions.is_empty()),
        ] {
            if !empty {
                no_return(name, span, target.section, report);
                complete = false;
            }
        }
        return complete.then(|| OnReturn {
            filters: Vec::new(),
            actions: Vec::new(),
            post: PostOptions::default(),
            requests: Vec::new(),
        });
    };
    let requests = request::requests(&actions, target.section, report);
    let post = post::options(&actions, returned, target, report);

    let filters: Vec<_> =
        filters.into_iter().map(|entry| filter::argument(entry, returned, report)).collect();
    let actions: Vec<_> = actions.iter().map(|entry| on_return(entry, returned, target, report)).collect();
    Some(OnReturn {
        filters: filters.into_iter().collect::<Option<_>>()?,
        actions: actions.into_iter().collect::<Option<_>>()?,
        post: post?,
        requests: requests?,
    })
}

fn no_return(name: &str, span: Span, section: Section, report: &mut Report) {
    let message = format!("`{name}` without a return to look at");
    let error = Diagnostic::error(Code::UndeclaredArgument, span, message);
    report.push(match section {
        Section::Kprobes | Section::Fentries | Section::Uprobes => {
            error.help("add `return: true` and `returnArg` to the hook")
        }
        Section::LsmHooks | Section::Tracepoints | Section::RawTracepoints | Section::Usdts => {
            error.help(format!("{} has no return", section.one()))
        }
    });
}

/// An entry of `matchReturnActions`: what can still be done when the call is over.
fn on_return(
    written: &schema::Action,
    returned: &Arguments,
    target: Target<'_>,
    report: &mut Report,
) -> Option<Spanned<Action>> {
    let kind = written.action.value;
    match kind {
        ActionKind::Post
        | ActionKind::NoPost
        | ActionKind::Sigkill
        | ActionKind::Signal
        | ActionKind::GetUrl
        | ActionKind::DnsLookup => action::action(written, returned, target, report),
        ActionKind::TrackSock | ActionKind::UntrackSock => {
            if let Some(position) = written.arg_sock.as_ref().filter(|position| position.value != 0) {
                let message = "the only socket at the return is the one that the call returned";
                let error = Diagnostic::error(Code::UndeclaredArgument, position.span, message);
                report.push(error.help("write `argSock: 0`; sockets in `args` are for `matchActions`"));
                return None;
            }
            action::action(written, returned, target, report)
        }
        ActionKind::Override | ActionKind::NotifyEnforcer | ActionKind::CleanupEnforcerNotification => {
            let message = format!("{} comes too late when the call has returned", kind.as_word());
            let error = Diagnostic::error(Code::OperatorMismatch, written.action.span, message);
            report.push(error.help("put it into `matchActions`; at the return use Sigkill or Signal"));
            None
        }
        // which is of USDT probes, and those have no return
        ActionKind::Set => action::action(written, returned, target, report),
    }
}
