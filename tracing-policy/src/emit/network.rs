//! Sockets, packets and socket addresses, read into the values that records carry.

use std::mem::{offset_of, size_of};

use Register::{R0, R1, R2, R3, R7, R8, R10};
use bpf_probes::abi::{AddressValue, Endpoints, PacketValue, SocketValue, value_flag};
use bpf_probes::asm::Label;
use bpf_probes::btf::{Kind, Type};
use bpf_probes::builder::{BuildError, Function, ReadForm, Slot};
use bpf_probes::insn::{AluOp, Condition, Helper, Register, Size, alu};
use bpf_probes::kernel::function_of_hook;
use bpf_probes::spec::AttachSpec;

use super::memory::{address, load, store, store_imm};
use super::program::Emitter;
use super::state::ObjectState;
use crate::ir::ReadId;
use crate::policy::{AF_INET, AF_INET6, ArgumentType, Convention, NetworkType};

/// `EFAULT`
const EFAULT: u64 = 14;
/// Fields as far apart as this are read at once where each read is a call.
const SPAN_BYTES: u32 = 96;

/// Offset of a field of a value.
pub(super) fn at(offset: usize) -> u32 {
    u32::try_from(offset).unwrap_or(u32::MAX)
}

/// Bytes of a value.
pub(super) fn value_bytes(ty: NetworkType) -> usize {
    match ty {
        NetworkType::Sock | NetworkType::Socket => size_of::<SocketValue>(),
        NetworkType::Skb => size_of::<PacketValue>(),
        NetworkType::Sockaddr => size_of::<AddressValue>(),
    }
}

/// A field of a struct, and the field of the value that it becomes.
struct Copied {
    path: &'static str,
    to: u32,
}

impl Emitter<'_> {
    /// Reads the thing of the network at `R7` into its place, which is zero.
    pub(super) fn read_network(
        &self,
        f: &mut Function<'_>,
        ty: NetworkType,
        object: ObjectState,
        error: Label,
    ) -> Result<(), BuildError> {
        f.jump_if(Condition::Eq, R7, 0, error);
        match ty {
            NetworkType::Sock => read_sock(f, object, error)?,
            NetworkType::Socket => {
                f.read(R7, R7, "socket", "sk")?;
                f.jump_if(Condition::Eq, R7, 0, error);
                read_sock(f, object, error)?;
            }
            NetworkType::Skb => read_packet(f, object, error)?,
            NetworkType::Sockaddr => self.read_address(f, object, error)?,
        }
        Ok(())
    }

    /// Reads the `struct sockaddr` at `R7`.
    fn read_address(
        &self,
        f: &mut Function<'_>,
        object: ObjectState,
        error: Label,
    ) -> Result<(), BuildError> {
        let read = self.memory_read();
        let endpoints = object.value + at(offset_of!(AddressValue, endpoints));
        f.scope(|f| {
            let (four, six, done) = (f.label(), f.label(), f.label());
            let found = f.slot(24)?;
            probe(f, read, found, 2, error);
            f.load(Size::Half, R1, R10, found.offset());
            store(f, Size::Half, endpoints + at(offset_of!(Endpoints, family)), R1)?;
            f.jump_if(Condition::Eq, R1, AF_INET.into(), four);
            f.jump_if(Condition::Eq, R1, AF_INET6.into(), six);
            f.jump(done);
            f.bind(four);
            probe(f, read, found, 8, error);
            f.load(Size::Word, R1, R10, found.at(4));
            store(f, Size::Word, endpoints + at(offset_of!(Endpoints, source)), R1)?;
            port(f, found.at(2), endpoints + at(offset_of!(Endpoints, source_port)))?;
            f.jump(done);
            f.bind(six);
            probe(f, read, found, 24, error);
            for word in 0..2 {
                f.load(Size::Double, R1, R10, found.at(8 + 8 * word));
                store(f, Size::Double, endpoints + at(offset_of!(Endpoints, source)) + 8 * word, R1)?;
            }
            port(f, found.at(2), endpoints + at(offset_of!(Endpoints, source_port)))?;
            f.bind(done);
            Ok(())
        })
    }

    /// Whether the parameter behind a socket address is a number: its bytes.
    pub(super) fn has_length(&self, id: ReadId) -> bool {
        let read = self.hook.read(id);
        if read.ty != ArgumentType::SockaddrUn || self.hook.convention != Convention::Function {
            return false;
        }
        let function = match self.body.target {
            AttachSpec::Kprobe { symbol } => symbol.clone(),
            AttachSpec::Fentry { function } | AttachSpec::FmodRet { function } => function.clone(),
            AttachSpec::Lsm { hook } => function_of_hook(hook),
            AttachSpec::KprobeMulti { symbols, .. } => symbols.first().cloned().unwrap_or_default(),
            AttachSpec::None
            | AttachSpec::Kretprobe { .. }
            | AttachSpec::Tracepoint { .. }
            | AttachSpec::RawTracepoint { .. }
            | AttachSpec::BtfTracepoint { .. }
            | AttachSpec::Fexit { .. }
            | AttachSpec::Uprobe { .. }
            | AttachSpec::UprobeMulti { .. } => return false,
        };
        let btf = self.facts.btf;
        let Some(prototype) = btf.find(Kind::Func, &function).and_then(|id| btf.prototype(id).ok()) else {
            return false;
        };
        let next = prototype.parameters().nth(usize::from(read.index) + 1);
        next.and_then(|it| btf.peel(it.type_id).ok())
            .and_then(|id| btf.get(id).ok())
            .is_some_and(|found| matches!(found, Type::Int(_)))
    }

    /// How memory is read that an argument points to and that may be the user's.
    pub(super) fn memory_read(&self) -> Helper {
        match self.hook.convention {
            Convention::Syscall { .. } | Convention::Syscall32 { .. } | Convention::User => {
                Helper::ProbeReadUser
            }
            Convention::Function | Convention::Lsm | Convention::Tracepoint | Convention::RawTracepoint => {
                Helper::ProbeReadKernel
            }
        }
    }
}

