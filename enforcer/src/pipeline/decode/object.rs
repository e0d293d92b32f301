//! Values that are structures.

use bpf_probes::abi::{
    AddressValue, CredentialsValue, MapValue, ModuleValue, PacketValue, PerfEventValue, ProgramValue,
    SocketValue, UserNamespaceValue,
};
use tracing_policy::ir::{NetworkType, ObjectKind};
use zerocopy::FromBytes;

/// Fields of an object of the kernel.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum RawObject<'ring> {
    /// `struct cred`
    Credentials(&'ring CredentialsValue),
    /// `struct user_namespace`
    UserNamespace(&'ring UserNamespaceValue),
    /// `struct bpf_prog` or `union bpf_attr`
    Program(&'ring ProgramValue),
    /// `struct bpf_map`
    Map(&'ring MapValue),
    /// `struct perf_event`
    PerfEvent(&'ring PerfEventValue),
    /// `struct module` or `struct load_info`
    Module(&'ring ModuleValue),
    /// `struct sock` or `struct socket`
    Socket(&'ring SocketValue),
    /// `struct sk_buff`
    Packet(&'ring PacketValue),
    /// `struct sockaddr` of the internet families; its other end is zero
    Address(&'ring AddressValue),
}

/// The structure in `bytes`, which must be as many as it has.
pub(super) fn object(kind: ObjectKind, bytes: &[u8]) -> Option<RawObject<'_>> {
    Some(match kind {
        ObjectKind::Credentials => RawObject::Credentials(CredentialsValue::ref_from_bytes(bytes).ok()?),
        ObjectKind::UserNamespace => {
            RawObject::UserNamespace(UserNamespaceValue::ref_from_bytes(bytes).ok()?)
        }
        ObjectKind::BpfAttr | ObjectKind::BpfProg => {
            RawObject::Program(ProgramValue::ref_from_bytes(bytes).ok()?)
        }
        ObjectKind::BpfMap => RawObject::Map(MapValue::ref_from_bytes(bytes).ok()?),
        ObjectKind::PerfEvent => RawObject::PerfEvent(PerfEventValue::ref_from_bytes(bytes).ok()?),
        ObjectKind::Module | ObjectKind::LoadInfo => {
            RawObject::Module(ModuleValue::ref_from_bytes(bytes).ok()?)
        }
        ObjectKind::Network(NetworkType::Sock | NetworkType::Socket) => {
            RawObject::Socket(SocketValue::ref_from_bytes(bytes).ok()?)
        }
        ObjectKind::Network(NetworkType::Skb) => RawObject::Packet(PacketValue::ref_from_bytes(bytes).ok()?),
        ObjectKind::Network(NetworkType::Sockaddr) => {
            RawObject::Address(AddressValue::ref_from_bytes(bytes).ok()?)
        }
    })
}
