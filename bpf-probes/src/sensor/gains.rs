//! Privileges that an exec gains, seen where old and new credentials are both at hand: kprobe
//! `security_bprm_committing_creds(bprm)` (`fs/exec.c: begin_new_exec`, `install_exec_creds`). Noted by thread, picked up by the exec program.

use crate::abi::gained;
use crate::asm::{Code, Prototype};
use crate::builder::{BuildError, Facts, Function, Program};
use crate::insn::{AluOp, Condition, Helper, Register, Size};
use crate::spec::{MapKind, MapSpec, ProgramKind};
use Register::{R0, R1, R2, R6, R7, R8, R9, R10};

use super::SensorError;
use super::context::argument;

const GAINS: &str = "gains";

/// Thread to [`gained`] bits; only execs in progress are in it.
pub(super) fn map() -> MapSpec {
    MapSpec { kind: MapKind::LruHash, ..MapSpec::hash(GAINS, 8, 8, 1024) }
}

/// The program.
pub(super) fn gains(facts: &Facts<'_>) -> Result<Code, SensorError> {
    let mut f = Function::new("gains", Prototype::Main, facts);
    let (key, value) = (f.slot(8)?, f.slot(8)?);
    let (out, same_uid, same_gid, no_caps, none) = (f.label(), f.label(), f.label(), f.label(), f.label());
    argument(&mut f, ProgramKind::Kprobe, R6, R1, 0)?;
    f.store_imm(Size::Double, R10, value.offset(), 0);
    f.current_task();
    f.copy(R7, R0);
    f.read(R7, R7, "task_struct", "cred")?;
    f.read(R6, R6, "linux_binprm", "cred")?;
    f.read(R8, R7, "cred", "euid.val")?;
    f.read(R9, R6, "cred", "euid.val")?;
    f.jump_if_reg(Condition::Eq, R8, R9, same_uid);
    add(&mut f, value, gained::SETUID);
    f.bind(same_uid);
    f.read(R8, R7, "cred", "egid.val")?;
    f.read(R9, R6, "cred", "egid.val")?;
    f.jump_if_reg(Condition::Eq, R8, R9, same_gid);
    add(&mut f, value, gained::SETGID);
    f.bind(same_gid);
    f.read(R8, R7, "cred", "cap_permitted")?;
    f.read(R9, R6, "cred", "cap_permitted")?;
    f.alu(AluOp::Xor, R8, -1);
    f.alu_reg(AluOp::And, R9, R8);
    f.jump_if(Condition::Eq, R9, 0, no_caps);
    f.read(R8, R6, "cred", "euid.val")?;
    f.jump_if(Condition::Eq, R8, 0, no_caps);
    add(&mut f, value, gained::FILE_CAPABILITIES);
    f.bind(no_caps);
    f.load(Size::Double, R1, R10, value.offset());
    f.jump_if(Condition::Eq, R1, 0, none);
    f.call(Helper::GetCurrentPidTgid);
    f.store(Size::Double, R10, key.offset(), R0);
    f.update(GAINS, key, value);
    f.bind(none);
    f.bind(out);
    f.return_constant(0);
    Ok(Program::new().link(f.finish()?)?)
}

fn add(f: &mut Function<'_>, value: crate::builder::Slot, bits: u32) {
    f.load(Size::Double, R1, R10, value.offset());
    f.alu(AluOp::Or, R1, bits.cast_signed());
    f.store(Size::Double, R10, value.offset(), R1);
}

/// `*(u32 *)(record + offset) = bits noted for this thread`, and forgets them.
///
/// # Errors
/// When the frame is full.
pub(super) fn join(f: &mut Function<'_>, record: Register, offset: i16) -> Result<(), BuildError> {
    f.scope(|f| {
        let key = f.slot(8)?;
        let none = f.label();
        f.call(Helper::GetCurrentPidTgid);
        f.store(Size::Double, R10, key.offset(), R0);
        f.lookup(GAINS, key, none);
        f.load(Size::Double, R1, R0, 0);
        f.store(Size::Word, record, offset, R1);
        f.slot_address(R2, key);
        f.assembler().load_map(R1, GAINS);
        f.call(Helper::MapDeleteElem);
        f.bind(none);
        Ok(())
    })
}
