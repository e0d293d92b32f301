//! Kernel objects among the arguments, one pair of functions a message.

use super::process::{
    bits_from_wire, bits_to_wire, capabilities_from_wire, capabilities_to_wire, namespace_from_wire,
    namespace_to_wire,
};
use crate::event::{
    BpfAttr, BpfMap, BpfProg, Capabilities, Capability, FileArgument, KernelModule, LinuxBinprm, PerfEvent,
    Skb, Sock, Sockaddr, SockaddrUn, TruncatedBytes, UserNamespaceArgument,
};
use crate::name::TaintedBits;
use crate::wire;

pub(super) fn cred_to_wire(caps: Capabilities) -> wire::KprobeCred {
    let wire::Capabilities { permitted, effective, inheritable } = capabilities_to_wire(caps);
    wire::KprobeCred { permitted, effective, inheritable }
}

pub(super) fn cred_from_wire(cred: wire::KprobeCred) -> Capabilities {
    let wire::KprobeCred { permitted, effective, inheritable } = cred;
    capabilities_from_wire(&wire::Capabilities { permitted, effective, inheritable })
}

pub(super) fn part_to_wire(part: &TruncatedBytes) -> wire::KprobeTruncatedBytes {
    wire::KprobeTruncatedBytes { bytes_arg: part.bytes.clone(), orig_size: part.original_size }
}

pub(super) fn part_from_wire(part: wire::KprobeTruncatedBytes) -> TruncatedBytes {
    TruncatedBytes { bytes: part.bytes_arg, original_size: part.orig_size }
}

pub(super) fn old_user_namespace_to_wire(ns: &UserNamespaceArgument) -> wire::KprobeUserNamespace {
    let &UserNamespaceArgument { level, owner, group, ns } = ns;
    wire::KprobeUserNamespace { level, owner, group, ns: ns.map(namespace_to_wire) }
}

pub(super) fn old_user_namespace_from_wire(ns: wire::KprobeUserNamespace) -> UserNamespaceArgument {
    let wire::KprobeUserNamespace { level, owner, group, ns } = ns;
    UserNamespaceArgument { level, owner, group, ns: ns.map(namespace_from_wire) }
}

pub(super) fn capability_to_wire(capability: &Capability) -> wire::KprobeCapability {
    wire::KprobeCapability { value: capability.value, name: capability.name.to_string() }
}

pub(super) fn capability_from_wire(capability: wire::KprobeCapability) -> Capability {
    Capability { value: capability.value, name: capability.name.into() }
}

pub(super) fn module_to_wire(module: &KernelModule) -> wire::KernelModule {
    wire::KernelModule {
        name: module.name.clone(),
        signature_ok: module.signature_ok,
        tainted: bits_to_wire(module.tainted.bits()),
    }
}

pub(super) fn module_from_wire(module: wire::KernelModule) -> KernelModule {
    KernelModule {
        name: module.name,
        signature_ok: module.signature_ok,
        tainted: TaintedBits::from_bits(bits_from_wire(&module.tainted)),
    }
}

pub(super) fn path_to_wire(path: &FileArgument) -> wire::KprobePath {
    wire::KprobePath {
        mount: path.mount.clone(),
        path: path.path.clone(),
        flags: path.flags.to_string(),
        permission: path.permission.to_string(),
    }
}

pub(super) fn path_from_wire(path: wire::KprobePath) -> FileArgument {
    FileArgument {
        mount: path.mount,
        path: path.path,
        flags: path.flags.into(),
        permission: path.permission.into(),
    }
}

pub(super) fn file_to_wire(file: &FileArgument) -> wire::KprobeFile {
    wire::KprobeFile {
        mount: file.mount.clone(),
        path: file.path.clone(),
        flags: file.flags.to_string(),
        permission: file.permission.to_string(),
    }
}

pub(super) fn file_from_wire(file: wire::KprobeFile) -> FileArgument {
    FileArgument {
        mount: file.mount,
        path: file.path,
        flags: file.flags.into(),
        permission: file.permission.into(),
    }
}

pub(super) fn to_run_to_wire(program: &LinuxBinprm) -> wire::KprobeLinuxBinprm {
    wire::KprobeLinuxBinprm {
        path: program.path.clone(),
        flags: program.flags.to_string(),
        permission: program.permission.to_string(),
    }
}

pub(super) fn to_run_from_wire(program: wire::KprobeLinuxBinprm) -> LinuxBinprm {
    LinuxBinprm { path: program.path, flags: program.flags.into(), permission: program.permission.into() }
}

pub(super) fn sock_to_wire(sock: &Sock) -> wire::KprobeSock {
    wire::KprobeSock {
        family: sock.family.to_string(),
        r#type: sock.kind.to_string(),
        protocol: sock.protocol.to_string(),
        mark: sock.mark,
        priority: sock.priority,
        saddr: sock.saddr.clone(),
        daddr: sock.daddr.clone(),
        sport: sock.sport,
        dport: sock.dport,
        cookie: sock.cookie,
        state: sock.state.to_string(),
    }
}

