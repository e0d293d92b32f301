//! Values that a hook read. A member of a oneof is written even when it has its default.

use super::credentials::{capabilities, credentials, namespace, user_namespace};
use super::object::Object;
use super::scalar;
use crate::event::{Argument, BpfMap, FileArgument, PerfEvent, Skb, Sock, Value};
use crate::name::bpf_cmd_name;

pub(super) fn argument(argument: &Argument, object: &mut Object<'_>) {
    // The label (field 18) is written last: order carries no meaning, and it keeps the match on values in one piece.
    if let Some(value) = &argument.value {
        write_value(value, object);
    }
    object.string("label", &argument.label);
}

fn write_value(value: &Value, object: &mut Object<'_>) {
    match value {
        Value::String(text) => object.string_always("string_arg", text),
        Value::Int(number) => scalar::signed(object.field("int_arg"), (*number).into()),
        Value::Skb(skb) => object.message("skb_arg", Some(&**skb), write_skb),
        Value::Size(number) => object.u64_always("size_arg", *number),
        Value::Bytes(bytes) => scalar::base64(object.field("bytes_arg"), bytes),
        Value::Path(path) => object.message("path_arg", Some(path), write_file),
        Value::File(file) => object.message("file_arg", Some(file), write_file),
        Value::TruncatedBytes(part) => object.message("truncated_bytes_arg", Some(part), |part, object| {
            object.bytes("bytes_arg", &part.bytes);
            object.u64("orig_size", part.original_size);
        }),
        Value::Sock(sock) => object.message("sock_arg", Some(&**sock), write_sock),
        Value::Cred(caps) => object.message("cred_arg", Some(caps), capabilities),
        Value::Long(number) => object.i64_always("long_arg", *number),
        Value::BpfAttr(attr) => {
            write_program(object, "bpf_attr_arg", &attr.prog_type, attr.insn_count, &attr.prog_name);
        }
        Value::PerfEvent(event) => object.message("perf_event_arg", Some(event), write_perf_event),
        Value::BpfMap(map) => object.message("bpf_map_arg", Some(map), write_bpf_map),
        Value::Uint(number) => scalar::unsigned(object.field("uint_arg"), (*number).into()),
        Value::UserNamespace(ns) => object.message("user_namespace_arg", Some(ns), |ns, object| {
            object.optional_i32("level", ns.level);
            object.optional_u32("owner", ns.owner);
            object.optional_u32("group", ns.group);
            object.message("ns", ns.ns, namespace);
        }),
        Value::Capability(capability) => {
            object.message("capability_arg", Some(capability), |capability, object| {
                object.optional_i32("value", capability.value);
                object.string("name", &capability.name);
            });
        }
        Value::Credentials(cred) => object.message("process_credentials_arg", Some(&**cred), credentials),
        Value::UserNs(ns) => object.message("user_ns_arg", Some(ns), user_namespace),
        Value::Module(module) => object.message("module_arg", Some(module), |module, object| {
            object.string("name", &module.name);
            object.optional_bool("signature_ok", module.signature_ok);
            object.strings("tainted", module.tainted.names());
        }),
        Value::KernelCap(text) => object.string_always("kernel_cap_t_arg", text),
        Value::CapInheritable(text) => object.string_always("cap_inheritable_arg", text),
        Value::CapPermitted(text) => object.string_always("cap_permitted_arg", text),
        Value::CapEffective(text) => object.string_always("cap_effective_arg", text),
        Value::LinuxBinprm(program) => {
            object.message("linux_binprm_arg", Some(program), |program, object| {
                object.string("path", &program.path);
                object.string("flags", &program.flags);
                object.string("permission", &program.permission);
            });
        }
        Value::NetDevice(name) => {
            object.message("net_dev_arg", Some(name), |name, object| object.string("name", name));
        }
        Value::BpfCmd(number) => match bpf_cmd_name(*number) {
            Some(name) => object.string_always("bpf_cmd_arg", name),
            None => scalar::signed(object.field("bpf_cmd_arg"), (*number).into()),
        },
        Value::SyscallId(syscall) => object.message("syscall_id", Some(syscall), |syscall, object| {
            object.u32("id", syscall.id);
            object.string("abi", &syscall.abi);
        }),
        Value::Sockaddr(address) => object.message("sockaddr_arg", Some(address), |address, object| {
            object.string("family", &address.family);
            object.string("addr", &address.addr);
            object.u32("port", address.port);
        }),
        Value::BpfProg(program) => {
            write_program(object, "bpf_prog_arg", &program.prog_type, program.insn_count, &program.prog_name);
        }
        Value::Error(message) => {
            object.message("error_arg", Some(message), |message, object| object.string("Message", message));
        }
        Value::SockaddrUn(address) => object.message("sockaddrun_arg", Some(address), |address, object| {
            object.string("family", &address.family);
            object.string("path", &address.path);
        }),
    }
}

fn write_file(file: &FileArgument, object: &mut Object<'_>) {
    object.string("mount", &file.mount);
    object.string("path", &file.path);
    object.string("flags", &file.flags);
    object.string("permission", &file.permission);
}

fn write_sock(sock: &Sock, object: &mut Object<'_>) {
    object.string("family", &sock.family);
    object.string("type", &sock.kind);
    object.string("protocol", &sock.protocol);
    object.u32("mark", sock.mark);
    object.u32("priority", sock.priority);
    object.string("saddr", &sock.saddr);
    object.string("daddr", &sock.daddr);
    object.u32("sport", sock.sport);
    object.u32("dport", sock.dport);
    object.u64("cookie", sock.cookie);
    object.string("state", &sock.state);
}

fn write_skb(skb: &Skb, object: &mut Object<'_>) {
    object.u32("hash", skb.hash);
    object.u32("len", skb.len);
    object.u32("priority", skb.priority);
    object.u32("mark", skb.mark);
    object.string("saddr", &skb.saddr);
    object.string("daddr", &skb.daddr);
    object.u32("sport", skb.sport);
    object.u32("dport", skb.dport);
    object.u32("proto", skb.proto);
    object.u32("sec_path_len", skb.sec_path_len);
    object.u32("sec_path_olen", skb.sec_path_olen);
    object.string("protocol", &skb.protocol);
    object.string("family", &skb.family);
}

fn write_program(object: &mut Object<'_>, field: &str, prog_type: &str, insn_count: u32, name: &str) {
    object.message(field, Some(()), |(), object| {
        object.string("ProgType", prog_type);
        object.u32("InsnCnt", insn_count);
        object.string("ProgName", name);
    });
}

fn write_perf_event(event: &PerfEvent, object: &mut Object<'_>) {
    object.string("KprobeFunc", &event.kprobe_func);
    object.string("Type", &event.kind);
    object.u64("Config", event.config);
    object.u64("ProbeOffset", event.probe_offset);
}

fn write_bpf_map(map: &BpfMap, object: &mut Object<'_>) {
    object.string("MapType", &map.map_type);
    object.u32("KeySize", map.key_size);
    object.u32("ValueSize", map.value_size);
    object.u32("MaxEntries", map.max_entries);
    object.string("MapName", &map.map_name);
}
