//! What the records of a hook say.

use crate::policy::{
    Annotation, Argument, ArgumentType, EventForm, Hook, HookKey, HookKind, Policy, RecordLayout, Signedness,
    ValueKind, ValueLayout, Width,
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
        data_values: hook.arguments.iter().filter(|it| it.is_data).filter_map(value).count(),
        values: hook.arguments.iter().filter(|it| it.at_return.is_none()).filter_map(value).collect(),
        copied: copied(&hook.arguments),
        requests: hook.selectors.iter().map(|selector| selector.requests.clone()).collect(),
        return_requests: hook.selectors.iter().map(|selector| selector.return_requests.clone()).collect(),
        returned: hook.returned.as_ref().and_then(value),
    }
}

/// The arguments that are read when the call returns, with their places among all that are read.
fn copied(arguments: &[Argument]) -> Vec<(usize, ValueLayout)> {
    let shown = arguments.iter().filter_map(|argument| Some((argument, value(argument)?)));
    let places = shown.enumerate().filter(|(_, (argument, _))| argument.at_return.is_some());
    places.map(|(place, (_, value))| (place, value)).collect()
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
