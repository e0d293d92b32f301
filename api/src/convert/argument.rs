//! Values that a hook read.

use super::object::{
    address_from_wire, address_to_wire, attr_from_wire, attr_to_wire, capability_from_wire,
    capability_to_wire, cred_from_wire, cred_to_wire, file_from_wire, file_to_wire, map_from_wire,
    map_to_wire, module_from_wire, module_to_wire, old_user_namespace_from_wire, old_user_namespace_to_wire,
    part_from_wire, part_to_wire, path_from_wire, path_to_wire, perf_event_from_wire, perf_event_to_wire,
    program_from_wire, program_to_wire, skb_from_wire, skb_to_wire, sock_from_wire, sock_to_wire,
    to_run_from_wire, to_run_to_wire, unix_address_from_wire, unix_address_to_wire,
};
use super::process::{
    credentials_from_wire, credentials_to_wire, user_namespace_from_wire, user_namespace_to_wire,
};
use crate::event::{Argument, SyscallId, Value};
use crate::wire;
use crate::wire::kprobe_argument::Arg;

pub(super) fn argument_to_wire(argument: &Argument) -> wire::KprobeArgument {
    wire::KprobeArgument {
        arg: argument.value.as_ref().map(value_to_wire),
        label: argument.label.to_string(),
    }
}

pub(super) fn argument_from_wire(argument: wire::KprobeArgument) -> Argument {
    Argument { value: argument.arg.map(value_from_wire), label: argument.label.into() }
}

#[expect(deprecated, reason = "user_namespace_arg is still sent for policies that use the old type")]
fn value_to_wire(value: &Value) -> Arg {
    match value {
        Value::String(text) => Arg::StringArg(text.clone()),
        Value::Int(number) => Arg::IntArg(*number),
        Value::Skb(skb) => Arg::SkbArg(skb_to_wire(skb)),
        Value::Size(number) => Arg::SizeArg(*number),
        Value::Bytes(bytes) => Arg::BytesArg(bytes.clone()),
        Value::Path(path) => Arg::PathArg(path_to_wire(path)),
        Value::File(file) => Arg::FileArg(file_to_wire(file)),
        Value::TruncatedBytes(part) => Arg::TruncatedBytesArg(part_to_wire(part)),
        Value::Sock(sock) => Arg::SockArg(sock_to_wire(sock)),
        Value::Cred(caps) => Arg::CredArg(cred_to_wire(*caps)),
        Value::Long(number) => Arg::LongArg(*number),
        Value::BpfAttr(attr) => Arg::BpfAttrArg(attr_to_wire(attr)),
        Value::PerfEvent(event) => Arg::PerfEventArg(perf_event_to_wire(event)),
        Value::BpfMap(map) => Arg::BpfMapArg(map_to_wire(map)),
        Value::Uint(number) => Arg::UintArg(*number),
        Value::UserNamespace(ns) => Arg::UserNamespaceArg(old_user_namespace_to_wire(ns)),
        Value::Capability(capability) => Arg::CapabilityArg(capability_to_wire(capability)),
        Value::Credentials(credentials) => Arg::ProcessCredentialsArg(credentials_to_wire(credentials)),
        Value::UserNs(ns) => Arg::UserNsArg(user_namespace_to_wire(ns)),
        Value::Module(module) => Arg::ModuleArg(module_to_wire(module)),
        Value::KernelCap(text) => Arg::KernelCapTArg(text.clone()),
        Value::CapInheritable(text) => Arg::CapInheritableArg(text.clone()),
        Value::CapPermitted(text) => Arg::CapPermittedArg(text.clone()),
        Value::CapEffective(text) => Arg::CapEffectiveArg(text.clone()),
        Value::LinuxBinprm(program) => Arg::LinuxBinprmArg(to_run_to_wire(program)),
        Value::NetDevice(name) => Arg::NetDevArg(wire::KprobeNetDev { name: name.clone() }),
        Value::BpfCmd(number) => Arg::BpfCmdArg(*number),
        Value::SyscallId(id) => Arg::SyscallId(wire::SyscallId { id: id.id, abi: id.abi.to_string() }),
        Value::Sockaddr(address) => Arg::SockaddrArg(address_to_wire(address)),
        Value::BpfProg(program) => Arg::BpfProgArg(program_to_wire(program)),
        Value::Error(message) => Arg::ErrorArg(wire::KprobeError { message: message.clone() }),
        Value::SockaddrUn(address) => Arg::SockaddrunArg(unix_address_to_wire(address)),
    }
}

#[expect(deprecated, reason = "user_namespace_arg is still sent for policies that use the old type")]
fn value_from_wire(value: Arg) -> Value {
    match value {
        Arg::StringArg(text) => Value::String(text),
        Arg::IntArg(number) => Value::Int(number),
        Arg::SkbArg(skb) => Value::Skb(Box::new(skb_from_wire(skb))),
        Arg::SizeArg(number) => Value::Size(number),
        Arg::BytesArg(bytes) => Value::Bytes(bytes),
        Arg::PathArg(path) => Value::Path(path_from_wire(path)),
        Arg::FileArg(file) => Value::File(file_from_wire(file)),
        Arg::TruncatedBytesArg(part) => Value::TruncatedBytes(part_from_wire(part)),
        Arg::SockArg(sock) => Value::Sock(Box::new(sock_from_wire(sock))),
        Arg::CredArg(cred) => Value::Cred(cred_from_wire(cred)),
        Arg::LongArg(number) => Value::Long(number),
        Arg::BpfAttrArg(attr) => Value::BpfAttr(attr_from_wire(attr)),
        Arg::PerfEventArg(event) => Value::PerfEvent(perf_event_from_wire(event)),
        Arg::BpfMapArg(map) => Value::BpfMap(map_from_wire(map)),
        Arg::UintArg(number) => Value::Uint(number),
        Arg::UserNamespaceArg(ns) => Value::UserNamespace(old_user_namespace_from_wire(ns)),
        Arg::CapabilityArg(capability) => Value::Capability(capability_from_wire(capability)),
        Arg::ProcessCredentialsArg(credentials) => {
            Value::Credentials(Box::new(credentials_from_wire(&credentials)))
        }
        Arg::UserNsArg(ns) => Value::UserNs(user_namespace_from_wire(&ns)),
        Arg::ModuleArg(module) => Value::Module(module_from_wire(module)),
        Arg::KernelCapTArg(text) => Value::KernelCap(text),
        Arg::CapInheritableArg(text) => Value::CapInheritable(text),
        Arg::CapPermittedArg(text) => Value::CapPermitted(text),
        Arg::CapEffectiveArg(text) => Value::CapEffective(text),
        Arg::LinuxBinprmArg(program) => Value::LinuxBinprm(to_run_from_wire(program)),
        Arg::NetDevArg(device) => Value::NetDevice(device.name),
        Arg::BpfCmdArg(number) => Value::BpfCmd(number),
        Arg::SyscallId(id) => Value::SyscallId(SyscallId { id: id.id, abi: id.abi.into() }),
        Arg::SockaddrArg(address) => Value::Sockaddr(address_from_wire(address)),
        Arg::BpfProgArg(program) => Value::BpfProg(program_from_wire(program)),
        Arg::ErrorArg(error) => Value::Error(error.message),
        Arg::SockaddrunArg(address) => Value::SockaddrUn(unix_address_from_wire(address)),
    }
}
