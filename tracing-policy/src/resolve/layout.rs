//! What the records of a hook say.

use crate::policy::{
    Annotation, Argument, ArgumentType, HookKey, Kprobe, NetworkType, Policy, RecordLayout, Signedness,
    ValueKind, ValueLayout, Width,
};

/// The layout of a hook's records.
pub(super) fn layout(policy: &Policy, kprobe: &Kprobe, key: &HookKey) -> RecordLayout {
    RecordLayout {
        policy_name: policy.name.value.as_str().to_owned(),
        function_name: key.function.clone(),
        message: kprobe.message.as_ref().map(Annotation::escaped),
        tags: kprobe.tags.iter().map(Annotation::escaped).collect(),
        values: kprobe.arguments.iter().map(value).collect(),
    }
}

fn value(argument: &Argument) -> ValueLayout {
    let kind = match argument.ty.value {
        ArgumentType::String => ValueKind::String,
        ArgumentType::File => ValueKind::File,
        ArgumentType::Path => ValueKind::Path,
        ArgumentType::Network(NetworkType::Sock | NetworkType::Socket) => ValueKind::Sock,
        ArgumentType::Network(NetworkType::Skb) => ValueKind::Skb,
        ArgumentType::Network(NetworkType::Sockaddr) => ValueKind::Sockaddr,
        ArgumentType::SockaddrUn => ValueKind::SockaddrUn,
        ArgumentType::Integer(ty) => match (ty.width, ty.signedness) {
            (Width::W64, Signedness::Signed) => ValueKind::Int64,
            (Width::W64, Signedness::Unsigned) => ValueKind::Uint64,
            (_, Signedness::Signed) => ValueKind::Int32,
            (_, Signedness::Unsigned) => ValueKind::Uint32,
        },
    };
    ValueLayout { kind, label: argument.label.as_ref().map(|label| label.value.clone()) }
}
