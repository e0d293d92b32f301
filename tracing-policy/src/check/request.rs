//! What the daemon is to ask for.

use super::action::has_action;
use super::section::Section;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{HostName, Request, Url};
use crate::schema::{self, ActionKind};

/// The requests of a selector's actions, in order; those that the kind of hook has no such action for have been refused.
pub(super) fn requests(
    actions: &[schema::Action],
    section: Section,
    report: &mut Report,
) -> Option<Vec<Request>> {
    let mut requests = Vec::new();
    let mut complete = true;
    for written in actions.iter().filter(|it| has_action(section, it.action.value)) {
        let request = if written.action.value == ActionKind::GetUrl {
            get(written, report)
        } else if written.action.value == ActionKind::DnsLookup {
            lookup(written, report)
        } else {
            continue;
        };
        complete &= request.is_some();
        requests.extend(request);
    }
    complete.then_some(requests)
}

fn get(written: &schema::Action, report: &mut Report) -> Option<Request> {
    let Some(url) = &written.arg_url else {
        let error = Diagnostic::error(Code::MissingField, written.action.span, "GetUrl needs `argUrl`");
        report.push(error.help("for example `argUrl: http://example.com/path`"));
        return None;
    };
    let found = Url::new(&url.value);
    if found.is_none() {
        let message = format!("{:?} is no URL that can be fetched", url.value);
        let error = Diagnostic::error(Code::UnknownWord, url.span, message);
        report
            .push(error.help("write `https://HOST:PORT/PATH` or `http://…`; port and path may be left out"));
    }
    found.map(Request::Get)
}

fn lookup(written: &schema::Action, report: &mut Report) -> Option<Request> {
    let Some(name) = &written.arg_fqdn else {
        let error = Diagnostic::error(Code::MissingField, written.action.span, "DnsLookup needs `argFqdn`");
        report.push(error.help("for example `argFqdn: example.com`"));
        return None;
    };
    let found = HostName::new(&name.value);
    if found.is_none() {
        let message = format!("{:?} is no name that can be looked up", name.value);
        report.push(Diagnostic::error(Code::UnknownWord, name.span, message));
    }
    found.map(Request::Lookup)
}
