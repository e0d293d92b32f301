//! Objects of the kernel: some fields of each, put together as the type of `bpf_probes::abi` that belongs to it.

use std::mem::{offset_of, size_of};

use Register::{R0, R1, R2, R3, R4, R7, R8, R9};
use bpf_probes::abi::{
    CredentialsValue, MapValue, ModuleValue, PerfEventValue, ProgramValue, UserNamespaceValue, signature,
    value_flag,
};
use bpf_probes::builder::{BuildError, Function};
use bpf_probes::insn::{AluOp, Condition, Helper, Register, Size};
use bpf_probes::routine::read_credentials;

use super::memory::{address, load, store, store_imm};
use super::network::{at, probe};
use super::program::Emitter;
use super::state::ObjectState;
use crate::ir::ReadId;
use crate::policy::ObjectKind;

/// `EFAULT`
const EFAULT: u64 = 14;
/// Offset of `prog_name` in `union bpf_attr` (`include/uapi/linux/bpf.h`).
const ATTR_PROG_NAME: i32 = 48;
/// The first type of event that is no fixed one but a source that registered itself (`include/uapi/linux/perf_event.h: PERF_TYPE_MAX`).
const FIRST_DYNAMIC_EVENT: i32 = 6;

fn field(offset: usize) -> i16 {
    i16::try_from(offset).expect("values are small")
}

/// Bytes of what is read of an object.
pub(super) fn size(kind: ObjectKind) -> u32 {
    at(match kind {
        ObjectKind::Credentials => size_of::<CredentialsValue>(),
        ObjectKind::UserNamespace => size_of::<UserNamespaceValue>(),
        ObjectKind::BpfAttr | ObjectKind::BpfProg => size_of::<ProgramValue>(),
        ObjectKind::BpfMap => size_of::<MapValue>(),
        ObjectKind::PerfEvent => size_of::<PerfEventValue>(),
        ObjectKind::Module | ObjectKind::LoadInfo => size_of::<ModuleValue>(),
        ObjectKind::Network(ty) => super::network::value_bytes(ty),
    })
}

impl Emitter<'_> {
    /// Reads an object into its place.
    pub(super) fn read_object(
        &self,
        f: &mut Function<'_>,
        id: ReadId,
        object: ObjectState,
    ) -> Result<(), BuildError> {
        let (error, out) = (f.label(), f.label());
        f.comment("the object");
        for word in (0..object.size).step_by(8) {
            store_imm(f, Size::Double, object.value + word, 0)?;
        }
        store_imm(f, Size::Double, object.header, object.size.cast_signed())?;
        load(f, Size::Double, R7, self.state().reads[id.index()].raw)?;
        match object.kind {
            ObjectKind::Network(ty) => self.read_network(f, ty, object, error)?,
            ObjectKind::BpfAttr => {
                address(f, R9, object.value);
                self.read_attr(f, error);
            }
            kind @ (ObjectKind::Credentials
            | ObjectKind::UserNamespace
            | ObjectKind::BpfProg
            | ObjectKind::BpfMap
            | ObjectKind::PerfEvent
            | ObjectKind::Module
            | ObjectKind::LoadInfo) => {
                // what begins where nothing can be read is no object
                f.scope(|f| {
                    let first = f.slot(8)?;
                    probe(f, Helper::ProbeReadKernel, first, 8, error);
                    Ok(())
                })?;
                address(f, R9, object.value);
                read_fields(f, kind)?;
            }
        }
        f.jump(out);
        f.bind(error);
        f.constant(R1, EFAULT << 48 | u64::from(value_flag::ERROR) << 32);
        store(f, Size::Double, object.header, R1)?;
        f.bind(out);
        Ok(())
    }

    /// `union bpf_attr` of a program load, whose layout never changes: two numbers at its start, and the name.
    fn read_attr(&self, f: &mut Function<'_>, error: bpf_probes::asm::Label) {
        let read = self.memory_read();
        f.copy(R1, R9);
        f.constant(R2, 8);
        f.copy(R3, R7);
        f.call(read);
        f.jump_if(Condition::SLt, R0, 0, error);
        f.copy(R1, R9);
        f.alu(AluOp::Add, R1, i32::from(field(offset_of!(ProgramValue, name))));
        f.constant(R2, 16);
        f.copy(R3, R7);
        f.alu(AluOp::Add, R3, ATTR_PROG_NAME);
        f.call(read);
        f.jump_if(Condition::SLt, R0, 0, error);
    }
}

