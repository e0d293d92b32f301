//! Static probes: from their names to all their places in the file that was opened, and to where each keeps its arguments.

use bpf_probes::attach::UserPlace;
use bpf_probes::kernel::{Answer, Feature};

use super::policy::{Facts, Placed};
use super::uprobe;
use crate::binary::{Binary, UsdtArgument, UsdtNote, UsdtSource};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::files::BinaryFile;
use crate::policy::{Action, Argument, ArgumentType, EventForm, Family, Hook, Place, Policy, SetValue, Usdt};
use crate::source::Spanned;

/// The hook at each place of the probe; `None` when the report says why one of them cannot be.
pub(super) fn places(
    policy: &Policy,
    hook: &Hook,
    usdt: &Usdt,
    facts: Facts<'_>,
    report: &mut Report,
) -> Option<Vec<(Hook, Placed)>> {
    let (file, notes) = match found(hook, usdt, facts) {
        Ok(found) => found,
        Err(error) => {
            report.push(*error);
            return None;
        }
    };
    if !can_write(hook, facts, report) {
        return None;
    }
    let mut places = Vec::with_capacity(notes.len());
    for note in notes {
        let hook = fit(hook, usdt, &note, report)?;
        let place = UserPlace {
            file: file.id,
            path: file.path.clone(),
            offset: note.offset.0,
            reference_counter: note.semaphore.map_or(0, |semaphore| semaphore.0),
        };
        let placed = uprobe::placed(policy, &hook, place, facts, report)?;
        places.push((hook, placed));
    }
    Some(places)
}

/// Whether the kernel lets programs write memory of user space, where the hook does.
fn can_write(hook: &Hook, facts: Facts<'_>, report: &mut Report) -> bool {
    let mut actions = hook.selectors.iter().flat_map(|selector| &selector.actions);
    let Some(set) = actions.find(|action| matches!(action.value, Action::Set(_))) else { return true };
    match facts.kernel.answer(Feature::ProbeWriteUser) {
        Answer::Yes | Answer::Unknown { .. } => true,
        Answer::No { .. } | Answer::Refused { .. } => {
            let release = facts.kernel.release();
            let message =
                format!("kernel {release} lets no program write memory of user space, so Set cannot work");
            let error = Diagnostic::error(Code::NotOnThisKernel, set.span, message);
            report.push(error.help("a kernel under lockdown (integrity or confidentiality) refuses it"));
            false
        }
    }
}

/// The file and the notes of the probe in it.
fn found<'f>(
    hook: &Hook,
    usdt: &Usdt,
    facts: Facts<'f>,
) -> Result<(&'f BinaryFile, Vec<UsdtNote>), Box<Diagnostic>> {
    let bad_file = |error: String| Box::new(Diagnostic::error(Code::BadFile, usdt.path_span, error));
    let file = facts.binaries.get(&usdt.path).map_err(|error| bad_file(error.to_owned()))?;
    let binary = Binary::parse(&file.bytes).map_err(|error| bad_file(format!("{}: {error}", file.path)))?;
    let notes = binary.usdt(&usdt.provider, &usdt.name).map_err(|error| {
        let message = format!("{}: {error}", file.path);
        Box::new(Diagnostic::error(Code::NoSuchFunction, hook.kind.span, message))
    })?;
    Ok((file, notes))
}

/// The hook with its arguments where one note says that they are.
fn fit(written_hook: &Hook, usdt: &Usdt, note: &UsdtNote, report: &mut Report) -> Option<Hook> {
    let mut hook = written_hook.clone();
    let mut fits = true;
    for argument in &mut hook.arguments {
        match operand(argument, usdt, note) {
            Ok(operand) => argument.place = Place::Operand(operand),
            Err(error) => {
                report.push(*error);
                fits = false;
            }
        }
    }
    for action in hook.selectors.iter_mut().flat_map(|selector| &mut selector.actions) {
        if let Action::Set(set) = action.value {
            match written(set, action, written_hook, (usdt, note)) {
                Ok(source) => action.value = Action::Set(SetValue { operand: Some(source), ..set }),
                Err(error) => {
                    report.push(*error);
                    fits = false;
                }
            }
        }
    }
    fits.then_some(hook)
}

/// Where an argument of the policy is.
fn operand(argument: &Argument, usdt: &Usdt, note: &UsdtNote) -> Result<UsdtArgument, Box<Diagnostic>> {
    let index = argument.index.value;
    let Some(found) = note.arguments.get(usize::from(index)) else {
        let message = format!("index {index} is out of range: {}", counted(usdt, note));
        return Err(Box::new(Diagnostic::error(Code::BeyondPrototype, argument.index.span, message)));
    };
    let mismatch = |message| Box::new(Diagnostic::error(Code::PrototypeMismatch, argument.ty.span, message));
    let operand =
        *found.as_ref().map_err(|error| mismatch(format!("argument {index} of {usdt}: {error}")))?;
    let ty = argument.ty.value;
    let is_address = argument.resolve.is_some()
        || matches!(ty, ArgumentType::Capabilities(_))
        || matches!(ty.family(), Family::String | Family::Object(_));
    if is_address && operand.size != 8 {
        let message = format!(
            "argument {index} of {usdt} has {} bytes: too few for an address of memory",
            operand.size
        );
        return Err(mismatch(message));
    }
    Ok(operand)
}

/// Where the argument is that an action writes.
fn written(
    set: SetValue,
    action: &Spanned<Action>,
    hook: &Hook,
    (usdt, note): (&Usdt, &UsdtNote),
) -> Result<UsdtSource, Box<Diagnostic>> {
    let error = |code, message| Box::new(Diagnostic::error(code, action.span, message));
    let Some(argument) = hook.arguments.get(usize::from(set.position)) else {
        let message = format!(
            "argIndex {} is out of range: `args` of this probe has {} entries",
            set.position,
            hook.arguments.len()
        );
        return Err(error(Code::ArgumentIndex, message));
    };
    let index = argument.index.value;
    match note.arguments.get(usize::from(index)) {
        Some(Ok(UsdtArgument { size: 4, source: source @ UsdtSource::Memory { .. }, .. })) => Ok(*source),
        Some(Ok(UsdtArgument { size, source: UsdtSource::Memory { .. }, .. })) => {
            let message = format!("argument {index} of {usdt} has {size} bytes; Set writes those of 4");
            Err(error(Code::PrototypeMismatch, message))
        }
        Some(Ok(UsdtArgument { source: UsdtSource::Constant(_) | UsdtSource::Register { .. }, .. })) => {
            let message = format!("argument {index} of {usdt} is not in memory, so it cannot be set");
            Err(error(Code::PrototypeMismatch, message))
        }
        Some(Err(reason)) => {
            Err(error(Code::PrototypeMismatch, format!("argument {index} of {usdt}: {reason}")))
        }
        None => {
            let message = format!("index {index} is out of range: {}", counted(usdt, note));
            Err(error(Code::BeyondPrototype, message))
        }
    }
}

fn counted(usdt: &Usdt, note: &UsdtNote) -> String {
    match note.arguments.len() {
        0 => format!("{usdt} has no arguments"),
        1 => format!("{usdt} has one argument"),
        count => format!("{usdt} has {count} arguments"),
    }
}

/// Which events the records become, and the name they show.
pub(super) fn form(usdt: &Usdt) -> (EventForm, String) {
    let form = EventForm::Usdt { path: usdt.path.as_str().into(), provider: usdt.provider.as_str().into() };
    (form, usdt.name.clone())
}
