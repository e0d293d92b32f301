//! Keeps what each process was in and might do when its image began, for policies that ask what changed since.
//!
//! A collection of its own with the same places as the base programs: loaded when the first such policy is, gone with the last one. Who has no such policy
//! pays nothing.

use std::mem::{offset_of, size_of};

use super::base::{kind, program};
use super::context::argument;
use super::exit::ExitPoint;
use super::{BaseTargets, SensorError, base, shared};
use crate::abi::{Recorded, map_name};
use crate::asm::{Code, Prototype};
use crate::builder::{BuildError, Facts, Function, Program, Slot};
use crate::insn::{AluOp, Condition, Helper, Register, Size};
use crate::routine::read_namespaces;
use crate::spec::{CollectionSpec, ProgramKind};
use Register::{R0, R1, R2, R3, R4, R6, R7, R8, R10};

/// The collection for a kernel, attached at `targets`; its map holds `processes`.
///
/// # Errors
/// [`SensorError::Build`], [`SensorError::Target`].
pub fn recording(
    facts: &Facts<'_>,
    targets: &BaseTargets,
    processes: u32,
) -> Result<CollectionSpec, SensorError> {
    Ok(CollectionSpec {
        maps: vec![shared::recorded(facts, processes)],
        imports: Vec::new(),
        programs: vec![
            program("record_fork", &targets.fork, at_fork(facts, kind(&targets.fork)?)?)?,
            program("record_exec", &targets.exec, at_exec(facts)?)?,
            program("record_exit", &targets.exit, at_exit(facts, base::exit_point(&targets.exit))?)?,
        ],
    })
}

/// A program, with `R6` to `R8` and a key and a value on its stack.
fn begin<'a>(name: &str, facts: &'a Facts<'a>) -> Result<(Function<'a>, Slot, Slot), BuildError> {
    let mut f = Function::new(name, Prototype::Main, facts).with_frame(256);
    for register in [R6, R7, R8] {
        assert_eq!(f.register()?, register, "the sensor owns these registers");
    }
    let key = f.slot(8)?;
    let value = f.slot(u32::try_from(size_of::<Recorded>()).expect("small"))?;
    Ok((f, key, value))
}

/// The current process has a new image.
fn at_exec(facts: &Facts<'_>) -> Result<Code, SensorError> {
    let (mut f, key, value) = begin("record_exec", facts)?;
    f.current_task();
    f.copy(R6, R0);
    f.call(Helper::GetCurrentPidTgid);
    f.alu(AluOp::Rsh, R0, 32);
    f.store(Size::Double, R10, key.offset(), R0);
    record(&mut f, key, value)?;
    f.return_constant(0);
    Ok(Program::new().link(f.finish()?)?)
}

/// A process came into being.
fn at_fork(facts: &Facts<'_>, kind: ProgramKind) -> Result<Code, SensorError> {
    let (mut f, key, value) = begin("record_fork", facts)?;
    let out = f.label();
    argument(&mut f, kind, R6, R1, u8::from(kind != ProgramKind::Kprobe))?;
    f.read_many(R6, "task_struct", &[(R7, "tgid"), (R8, "pid")])?;
    f.jump_if_reg(Condition::Ne, R7, R8, out);
    f.store(Size::Double, R10, key.offset(), R7);
    record(&mut f, key, value)?;
    f.bind(out);
    f.return_constant(0);
    Ok(Program::new().link(f.finish()?)?)
}

/// Keeps what the task in `R6` is in and may do.
fn record(f: &mut Function<'_>, key: Slot, value: Slot) -> Result<(), BuildError> {
    let at = |offset: usize| i16::try_from(offset).expect("small");
    f.slot_address(R7, value);
    read_namespaces(f, R6, R7, offset_of!(Recorded, namespaces), R8)?;
    f.read(R8, R6, "task_struct", "cred")?;
    let sets = [(R1, "cap_effective"), (R2, "cap_inheritable"), (R3, "cap_permitted")];
    f.read_many(R8, "cred", &sets)?;
    f.store(Size::Double, R7, at(offset_of!(Recorded, effective)), R1);
    f.store(Size::Double, R7, at(offset_of!(Recorded, inheritable)), R2);
    f.store(Size::Double, R7, at(offset_of!(Recorded, permitted)), R3);
    f.slot_address(R2, key);
    f.copy(R3, R7);
    f.constant(R4, 0);
    f.assembler().load_map(R1, map_name::RECORDED);
    // where the map is full nothing is known of the process, and it never passes
    f.call(Helper::MapUpdateElem);
    Ok(())
}

/// The current process ended.
fn at_exit(facts: &Facts<'_>, point: ExitPoint) -> Result<Code, SensorError> {
    let (mut f, key, _) = begin("record_exit", facts)?;
    let out = f.label();
    match point {
        ExitPoint::LastThread => {}
        ExitPoint::EveryThreadTold => {
            argument(&mut f, ProgramKind::Kprobe, R2, R1, 1)?;
            f.jump_if32(Condition::Eq, R2, 0, out);
        }
        ExitPoint::EveryThread => {
            f.current_task();
            f.copy(R6, R0);
            f.read(R7, R6, "task_struct", "signal")?;
            f.read(R1, R7, "signal_struct", "live.counter")?;
            f.jump_if32(Condition::Ne, R1, 0, out);
        }
    }
    f.call(Helper::GetCurrentPidTgid);
    f.alu(AluOp::Rsh, R0, 32);
    f.store(Size::Double, R10, key.offset(), R0);
    f.slot_address(R2, key);
    f.assembler().load_map(R1, map_name::RECORDED);
    f.call(Helper::MapDeleteElem);
    f.bind(out);
    f.return_constant(0);
    Ok(Program::new().link(f.finish()?)?)
}
