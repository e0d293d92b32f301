//! Changes the classes of a process that runs, from inside the kernel, so that an exec or fork at the same moment is not overwritten.
//!
//! Run by `BPF_PROG_TEST_RUN` as a raw tracepoint (5.10) with five arguments: tgid, expected time of the image (0: any), word, bits to set, bits to keep.

use std::mem::offset_of;

use super::SensorError;
use crate::abi::{CLASS_WORDS, ProcessState, map_name};
use crate::asm::Prototype;
use crate::builder::{Facts, Function, Program};
use crate::insn::{AluOp, Condition, Register, Size, atomic};
use crate::spec::{AttachSpec, CollectionSpec, ProgramKind, ProgramSpec, Reach};
use Register::{R0, R1, R2, R6, R10};

/// Name of the program.
pub const MARK: &str = "mark";

/// The program, returning 0 when done and 1 when there is no such process or image.
///
/// # Errors
/// [`SensorError::Build`].
pub fn mark(facts: &Facts<'_>) -> Result<CollectionSpec, SensorError> {
    let mut f = Function::new(MARK, Prototype::Main, facts);
    let key = f.slot(8)?;
    let (absent, any) = (f.label(), f.label());
    f.copy(R6, R1);
    f.load(Size::Double, R1, R6, 0);
    f.store(Size::Double, R10, key.offset(), R1);
    f.lookup(map_name::PROCESSES, key, absent);
    f.load(Size::Double, R1, R6, 8);
    f.jump_if(Condition::Eq, R1, 0, any);
    f.load(Size::Double, R2, R0, i16::try_from(offset_of!(ProcessState, ktime)).expect("small"));
    f.jump_if_reg(Condition::Ne, R1, R2, absent);
    f.bind(any);
    f.load(Size::Double, R1, R6, 16);
    f.jump_if(Condition::Ge, R1, i32::try_from(CLASS_WORDS).expect("eight"), absent);
    f.alu(AluOp::Lsh, R1, 3);
    f.alu_reg(AluOp::Add, R0, R1);
    let classes = i16::try_from(offset_of!(ProcessState, classes)).expect("small");
    if f.facts().fetching_atomics {
        f.load(Size::Double, R2, R6, 24);
        f.emit(atomic::atomic(atomic::AtomicOp::Or, Size::Double, R0, classes, R2));
        f.load(Size::Double, R2, R6, 32);
        f.emit(atomic::atomic(atomic::AtomicOp::And, Size::Double, R0, classes, R2));
    } else {
        f.load(Size::Double, R1, R0, classes);
        f.load(Size::Double, R2, R6, 24);
        f.alu_reg(AluOp::Or, R1, R2);
        f.load(Size::Double, R2, R6, 32);
        f.alu_reg(AluOp::And, R1, R2);
        f.store(Size::Double, R0, classes, R1);
    }
    f.return_constant(0);
    f.bind(absent);
    f.return_constant(1);
    let code = Program::new().link(f.finish()?)?;
    Ok(CollectionSpec {
        maps: Vec::new(),
        imports: vec![super::shared::processes(facts, super::DEFAULT_PROCESSES)],
        programs: vec![ProgramSpec {
            name: MARK.to_owned(),
            kind: ProgramKind::RawTracepoint,
            target: AttachSpec::None,
            reach: Reach::TailCalled,
            code,
        }],
    })
}
