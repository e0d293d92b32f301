//! What the records of a hook say.

use crate::policy::{
    Annotation, Argument, ArgumentType, CopiedPlace, EventForm, Hook, HookKey, HookKind, Policy,
    RecordLayout, Signedness, ValueKind, ValueLayout, Width,
};

/// The layout of a hook's records.
pub(super) fn layout(policy: &Policy, hook: &Hook, key: &HookKey) -> RecordLayout {
    let (form, function_name) = match &hook.kind.value {
        HookKind::Kprobe(_) => (EventForm::Kprobe, key.function.clone()),
        HookKind::Loader => (EventForm::Loader, key.function.clone()),
        HookKind::Lsm(name) => (EventForm::Lsm, name.clone()),
        HookKind::Tracepoint(one) => {
            (EventForm::Tracepoint { subsystem: one.subsystem.as_str().into() }, one.event.clone())
        }
        HookKind::Uprobe(one) => super::uprobe::form(one),
        HookKind::Usdt(one) => super::usdt::form(one),
    };
    RecordLayout {
        policy_name: policy.name.value.as_str().to_owned(),
        form,
        function_name,
        message: hook.message.as_ref().map(Annotation::escaped),
        tags: hook.tags.iter().map(Annotation::escaped).collect(),
        data_values: at_entry(&hook.arguments).filter(|it| it.is_data).filter_map(value).count(),
        values: at_entry(&hook.arguments).filter_map(value).collect(),
        copied: copied(&hook.arguments),
        requests: hook.selectors.iter().map(|selector| selector.requests.clone()).collect(),
        return_requests: hook.selectors.iter().map(|selector| selector.return_requests.clone()).collect(),
        returned: hook.returned.as_ref().and_then(value),
    }
}

/// The arguments that are read at the entry.
fn at_entry(arguments: &[Argument]) -> impl Iterator<Item = &Argument> {
    arguments.iter().filter(|it| it.at_return.is_none())
}

/// The arguments that are read when the call returns, with their places among all of their section that are read.
fn copied(arguments: &[Argument]) -> Vec<(CopiedPlace, ValueLayout)> {
    let (mut args, mut data) = (0.., 0..);
    let shown = arguments.iter().filter_map(|argument| {
        let value = value(argument)?;
        let place = if argument.is_data {
            CopiedPlace::Data(data.next()?)
        } else {
            CopiedPlace::Argument(args.next()?)
        };
        Some((argument, (place, value)))
    });
    shown.filter(|(argument, _)| argument.at_return.is_some()).map(|(_, copied)| copied).collect()
}

fn value(argument: &Argument) -> Option<ValueLayout> {
    let kind = match argument.ty.value {
        ArgumentType::String | ArgumentType::Filename | ArgumentType::NetDevice => ValueKind::String,
        ArgumentType::CharBuf | ArgumentType::CharIovec | ArgumentType::IovIter => ValueKind::Bytes,
        ArgumentType::File | ArgumentType::Fd | ArgumentType::Kiocb => ValueKind::File,
        ArgumentType::Path | ArgumentType::Dentry => ValueKind::Path,
        ArgumentType::LinuxBinprm => ValueKind::LinuxBinprm,
        ArgumentType::Capability => ValueKind::Capability,
        ArgumentType::BpfCmd => ValueKind::BpfCmd,
        ArgumentType::Capabilities(kind) => ValueKind::Capabilities(kind),
        ArgumentType::Object(kind) => ValueKind::Object(kind),
        ArgumentType::Nop => return None,
        ArgumentType::Integer(_) if argument.is_syscall => ValueKind::Syscall,
        ArgumentType::SockaddrUn => ValueKind::SockaddrUn,
        ArgumentType::Integer(ty) => match (ty.width, ty.signedness) {
            (Width::W64, Signedness::Signed) => ValueKind::Int64,
            (Width::W64, Signedness::Unsigned) => ValueKind::Uint64,
            (_, Signedness::Signed) => ValueKind::Int32,
            (_, Signedness::Unsigned) => ValueKind::Uint32,
        },
    };
    Some(ValueLayout { kind, label: argument.label.as_ref().map(|label| label.value.clone()) })
}
