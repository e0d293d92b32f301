//! Objects of the kernel, and numbers that have names.

use std::borrow::Cow;

use api::event::{self, BpfAttr, BpfMap, BpfProg, Capability, KernelModule, Namespace, PerfEvent, Value};
use api::name::{
    CapabilitySet, TaintedBits, bpf_map_type_name, bpf_program_type_name, capability_name,
    perf_event_type_name,
};
use bpf_probes::abi::{CredentialsValue, ModuleValue, UserNamespaceValue, signature};
use tracing_policy::ir::{CapabilitySetKind, ObjectKind, ValueKind};

use super::{credentials, network};
use crate::pipeline::decode::RawObject;
use crate::pipeline::spare::Spare;

/// A capability by its number; without a name where it has none.
pub(super) fn capability(number: i32) -> Capability {
    let name = u32::try_from(number).ok().and_then(capability_name).unwrap_or_default();
    Capability { value: Some(number), name: Cow::Borrowed(name) }
}

/// A set of capabilities as 16 hexadecimal digits.
pub(super) fn capabilities(kind: CapabilitySetKind, bits: u64, spare: &mut Spare) -> Value {
    let digits = spare.display(format_args!("{bits:016x}"));
    match kind {
        CapabilitySetKind::Any => Value::KernelCap(digits),
        CapabilitySetKind::Inheritable => Value::CapInheritable(digits),
        CapabilitySetKind::Permitted => Value::CapPermitted(digits),
        CapabilitySetKind::Effective => Value::CapEffective(digits),
    }
}

/// The argument that an object becomes.
pub(super) fn object(raw: RawObject<'_>, kind: ValueKind, spare: &mut Spare) -> Value {
    match raw {
        RawObject::Credentials(value) => Value::Credentials(Box::new(credentials_of(value))),
        RawObject::UserNamespace(value) => Value::UserNs(user_namespace(value)),
        RawObject::Program(value) => {
            let prog_type = named(bpf_program_type_name(value.kind), value.kind);
            let (insn_count, prog_name) = (value.instructions, until_nul(&value.name, spare));
            if kind == ValueKind::Object(ObjectKind::BpfAttr) {
                Value::BpfAttr(BpfAttr { prog_type, insn_count, prog_name })
            } else {
                Value::BpfProg(BpfProg { prog_type, insn_count, prog_name })
            }
        }
        RawObject::Map(value) => Value::BpfMap(BpfMap {
            map_type: named(bpf_map_type_name(value.kind), value.kind),
            key_size: value.key_size,
            value_size: value.value_size,
            max_entries: value.max_entries,
            map_name: until_nul(&value.name, spare),
        }),
        RawObject::PerfEvent(value) => Value::PerfEvent(PerfEvent {
            kprobe_func: until_nul(&value.function, spare),
            kind: named(perf_event_type_name(value.kind), value.kind),
            config: value.config,
            probe_offset: value.probe_offset,
        }),
        RawObject::Module(value) => Value::Module(module(value, spare)),
        RawObject::Socket(value) => network::socket(value, spare),
        RawObject::Packet(value) => network::packet(value, spare),
        RawObject::Address(value) => network::address(&value.endpoints, spare),
    }
}

fn credentials_of(value: &CredentialsValue) -> event::Credentials {
    let all = &value.credentials;
    let (level, uid, gid, inum) = (all.user_ns_level, all.user_ns_uid, all.user_ns_gid, value.user_ns);
    event::Credentials {
        caps: Some(event::Capabilities {
            permitted: CapabilitySet::from_bits(all.permitted),
            effective: CapabilitySet::from_bits(all.effective),
            inheritable: CapabilitySet::from_bits(all.inheritable),
        }),
        user_ns: Some(user_namespace(&UserNamespaceValue { level, uid, gid, inum })),
        ..credentials(all)
    }
}

fn user_namespace(value: &UserNamespaceValue) -> event::UserNamespace {
    event::UserNamespace {
        level: i32::try_from(value.level).ok(),
        uid: Some(value.uid),
        gid: Some(value.gid),
        ns: Some(Namespace { inum: value.inum, is_host: value.level == 0 }),
    }
}

fn module(value: &ModuleValue, spare: &mut Spare) -> KernelModule {
    KernelModule {
        name: until_nul(&value.name, spare),
        signature_ok: match value.signature {
            signature::GOOD => Some(true),
            signature::BAD => Some(false),
            _ => None,
        },
        tainted: TaintedBits::from_bits(u32::try_from(value.taints & u64::from(u32::MAX)).unwrap_or(0)),
    }
}

