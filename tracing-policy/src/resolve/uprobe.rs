//! Places in programs and libraries: from symbols and addresses to offsets in the file that was opened.

use bpf_probes::attach::{self, UserLinks, UserPlace};

use super::mechanism;
use super::policy::{Facts, Placed};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::files::BinaryFile;
use crate::policy::{AttachPreference, Convention, EventForm, Hook, HookKey, Policy, Uprobe, UserAddress};

/// Where a uprobe attaches; `None` when the report says why it cannot.
pub(super) fn place(
    policy: &Policy,
    hook: &Hook,
    uprobe: &Uprobe,
    facts: Facts<'_>,
    report: &mut Report,
) -> Option<Placed> {
    let file = match facts.binaries.get(&uprobe.path) {
        Ok(file) => file,
        Err(error) => {
            report.push(Diagnostic::error(Code::BadFile, uprobe.path_span, error));
            return None;
        }
    };
    let offset = offset(hook, uprobe, file, report)?;
    let place = UserPlace {
        file: file.id,
        path: file.path.clone(),
        offset,
        reference_counter: uprobe.reference_counter,
    };
    placed(policy, hook, place, facts, report)
}

/// A hook at a place in a file, which it shares with all hooks at the place.
pub(super) fn placed(
    policy: &Policy,
    hook: &Hook,
    place: UserPlace,
    facts: Facts<'_>,
    report: &mut Report,
) -> Option<Placed> {
    let links = match policy.attach_user {
        AttachPreference::Planner => UserLinks::Planner,
        AttachPreference::Single => UserLinks::Single,
    };
    let function = format!("{:#x}:{}+{:#x}", place.file.device, place.file.inode, place.offset);
    let key = HookKey { function, convention: Convention::User };
    let point = attach::Hook::user(place, links, &mechanism::duties(hook));
    let attachments = mechanism::attachments(hook, &point, facts.kernel, report)?;
    Some(Placed { key, attachments, arguments: hook.arguments.clone() })
}

/// The offset in the file of what a policy names.
fn offset(hook: &Hook, uprobe: &Uprobe, file: &BinaryFile, report: &mut Report) -> Option<u64> {
    let span = hook.kind.span;
    let offset = match &uprobe.address {
        UserAddress::Offset(offset) => *offset,
        UserAddress::Symbol { .. } | UserAddress::Virtual(_) => {
            let message = format!("{} of {}: not supported yet by this version", uprobe.address, file.path);
            report.push(Diagnostic::error(Code::NotSupportedYet, span, message));
            return None;
        }
    };
    let end = u64::try_from(file.bytes.len()).unwrap_or(u64::MAX);
    if offset >= end {
        let message = format!("{} has {end} bytes, and no place at offset {offset:#x}", file.path);
        report.push(Diagnostic::error(Code::NoSuchFunction, span, message));
        return None;
    }
    Some(offset)
}

/// Which events the records become, and the name they show.
pub(super) fn form(uprobe: &Uprobe) -> (EventForm, String) {
    let (offset, symbol) = match &uprobe.address {
        UserAddress::Symbol { .. } => (0, uprobe.address.to_string()),
        UserAddress::Offset(offset) | UserAddress::Virtual(offset) => (*offset, String::new()),
    };
    let form = EventForm::Uprobe {
        path: uprobe.path.as_str().into(),
        offset,
        ref_ctr_offset: uprobe.reference_counter,
    };
    (form, symbol)
}