pub(super) fn sock_from_wire(sock: wire::KprobeSock) -> Sock {
    Sock {
        family: sock.family.into(),
        kind: sock.r#type.into(),
        protocol: sock.protocol.into(),
        mark: sock.mark,
        priority: sock.priority,
        saddr: sock.saddr,
        daddr: sock.daddr,
        sport: sock.sport,
        dport: sock.dport,
        cookie: sock.cookie,
        state: sock.state.into(),
    }
}

pub(super) fn skb_to_wire(skb: &Skb) -> wire::KprobeSkb {
    wire::KprobeSkb {
        hash: skb.hash,
        len: skb.len,
        priority: skb.priority,
        mark: skb.mark,
        saddr: skb.saddr.clone(),
        daddr: skb.daddr.clone(),
        sport: skb.sport,
        dport: skb.dport,
        proto: skb.proto,
        sec_path_len: skb.sec_path_len,
        sec_path_olen: skb.sec_path_olen,
        protocol: skb.protocol.to_string(),
        family: skb.family.to_string(),
    }
}

pub(super) fn skb_from_wire(skb: wire::KprobeSkb) -> Skb {
    Skb {
        hash: skb.hash,
        len: skb.len,
        priority: skb.priority,
        mark: skb.mark,
        saddr: skb.saddr,
        daddr: skb.daddr,
        sport: skb.sport,
        dport: skb.dport,
        proto: skb.proto,
        sec_path_len: skb.sec_path_len,
        sec_path_olen: skb.sec_path_olen,
        protocol: skb.protocol.into(),
        family: skb.family.into(),
    }
}

pub(super) fn address_to_wire(address: &Sockaddr) -> wire::KprobeSockaddr {
    wire::KprobeSockaddr {
        family: address.family.to_string(),
        addr: address.addr.clone(),
        port: address.port,
    }
}

pub(super) fn address_from_wire(address: wire::KprobeSockaddr) -> Sockaddr {
    Sockaddr { family: address.family.into(), addr: address.addr, port: address.port }
}

pub(super) fn unix_address_to_wire(address: &SockaddrUn) -> wire::KprobeSockaddrUn {
    wire::KprobeSockaddrUn { family: address.family.to_string(), path: address.path.clone() }
}

pub(super) fn unix_address_from_wire(address: wire::KprobeSockaddrUn) -> SockaddrUn {
    SockaddrUn { family: address.family.into(), path: address.path }
}

pub(super) fn attr_to_wire(attr: &BpfAttr) -> wire::KprobeBpfAttr {
    wire::KprobeBpfAttr {
        prog_type: attr.prog_type.to_string(),
        insn_cnt: attr.insn_count,
        prog_name: attr.prog_name.clone(),
    }
}

pub(super) fn attr_from_wire(attr: wire::KprobeBpfAttr) -> BpfAttr {
    BpfAttr { prog_type: attr.prog_type.into(), insn_count: attr.insn_cnt, prog_name: attr.prog_name }
}

pub(super) fn program_to_wire(program: &BpfProg) -> wire::KprobeBpfProg {
    wire::KprobeBpfProg {
        prog_type: program.prog_type.to_string(),
        insn_cnt: program.insn_count,
        prog_name: program.prog_name.clone(),
    }
}

pub(super) fn program_from_wire(program: wire::KprobeBpfProg) -> BpfProg {
    BpfProg {
        prog_type: program.prog_type.into(),
        insn_count: program.insn_cnt,
        prog_name: program.prog_name,
    }
}

pub(super) fn perf_event_to_wire(event: &PerfEvent) -> wire::KprobePerfEvent {
    wire::KprobePerfEvent {
        kprobe_func: event.kprobe_func.clone(),
        r#type: event.kind.to_string(),
        config: event.config,
        probe_offset: event.probe_offset,
    }
}

pub(super) fn perf_event_from_wire(event: wire::KprobePerfEvent) -> PerfEvent {
    PerfEvent {
        kprobe_func: event.kprobe_func,
        kind: event.r#type.into(),
        config: event.config,
        probe_offset: event.probe_offset,
    }
}

pub(super) fn map_to_wire(map: &BpfMap) -> wire::KprobeBpfMap {
    wire::KprobeBpfMap {
        map_type: map.map_type.to_string(),
        key_size: map.key_size,
        value_size: map.value_size,
        max_entries: map.max_entries,
        map_name: map.map_name.clone(),
    }
}

pub(super) fn map_from_wire(map: wire::KprobeBpfMap) -> BpfMap {
    BpfMap {
        map_type: map.map_type.into(),
        key_size: map.key_size,
        value_size: map.value_size,
        max_entries: map.max_entries,
        map_name: map.map_name,
    }
}