/// The name, or the number where there is none.
fn named(name: Option<&'static str>, number: u32) -> Cow<'static, str> {
    name.map_or_else(|| Cow::Owned(number.to_string()), Cow::Borrowed)
}

fn until_nul(bytes: &[u8], spare: &mut Spare) -> String {
    spare.text(bytes.split(|&byte| byte == 0).next().unwrap_or_default())
}

#[cfg(test)]
#[expect(clippy::panic, reason = "tests")]
mod tests {
    use api::event::Value;
    use bpf_probes::abi::{
        Credentials, CredentialsValue, MapValue, ModuleValue, PerfEventValue, ProgramValue,
        UserNamespaceValue, signature,
    };
    use tracing_policy::ir::{CapabilitySetKind, ObjectKind, ValueKind};

    use super::{Spare, capabilities, capability, object};
    use crate::pipeline::decode::RawObject;

    fn name<const N: usize>(text: &str) -> [u8; N] {
        let mut name = [0; N];
        name[..text.len()].copy_from_slice(text.as_bytes());
        name
    }

    fn value_of(raw: RawObject<'_>, kind: ValueKind) -> Value {
        object(raw, kind, &mut Spare::default())
    }

    fn json(value: Value) -> String {
        let event = api::event::Argument::from(value);
        format!("{:?}", event.value)
    }

    // proves: ARG-11 (capability, sets)
    #[test]
    fn a_capability_has_its_name_and_a_set_its_digits() {
        let admin = capability(21);
        assert_eq!((admin.value, &*admin.name), (Some(21), "CAP_SYS_ADMIN"));
        assert_eq!(&*capability(-1).name, "");
        let set = capabilities(CapabilitySetKind::Effective, 0x1ff_ffff_ffff, &mut Spare::default());
        assert_eq!(set, Value::CapEffective("000001ffffffffff".into()));
        assert_eq!(
            capabilities(CapabilitySetKind::Any, 0, &mut Spare::default()),
            Value::KernelCap("0000000000000000".into())
        );
    }

    // proves: ARG-11 (cred), ARG-12, ENR-04 (user namespace), SEC-08 (credentials in a hook)
    #[test]
    fn credentials_carry_capabilities_and_their_user_namespace() {
        let credentials = Credentials {
            euid: 5,
            effective: 1 << 21,
            user_ns_level: 1,
            user_ns_uid: 7,
            ..Credentials::default()
        };
        let value = CredentialsValue { credentials, user_ns: 99, reserved: 0 };
        let kind = ValueKind::Object(ObjectKind::Credentials);
        let Value::Credentials(shown) = value_of(RawObject::Credentials(&value), kind) else {
            panic!("no credentials")
        };
        assert_eq!(shown.euid, Some(5));
        assert!(shown.caps.is_some_and(|caps| caps.effective.contains(21)));
        let ns = shown.user_ns.unwrap_or_default();
        assert_eq!(
            (ns.level, ns.uid, ns.ns.map(|ns| (ns.inum, ns.is_host))),
            (Some(1), Some(7), Some((99, false)))
        );
        let host = UserNamespaceValue { inum: 3, ..UserNamespaceValue::default() };
        let shown = value_of(RawObject::UserNamespace(&host), ValueKind::Object(ObjectKind::UserNamespace));
        assert!(json(shown).contains("is_host: true"));
    }

    // proves: ARG-13, ARG-14
    #[test]
    fn objects_have_the_names_of_their_types() {
        let program = ProgramValue { kind: 2, instructions: 9, name: name("p") };
        let attr = value_of(RawObject::Program(&program), ValueKind::Object(ObjectKind::BpfAttr));
        assert!(
            matches!(attr, Value::BpfAttr(attr) if attr.prog_type == "BPF_PROG_TYPE_KPROBE" && attr.insn_count == 9)
        );
        let unknown = ProgramValue { kind: 999, ..program };
        let shown = value_of(RawObject::Program(&unknown), ValueKind::Object(ObjectKind::BpfProg));
        assert!(
            matches!(shown, Value::BpfProg(shown) if shown.prog_type == "999" && &*shown.prog_name == "p")
        );
        let map = MapValue { kind: 1, key_size: 4, value_size: 8, max_entries: 16, name: name("m") };
        let shown = value_of(RawObject::Map(&map), ValueKind::Object(ObjectKind::BpfMap));
        assert!(
            matches!(shown, Value::BpfMap(map) if map.map_type == "BPF_MAP_TYPE_HASH" && &*map.map_name == "m")
        );
        let event = PerfEventValue { kind: 1, reserved: 0, config: 3, probe_offset: 4, function: name("f") };
        let shown = value_of(RawObject::PerfEvent(&event), ValueKind::Object(ObjectKind::PerfEvent));
        assert!(
            matches!(shown, Value::PerfEvent(event) if event.kind == "PERF_TYPE_SOFTWARE" && event.config == 3)
        );
        let module =
            ModuleValue { taints: 1 << 13, signature: signature::BAD, reserved: 0, name: name("dummy") };
        let shown = value_of(RawObject::Module(&module), ValueKind::Object(ObjectKind::Module));
        assert!(matches!(shown, Value::Module(module) if module.signature_ok == Some(false)
            && module.tainted.names().eq(["TAINT_UNSIGNED_MODULE"]) && &*module.name == "dummy"));
    }
}