/// Reads `bytes` at `R7` to the beginning of `to`.
pub(super) fn probe(f: &mut Function<'_>, read: Helper, to: Slot, bytes: u32, error: Label) {
    f.slot_address(R1, to);
    f.constant(R2, bytes.into());
    f.copy(R3, R7);
    f.call(read);
    f.jump_if(Condition::SLt, R0, 0, error);
}

/// Turns the port at a place of the stack round and stores it.
fn port(f: &mut Function<'_>, from: i16, to: u32) -> Result<(), BuildError> {
    f.load(Size::Half, R1, R10, from);
    f.emit(alu::to_big_endian(R1, 16));
    store(f, Size::Half, to, R1)
}

/// Reads the `struct sock` at `R7`.
fn read_sock(f: &mut Function<'_>, object: ObjectState, error: Label) -> Result<(), BuildError> {
    let (readable, done) = (f.label(), f.label());
    let endpoints = at(offset_of!(SocketValue, endpoints));
    let family = endpoints + at(offset_of!(Endpoints, family));
    let (source, destination) =
        (endpoints + at(offset_of!(Endpoints, source)), endpoints + at(offset_of!(Endpoints, destination)));
    let destination_port = endpoints + at(offset_of!(Endpoints, destination_port));
    let fields = [
        Copied { path: "__sk_common.skc_family", to: family },
        Copied { path: "__sk_common.skc_state", to: at(offset_of!(SocketValue, state)) },
        Copied { path: "__sk_common.skc_num", to: endpoints + at(offset_of!(Endpoints, source_port)) },
        Copied { path: "__sk_common.skc_dport", to: destination_port },
        Copied { path: "sk_type", to: at(offset_of!(SocketValue, kind)) },
        Copied { path: "sk_protocol", to: endpoints + at(offset_of!(Endpoints, protocol)) },
        Copied { path: "sk_mark", to: at(offset_of!(SocketValue, mark)) },
        Copied { path: "sk_priority", to: at(offset_of!(SocketValue, priority)) },
    ];
    copy_fields(f, "sock", &fields, object)?;
    store(f, Size::Double, object.value + at(offset_of!(SocketValue, cookie)), R7)?;
    load(f, Size::Half, R1, object.value + destination_port)?;
    f.emit(alu::to_big_endian(R1, 16));
    store(f, Size::Half, object.value + destination_port, R1)?;
    load(f, Size::Half, R8, object.value + family)?;
    f.jump_if(Condition::Ne, R8, 0, readable);
    // no family: a socket that has none yet, or nothing that can be read
    f.scope(|f| {
        let found = f.slot(8)?;
        probe(f, Helper::ProbeReadKernel, found, 8, error);
        Ok(())
    })?;
    f.bind(readable);
    let six = f.label();
    f.jump_if(Condition::Eq, R8, AF_INET6.into(), six);
    f.jump_if(Condition::Ne, R8, AF_INET.into(), done);
    let four = [
        Copied { path: "__sk_common.skc_rcv_saddr", to: source },
        Copied { path: "__sk_common.skc_daddr", to: destination },
    ];
    copy_fields(f, "sock", &four, object)?;
    f.jump(done);
    f.bind(six);
    // kernels without IPv6 have no such sockets
    if f.facts().has_field("sock", "__sk_common.skc_v6_daddr") {
        let six = [
            Copied { path: "__sk_common.skc_v6_rcv_saddr", to: source },
            Copied { path: "__sk_common.skc_v6_daddr", to: destination },
        ];
        copy_fields(f, "sock", &six, object)?;
    }
    f.bind(done);
    Ok(())
}

