//! The programs behind the entry of a denied call: at a hook on its way, one that returns the noted error; at its end, one that removes the note.
//!
//! Neither has working memory: what they need fits the stack, so that a thread that loses the CPU inside them keeps nobody waiting.

use std::mem::offset_of;

use Register::{R0, R1, R6, R7, R8, R9};
use bpf_probes::abi::{Note, map_name};
use bpf_probes::asm::{Label, Prototype};
use bpf_probes::builder::{BuildError, Facts, Function, Program};
use bpf_probes::insn::{AluOp, Condition, Helper, Register, Size};
use bpf_probes::kernel::KernelView;
use bpf_probes::sensor::shared;
use bpf_probes::spec::{AttachSpec, CollectionSpec, MapSpec, ProgramSpec, Reach};

use super::deny::earlier_denial;
use super::note::{KEY_BYTES, SIGKILL, only_if_killed, remove};
use super::program::{BODY, Body};
use super::returned::place_of_return;
use crate::policy::Role;

/// `EPERM`
const EPERM: i32 = 1;
/// Errors that a function may return, as a mask (include/linux/err.h: `MAX_ERRNO`).
const MAX_ERRNO: i32 = 4095;
/// `EINPROGRESS`: the call goes on.
const EINPROGRESS: i32 = 115;

fn field(offset: usize) -> i16 {
    i16::try_from(offset).expect("a note is small")
}

/// The collection of a program without maps of its own.
pub(super) fn collection(
    f: Function<'_>,
    body: Body<'_>,
    (name, reach): (&str, Reach),
    imports: Vec<MapSpec>,
) -> Result<CollectionSpec, BuildError> {
    let code = Program::new().link(f.finish()?)?;
    Ok(CollectionSpec {
        maps: Vec::new(),
        imports,
        programs: vec![ProgramSpec {
            name: name.to_owned(),
            kind: body.kind,
            target: body.target.clone(),
            reach,
            code,
        }],
    })
}

/// The program that returns the noted error.
///
/// # Errors
/// When the kernel's types lack something.
pub(crate) fn returner(body: Body<'_>, kernel: &KernelView) -> Result<CollectionSpec, BuildError> {
    let facts = Facts::of(kernel);
    let mut f = Function::new(BODY, Prototype::Main, &facts).with_frame(128);
    let (decided, absent, pass) = (f.label(), f.label(), f.label());
    f.copy(R9, R1);
    earlier_denial(&mut f, body.target, kernel, decided)?;
    let key = f.slot(KEY_BYTES)?;
    body.notes.key(&mut f, key);
    f.lookup(map_name::NOTES, key, absent);
    f.copy(R6, R0);
    if body.notes.are_of_syscall() {
        is_still_in_call(&mut f, pass)?;
        f.load(Size::Word, R8, R6, field(offset_of!(Note, errno)));
    } else {
        // a function asks its hook once
        f.load(Size::Word, R8, R6, field(offset_of!(Note, errno)));
        remove(&mut f, key);
    }
    // bounds that every verifier sees: 0 to 4095, then -4095 to 0
    f.alu(AluOp::And, R8, MAX_ERRNO);
    f.constant(R0, 0);
    f.alu_reg(AluOp::Sub, R0, R8);
    f.return_result();
    f.bind(absent);
    only_if_killed(&mut f, pass)?;
    f.return_constant(-EPERM);
    f.bind(pass);
    f.return_constant(0);
    f.bind(decided);
    f.copy(R0, R8);
    f.return_result();
    collection(f, body, (BODY, Reach::TailCalled), vec![shared::counters(), shared::notes()])
}

/// Goes to `other` unless the current thread is in the system call that the note in `R6` is about.
fn is_still_in_call(f: &mut Function<'_>, other: Label) -> Result<(), BuildError> {
    f.comment("whether the thread is still in that call");
    f.current_task();
    f.copy(R7, R0);
    f.read(R8, R7, "task_struct", "stack")?;
    f.load(Size::Double, R1, R6, field(offset_of!(Note, registers)));
    f.copy(R7, R8);
    f.alu_reg(AluOp::Add, R7, R1);
    f.read(R8, R7, "pt_regs", "orig_ax")?;
    f.load(Size::Double, R1, R6, field(offset_of!(Note, call)));
    f.jump_if_reg(Condition::Ne, R8, R1, other);
    Ok(())
}

/// The program that removes the note when the call is over.
///
/// # Errors
/// When the kernel's types lack something.
pub(crate) fn forgetter(body: Body<'_>, kernel: &KernelView) -> Result<CollectionSpec, BuildError> {
    let facts = Facts::of(kernel);
    let mut f = Function::new(BODY, Prototype::Main, &facts).with_frame(128);
    let (absent, failed) = (f.label(), f.label());
    f.copy(R9, R1);
    let key = f.slot(KEY_BYTES)?;
    body.notes.key(&mut f, key);
    f.lookup(map_name::NOTES, key, absent);
    if body.role == Role::ForgetAndKill {
        let escaped = f.label();
        returned(&mut f, body.target, kernel)?;
        if body.notes.are_of_syscall() {
            f.jump_if(Condition::Eq, R1, -EINPROGRESS, escaped);
            // as unsigned numbers, errors are the highest
            f.jump_if(Condition::Ge, R1, -MAX_ERRNO, failed);
        } else {
            f.jump_if32(Condition::Ne, R1, 0, failed);
            f.jump(escaped);
        }
        f.bind(escaped);
        f.constant(R1, SIGKILL);
        f.call(Helper::SendSignal);
        f.bind(failed);
    }
    remove(&mut f, key);
    f.bind(absent);
    f.return_constant(0);
    collection(f, body, (BODY, Reach::TailCalled), vec![shared::counters(), shared::notes()])
}

/// `R1 = what the function returned`, from the context in `R9`.
pub(super) fn returned(
    f: &mut Function<'_>,
    target: &AttachSpec,
    kernel: &KernelView,
) -> Result<(), BuildError> {
    let at = place_of_return(f, target, kernel)?;
    let at = f.offset(at)?;
    f.load(Size::Double, R1, R9, at);
    Ok(())
}