/// Reads the fields of the object at `R7` into the value at `R9`.
fn read_fields(f: &mut Function<'_>, kind: ObjectKind) -> Result<(), BuildError> {
    match kind {
        ObjectKind::Credentials => {
            read_credentials(f, R7, R9, offset_of!(CredentialsValue, credentials))?;
            f.read(R1, R7, "cred", "user_ns")?;
            f.copy(R7, R1);
            f.read(R1, R7, "user_namespace", "ns.inum")?;
            f.store(Size::Word, R9, field(offset_of!(CredentialsValue, user_ns)), R1);
            Ok(())
        }
        ObjectKind::UserNamespace => {
            let fields = [(R1, "level"), (R2, "owner.val"), (R3, "group.val"), (R4, "ns.inum")];
            f.read_many(R7, "user_namespace", &fields)?;
            f.store(Size::Word, R9, field(offset_of!(UserNamespaceValue, level)), R1);
            f.store(Size::Word, R9, field(offset_of!(UserNamespaceValue, uid)), R2);
            f.store(Size::Word, R9, field(offset_of!(UserNamespaceValue, gid)), R3);
            f.store(Size::Word, R9, field(offset_of!(UserNamespaceValue, inum)), R4);
            Ok(())
        }
        ObjectKind::BpfAttr | ObjectKind::Network(_) => Ok(()),
        ObjectKind::BpfProg => {
            f.read_many(R7, "bpf_prog", &[(R1, "type"), (R2, "len")])?;
            f.store(Size::Word, R9, field(offset_of!(ProgramValue, kind)), R1);
            f.store(Size::Word, R9, field(offset_of!(ProgramValue, instructions)), R2);
            f.read(R7, R7, "bpf_prog", "aux")?;
            text_inside(f, ("bpf_prog_aux", "name"), offset_of!(ProgramValue, name), 16)
        }
        ObjectKind::BpfMap => {
            let fields = [(R1, "map_type"), (R2, "key_size"), (R3, "value_size"), (R4, "max_entries")];
            f.read_many(R7, "bpf_map", &fields)?;
            f.store(Size::Word, R9, field(offset_of!(MapValue, kind)), R1);
            f.store(Size::Word, R9, field(offset_of!(MapValue, key_size)), R2);
            f.store(Size::Word, R9, field(offset_of!(MapValue, value_size)), R3);
            f.store(Size::Word, R9, field(offset_of!(MapValue, max_entries)), R4);
            text_inside(f, ("bpf_map", "name"), offset_of!(MapValue, name), 16)
        }
        ObjectKind::PerfEvent => perf_event(f),
        ObjectKind::Module => {
            module_facts(f, "module")?;
            f.read(R1, R7, "module", "taints")?;
            f.store(Size::Double, R9, field(offset_of!(ModuleValue, taints)), R1);
            text_inside(f, ("module", "name"), offset_of!(ModuleValue, name), 64)
        }
        ObjectKind::LoadInfo => {
            module_facts(f, "load_info")?;
            f.read(R8, R7, "load_info", "mod")?;
            f.read(R1, R8, "module", "taints")?;
            f.store(Size::Double, R9, field(offset_of!(ModuleValue, taints)), R1);
            f.read(R1, R7, "load_info", "name")?;
            f.copy(R3, R1);
            text(f, offset_of!(ModuleValue, name), 64);
            Ok(())
        }
    }
}

/// What the kernel knows of the module's signature, if it checks any (`CONFIG_MODULE_SIG`).
fn module_facts(f: &mut Function<'_>, container: &str) -> Result<(), BuildError> {
    const { assert!(signature::GOOD == signature::BAD + 1, "the kernel's bool is added") };
    if !f.facts().has_field(container, "sig_ok") {
        return Ok(());
    }
    f.read(R1, R7, container, "sig_ok")?;
    f.alu(AluOp::And, R1, 1);
    f.alu(AluOp::Add, R1, signature::BAD.cast_signed());
    f.store(Size::Word, R9, field(offset_of!(ModuleValue, signature)), R1);
    Ok(())
}

/// An event's attributes; for a source that registered itself also the name of what it probes.
fn perf_event(f: &mut Function<'_>) -> Result<(), BuildError> {
    let out = f.label();
    f.read(R8, R7, "perf_event", "attr.type")?;
    f.store(Size::Word, R9, field(offset_of!(PerfEventValue, kind)), R8);
    f.read(R1, R7, "perf_event", "attr.config")?;
    f.store(Size::Double, R9, field(offset_of!(PerfEventValue, config)), R1);
    f.read(R1, R7, "perf_event", "attr.probe_offset")?;
    f.store(Size::Double, R9, field(offset_of!(PerfEventValue, probe_offset)), R1);
    if !f.facts().has_field("perf_event", "tp_event") || !f.facts().has_field("trace_event_call", "name") {
        f.jump(out);
        f.bind(out);
        return Ok(());
    }
    // `config` of a tracepoint's event names it; kprobe and uprobe events of perf_event_open(2) have one of their own, named for the function
    f.jump_if(Condition::Lt, R8, FIRST_DYNAMIC_EVENT, out);
    f.read(R7, R7, "perf_event", "tp_event")?;
    f.read(R1, R7, "trace_event_call", "name")?;
    f.copy(R3, R1);
    text(f, offset_of!(PerfEventValue, function), 64);
    f.bind(out);
    Ok(())
}

/// Copies the text in an array of the struct at `R7` to `R9 + offset`.
fn text_inside(
    f: &mut Function<'_>,
    (container, member): (&str, &str),
    offset: usize,
    bytes: u32,
) -> Result<(), BuildError> {
    let at = f.facts().offset_of(container, member)?;
    f.copy(R3, R7);
    f.alu(AluOp::Add, R3, at.cast_signed());
    text(f, offset, bytes);
    Ok(())
}

/// Copies the text at `R3` to `R9 + offset`; what cannot be read is empty.
fn text(f: &mut Function<'_>, offset: usize, bytes: u32) {
    f.copy(R1, R9);
    f.alu(AluOp::Add, R1, i32::from(field(offset)));
    f.constant(R2, u64::from(bytes));
    f.call(Helper::ProbeReadKernelStr);
}