/// Copies fields of the struct at `R7` into the value: integers, and addresses of 16 bytes. What cannot be read is zero.
fn copy_fields(
    f: &mut Function<'_>,
    container: &str,
    fields: &[Copied],
    object: ObjectState,
) -> Result<(), BuildError> {
    let mut pieces = Vec::with_capacity(fields.len());
    for field in fields {
        let from = f.facts().offset_of(container, field.path)?;
        let bytes = f.facts().field(container, field.path)?.leaf.size;
        for piece in (0..bytes).step_by(8) {
            let size = Size::from_bytes((bytes - piece).min(8)).ok_or_else(|| BuildError::FieldSize {
                container: container.to_owned(),
                path: field.path.to_owned(),
                size: bytes,
            })?;
            pieces.push((from + piece, size, object.value + field.to + piece));
        }
    }
    pieces.sort_unstable_by_key(|(from, ..)| *from);
    if f.facts().reads == ReadForm::Cast {
        f.cast(R7, container)?;
        for (from, size, to) in pieces {
            let from = f.offset(from)?;
            f.load(size, R1, R0, from);
            store(f, size, to, R1)?;
        }
        return Ok(());
    }
    let mut rest = pieces.as_slice();
    while let Some((first, ..)) = rest.first() {
        let near =
            rest.iter().take_while(|(from, size, _)| from + size.bytes() - first <= SPAN_BYTES).count();
        let (group, others) = rest.split_at(near.max(1));
        let end = group.iter().map(|(from, size, _)| from + size.bytes()).max().unwrap_or(*first);
        f.scope(|f| {
            let span = f.slot(end - first)?;
            f.slot_address(R1, span);
            f.constant(R2, u64::from(end - first));
            f.copy(R3, R7);
            f.alu(AluOp::Add, R3, first.cast_signed());
            f.call(Helper::ProbeReadKernel);
            for (from, size, to) in group {
                f.load(*size, R1, R10, span.at(from - first));
                store(f, *size, *to, R1)?;
            }
            Ok(())
        })?;
        rest = others;
    }
    Ok(())
}

/// Reads the `struct sk_buff` at `R7` and the headers of its packet.
fn read_packet(f: &mut Function<'_>, object: ObjectState, error: Label) -> Result<(), BuildError> {
    let fields = [
        Copied { path: "len", to: at(offset_of!(PacketValue, len)) },
        Copied { path: "hash", to: at(offset_of!(PacketValue, hash)) },
        Copied { path: "mark", to: at(offset_of!(PacketValue, mark)) },
        Copied { path: "priority", to: at(offset_of!(PacketValue, priority)) },
    ];
    copy_fields(f, "sk_buff", &fields, object)?;
    f.read(R8, R7, "sk_buff", "head")?;
    f.jump_if(Condition::Eq, R8, 0, error);
    f.read(R1, R7, "sk_buff", "network_header")?;
    f.copy(R7, R8);
    f.alu_reg(AluOp::Add, R7, R1);
    super::packet::read_headers(f, object.value + at(offset_of!(PacketValue, endpoints)))
}

