//! Places in programs and libraries: from symbols and addresses to offsets in the file that was opened.

use bpf_probes::attach::{self, Duty, UserLinks, UserPlace};

use super::policy::{Facts, Placed};
use super::user_code::UserCode;
use super::{digest, mechanism, rewrite};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::files::{Binaries, BinaryFile};
use crate::policy::{
    Absence, Argument, AttachPreference, Convention, EventForm, Family, Hook, HookKey, Place, Policy, Role,
    Uprobe, UserAddress,
};

/// Where a uprobe attaches, and the hook as it is in that file; `None` when the report says why it cannot.
pub(super) fn place(
    policy: &Policy,
    hook: &Hook,
    uprobe: &Uprobe,
    facts: Facts<'_>,
    report: &mut Report,
) -> Option<(Hook, Placed)> {
    let file = match facts.binaries.get(&uprobe.path) {
        Ok(file) => file,
        Err(error) => {
            report.push(Diagnostic::error(Code::BadFile, uprobe.path_span, error));
            return None;
        }
    };
    if !digest::matches(&file.bytes, &uprobe.digests) {
        report.push(other_file(uprobe, file));
        return None;
    }
    let code = UserCode::of(file);
    let offset = offset(hook, uprobe, &code, report)?;
    if let Some(error) = hook.returned.as_ref().and_then(|_| no_return(hook, offset, &code)) {
        report.push(error);
        return None;
    }
    let hook = rewrite::fit(hook, offset, &code, report)?;
    let place = UserPlace {
        file: file.id,
        path: file.path.clone(),
        offset,
        reference_counter: uprobe.reference_counter,
    };
    let placed = placed(policy, &hook, place, facts, report)?;
    Some((hook, placed))
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
    let arguments = pointers(hook);
    let mut due = mechanism::duties(hook);
    due.extend((arguments != 0).then_some(Duty::ReadUserMemory));
    let point = attach::Hook::user(place, links, &due);
    let mut attachments = mechanism::attachments(hook, &point, facts.kernel, report)?;
    for attachment in &mut attachments {
        if let Role::FaultIn { arguments: bits } = &mut attachment.role {
            *bits = arguments;
        }
    }
    Some(Placed { key, attachments, arguments: hook.arguments.clone() })
}

/// The parameters of a hook that are addresses of what is read, as bits by index.
pub(super) fn pointers(hook: &Hook) -> u8 {
    let in_register = |argument: &&Argument| argument.place == Place::Parameter && is_pointer(argument);
    let pointers = hook.arguments.iter().filter(in_register);
    pointers.fold(0_u8, |bits, argument| bits | 1 << argument.index.value.min(7))
}

/// The file of a uprobe, if it could be read and is one that the policy means.
pub(super) fn file<'b>(uprobe: &Uprobe, binaries: &'b Binaries) -> Option<&'b BinaryFile> {
    binaries.get(&uprobe.path).ok().filter(|file| digest::matches(&file.bytes, &uprobe.digests))
}

/// Whether an argument is the address of what is read.
fn is_pointer(argument: &Argument) -> bool {
    use crate::policy::ArgumentType;
    if argument.resolve.is_some() {
        return true;
    }
    match argument.ty.value.family() {
        Family::String | Family::Object(_) => true,
        Family::Number(_) => matches!(argument.ty.value, ArgumentType::Capabilities(_)),
        Family::Path | Family::Nothing => false,
    }
}

/// Whether the policy goes on without the hook, because the file is none of those that it means.
pub(super) fn is_skipped(uprobe: &Uprobe, binaries: &Binaries) -> bool {
    let is_other = |file: &BinaryFile| !digest::matches(&file.bytes, &uprobe.digests);
    uprobe.mismatch == Absence::Warned && binaries.get(&uprobe.path).is_ok_and(is_other)
}

/// The file is none of those that the policy means.
pub(super) fn other_file(uprobe: &Uprobe, file: &BinaryFile) -> Diagnostic {
    let span = match (uprobe.digests.first(), uprobe.digests.last()) {
        (Some(first), Some(last)) => first.span.to(last.span),
        (None, _) | (_, None) => uprobe.path_span,
    };
    let message = format!("{} has none of these digests", file.path);
    let found = digest::described(&file.bytes, &uprobe.digests);
    Diagnostic::error(Code::BadFile, span, message).help(format!("it has {found}"))
}

/// The offset in the file of what a policy names.
fn offset(hook: &Hook, uprobe: &Uprobe, code: &UserCode<'_>, report: &mut Report) -> Option<u64> {
    match code.find(&uprobe.address) {
        Ok(offset) => Some(offset),
        Err(message) => {
            let message = format!("{}: {message}", code.file.path);
            report.push(Diagnostic::error(Code::NoSuchFunction, hook.kind.span, message));
            None
        }
    }
}

/// Why the return of a function cannot be seen, as far as the file tells. For the return the kernel changes what it takes for the return address on the
/// program's stack (`arch/x86/kernel/uprobes.c: arch_uretprobe_hijack_return_addr`), which breaks a program that has something else there.
fn no_return(hook: &Hook, offset: u64, code: &UserCode<'_>) -> Option<Diagnostic> {
    let error = |message: String| Diagnostic::error(Code::NoSuchFunction, hook.kind.span, message);
    if code.is_go() {
        let path = &code.file.path;
        let message = format!("{path} is a Go program: seeing a function of it return would break it");
        return Some(
            error(message)
                .help("Go moves its stacks and finds the kernel's return address there; leave `return` out"),
        );
    }
    let (name, message) = code.in_the_midst(offset)?;
    Some(error(message).help(format!("hook {name} itself, or leave `return` out")))
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
