//! The headers of a packet of IP.

use std::mem::offset_of;

use Register::{R0, R1, R2, R3, R7, R8, R10};
use bpf_probes::abi::Endpoints;
use bpf_probes::asm::Label;
use bpf_probes::builder::{BuildError, Function, Slot};
use bpf_probes::insn::{AluOp, Condition, Helper, Register, Size, alu};

use super::memory::{store, store_imm};
use super::network::{at, probe};
use crate::policy::{AF_INET, AF_INET6};

/// Bytes of the fixed header of IPv6; that of IPv4 has 20.
const HEADER: u32 = 40;
/// Extension headers of IPv6 that are passed.
const EXTENSIONS: u32 = 6;
/// Protocols whose header begins with two ports: TCP, UDP, DCCP, SCTP, UDP-Lite.
const WITH_PORTS: [i32; 5] = [6, 17, 33, 132, 136];
/// Bits of `frag_off` that say where in its packet a fragment lies, as they lie in memory.
const FRAGMENT_OFFSET: i32 = 0xff1f;
/// The same of IPv6's fragment header.
const FRAGMENT_OFFSET_6: i32 = 0xf8ff;

/// Reads the headers at `R7` into the [`Endpoints`] at `to`, which are zero. Of a fragment other than the first, only the addresses are known. Loses `R7` and `R8`.
pub(super) fn read_headers(f: &mut Function<'_>, to: u32) -> Result<(), BuildError> {
    let field = |offset: usize| to + at(offset);
    let (four, six, ports, done) = (f.label(), f.label(), f.label(), f.label());
    f.comment("headers of the packet");
    f.scope(|f| {
        let header = f.slot(HEADER)?;
        probe(f, Helper::ProbeReadKernel, header, HEADER, done);
        f.load(Size::Byte, R1, R10, header.offset());
        f.copy(R2, R1);
        f.alu(AluOp::Rsh, R2, 4);
        f.jump_if(Condition::Eq, R2, 4, four);
        f.jump_if(Condition::Eq, R2, 6, six);
        f.jump(done);

        f.bind(four);
        f.alu(AluOp::And, R1, 15);
        f.alu(AluOp::Lsh, R1, 2);
        f.alu_reg(AluOp::Add, R7, R1);
        store_imm(f, Size::Half, field(offset_of!(Endpoints, family)), AF_INET.into())?;
        f.load(Size::Byte, R8, R10, header.at(9));
        store(f, Size::Half, field(offset_of!(Endpoints, protocol)), R8)?;
        f.load(Size::Word, R1, R10, header.at(12));
        store(f, Size::Word, field(offset_of!(Endpoints, source)), R1)?;
        f.load(Size::Word, R1, R10, header.at(16));
        store(f, Size::Word, field(offset_of!(Endpoints, destination)), R1)?;
        f.load(Size::Half, R1, R10, header.at(6));
        f.jump_if(Condition::Set, R1, FRAGMENT_OFFSET, done);
        f.jump(ports);

        f.bind(six);
        store_imm(f, Size::Half, field(offset_of!(Endpoints, family)), AF_INET6.into())?;
        for word in 0..2 {
            f.load(Size::Double, R1, R10, header.at(8 + 8 * word));
            store(f, Size::Double, field(offset_of!(Endpoints, source)) + 8 * word, R1)?;
            f.load(Size::Double, R1, R10, header.at(24 + 8 * word));
            store(f, Size::Double, field(offset_of!(Endpoints, destination)) + 8 * word, R1)?;
        }
        f.load(Size::Byte, R8, R10, header.at(6));
        f.alu(AluOp::Add, R7, HEADER.cast_signed());
        let found = f.label();
        for _ in 0..EXTENSIONS {
            pass_extension(f, header, field(offset_of!(Endpoints, protocol)), found, done)?;
        }
        f.bind(found);
        store(f, Size::Half, field(offset_of!(Endpoints, protocol)), R8)?;

        f.bind(ports);
        let has_ports = f.label();
        for protocol in WITH_PORTS {
            f.jump_if(Condition::Eq, R8, protocol, has_ports);
        }
        f.jump(done);
        f.bind(has_ports);
        probe(f, Helper::ProbeReadKernel, header, 4, done);
        for (from, port) in
            [(0, offset_of!(Endpoints, source_port)), (2, offset_of!(Endpoints, destination_port))]
        {
            f.load(Size::Half, R1, R10, header.at(from));
            f.emit(alu::to_big_endian(R1, 16));
            store(f, Size::Half, field(port), R1)?;
        }
        Ok(())
    })?;
    f.bind(done);
    Ok(())
}

/// Passes the extension header at `R7` whose number is in `R8`; goes to `found` when it is none.
fn pass_extension(
    f: &mut Function<'_>,
    scratch: Slot,
    protocol: u32,
    found: Label,
    done: Label,
) -> Result<(), BuildError> {
    let (options, fragment, authentication, next) = (f.label(), f.label(), f.label(), f.label());
    f.jump_if(Condition::Eq, R8, 0, options);
    f.jump_if(Condition::Eq, R8, 43, options);
    f.jump_if(Condition::Eq, R8, 60, options);
    f.jump_if(Condition::Eq, R8, 51, options);
    f.jump_if(Condition::Ne, R8, 44, found);
    f.bind(options);
    // where the rest cannot be read, the number of this header is the protocol
    store(f, Size::Half, protocol, R8)?;
    f.slot_address(R1, scratch);
    f.constant(R2, 4);
    f.copy(R3, R7);
    f.call(Helper::ProbeReadKernel);
    f.jump_if(Condition::SLt, R0, 0, done);
    f.load(Size::Byte, R2, R10, scratch.at(1));
    f.jump_if(Condition::Eq, R8, 44, fragment);
    f.jump_if(Condition::Eq, R8, 51, authentication);
    f.alu(AluOp::Add, R2, 1);
    f.alu(AluOp::Lsh, R2, 3);
    f.jump(next);
    f.bind(authentication);
    f.alu(AluOp::Add, R2, 2);
    f.alu(AluOp::Lsh, R2, 2);
    f.jump(next);
    f.bind(fragment);
    f.load(Size::Byte, R8, R10, scratch.offset());
    store(f, Size::Half, protocol, R8)?;
    f.load(Size::Half, R1, R10, scratch.at(2));
    f.jump_if(Condition::Set, R1, FRAGMENT_OFFSET_6, done);
    f.constant(R2, 8);
    f.bind(next);
    f.load(Size::Byte, R8, R10, scratch.offset());
    f.alu_reg(AluOp::Add, R7, R2);
    Ok(())
}