impl Emitter<'_> {
    /// Reads the path of a `struct sockaddr_un` like a string: `@` stands before an abstract name.
    pub(super) fn read_unix_address(
        &self,
        f: &mut Function<'_>,
        id: ReadId,
        bytes: super::state::BytesState,
    ) -> Result<(), BuildError> {
        use bpf_probes::routine::layout::PATH_START;
        let (error, other, end, out) = (f.label(), f.label(), f.label(), f.label());
        let begin = self.memory.areas[bytes.area] + PATH_START;
        let read_string = match self.hook.convention {
            Convention::Syscall { .. } | Convention::Syscall32 { .. } | Convention::User => {
                Helper::ProbeReadUserStr
            }
            Convention::Function | Convention::Lsm | Convention::Tracepoint | Convention::RawTracepoint => {
                Helper::ProbeReadKernelStr
            }
        };
        f.comment("the path of a socket");
        load(f, Size::Double, R7, self.state().reads[id.index()].raw)?;
        f.scope(|f| {
            let family = f.slot(8)?;
            probe(f, self.memory_read(), family, 2, error);
            f.load(Size::Half, R8, R10, family.offset());
            Ok(())
        })?;
        store_imm(f, Size::Word, bytes.start, PATH_START.cast_signed())?;
        store_imm(f, Size::Word, bytes.testable, 1)?;
        f.jump_if(Condition::Ne, R8, crate::policy::AF_UNIX.into(), other);
        let copy = |f: &mut Function<'_>, to: u32, most: i32, from: i32| {
            address(f, R1, to);
            f.constant(R2, u64::from(most.unsigned_abs()));
            f.copy(R3, R7);
            f.alu(AluOp::Add, R3, from);
            f.call(read_string);
            f.jump_if(Condition::SLt, R0, 1, error);
            f.jump_if(Condition::Gt, R0, most, error);
        };
        copy(f, begin, SUN_PATH + 1, 2);
        f.alu(AluOp::Sub, R0, 1);
        f.jump_if(Condition::Ne, R0, 0, end);
        copy(f, begin + 1, SUN_PATH, 3);
        let named = f.label();
        f.jump_if(Condition::Ne, R0, 1, named);
        f.constant(R0, 0);
        f.jump(end);
        f.bind(named);
        store_imm(f, Size::Byte, begin, i32::from(b'@'))?;
        f.jump(end);
        f.bind(error);
        f.constant(R1, EFAULT << 48 | u64::from(value_flag::ERROR) << 32);
        store(f, Size::Double, bytes.header, R1)?;
        store_imm(f, Size::Double, begin, 0)?;
        store_imm(f, Size::Word, bytes.start, PATH_START.cast_signed())?;
        store_imm(f, Size::Word, bytes.testable, 0)?;
        f.jump(out);
        f.bind(other);
        store_imm(f, Size::Word, bytes.testable, 0)?;
        f.constant(R0, 0);
        f.bind(end);
        if self.has_length(id) {
            cut(f, bytes)?;
        }
        store(f, Size::Word, bytes.header, R0)?;
        store_imm(f, Size::Half, bytes.header + 4, 0)?;
        store(f, Size::Half, bytes.header + 6, R8)?;
        address(f, R1, begin);
        f.alu_reg(AluOp::Add, R1, R0);
        bpf_probes::routine::zero_fill(f, self.string_padding(id));
        f.bind(out);
        Ok(())
    }
}

/// Cuts a path in `R0` to the bytes of its address, of which the family takes two: what lies behind them belongs to nobody.
fn cut(f: &mut Function<'_>, bytes: super::state::BytesState) -> Result<(), BuildError> {
    let (not_less, not_more, fits) = (f.label(), f.label(), f.label());
    load(f, Size::Word, R1, bytes.dentry)?;
    f.jump_if(Condition::Ge, R1, 2, not_less);
    f.constant(R1, 2);
    f.bind(not_less);
    f.alu(AluOp::Sub, R1, 2);
    f.jump_if(Condition::Le, R1, SUN_PATH, not_more);
    f.constant(R1, u64::from(SUN_PATH.unsigned_abs()));
    f.bind(not_more);
    f.jump_if_reg(Condition::Le, R0, R1, fits);
    f.copy(R0, R1);
    f.bind(fits);
    Ok(())
}

/// Bytes of `sun_path` (include/uapi/linux/un.h).
const SUN_PATH: i32 = 108;
