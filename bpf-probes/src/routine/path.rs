//! From a dentry and its mount to the path that the task sees, as `fs/d_path.c: prepend_path` (5.10 to 7.2) forms it: up to the task's root, across
//! mounts, with ` (deleted)` behind the name of an unlinked file.
//!
//! `path_walk` prepares and ends, `path_step` looks at one dentry. With [`LoopForm::Callback`] the step is a callback of `bpf_loop`. Else it is a global
//! function, verified once, and bounded loops in two more, one in the other, call it. Pointers cannot be handed to global functions before 5.12, so they
//! look working memory up. The walk's state lies in the area and not in registers, so that the verifier knows nothing of it but its bounds, which every
//! round establishes anew: 5.17 to 6.7 verify a callback once only, as if its first round were all.

use super::layout::{AREA_BYTES, PATH_END, PATH_START, done, walk};
use crate::asm::{Label, Prototype, Subprogram};
use crate::builder::{BuildError, Facts, Function, LoopForm, Program, ReadForm, Slot};
use crate::insn::{AluOp, Condition, Helper, Register, Size};
use crate::spec::MapSpec;
use Register::{R0, R1, R2, R3, R4, R5, R6, R7, R8, R9, R10};

/// Name of the subprogram: `path_walk(dentry, vfsmount, area) -> length | unresolved << 32`. Without a mount (0) the path begins at the root of the
/// dentry's file system, and nothing says that it is deleted (`fs/d_path.c: dentry_path_raw`). With [`LoopForm::Bounded`] two arguments more say where the
/// area lies: the number of the entry of working memory, and the area's offset in it.
pub const PATH_WALK: &str = "path_walk";
const PATH_ROUNDS: &str = "path_rounds";
const PATH_STEPS: &str = "path_steps";
const PATH_STEP: &str = "path_step";
/// Dentries and mounts looked at.
const STEPS: i32 = 2048;
/// Steps of one round, where a bounded loop is verified step by step.
const ROUND: i32 = 64;
/// Longest name of a directory entry (`NAME_MAX`).
const NAME_MAX: i32 = 255;
/// Bits of [`PATH_WALK`]'s result that hold the length.
pub const LENGTH_MASK: i32 = 0x1fff;

/// Adds the path walk to `program` unless it has it; areas lie in entries of `memory`.
///
/// # Errors
/// When the kernel's types lack a field.
pub fn add_path_walk(program: &mut Program, facts: &Facts<'_>, memory: &MapSpec) -> Result<(), BuildError> {
    if !program.has(PATH_WALK) {
        program.add(path_walk(facts)?);
        program.add(path_step(facts, memory)?);
        if facts.loops == LoopForm::Bounded {
            program.add(repeated(PATH_ROUNDS, STEPS / ROUND, PATH_STEPS, facts)?);
            program.add(repeated(PATH_STEPS, ROUND, PATH_STEP, facts)?);
        }
    }
    Ok(())
}

/// Walks from the dentry in `R1` and the mount in `R2`, in the first area of this CPU's entry, whose address is in `entry`. For programs that are not preempted.
pub fn walk_in_cpu_entry(f: &mut Function<'_>, entry: Register) {
    if f.facts().loops == LoopForm::Bounded {
        f.store(Size::Double, entry, walk::DENTRY, R1);
        f.store(Size::Double, entry, walk::MOUNT, R2);
        f.call(Helper::GetSmpProcessorId);
        f.copy(R4, R0);
        f.constant(R5, 0);
        f.load(Size::Double, R1, entry, walk::DENTRY);
        f.load(Size::Double, R2, entry, walk::MOUNT);
    }
    f.copy(R3, entry);
    f.call_subprogram(PATH_WALK);
}

fn path_walk(facts: &Facts<'_>) -> Result<Subprogram, BuildError> {
    let arguments = match facts.loops {
        LoopForm::Callback => 3,
        LoopForm::Bounded => 5,
    };
    let mut f = Function::new(PATH_WALK, Prototype::Static { arguments }, facts).with_frame(160);
    let place = [f.slot(8)?, f.slot(8)?];
    if facts.loops == LoopForm::Bounded {
        for (slot, register) in place.into_iter().zip([R4, R5]) {
            f.store(Size::Double, R10, slot.offset(), register);
        }
    }
    f.copy(R6, R3);
    f.store(Size::Double, R6, walk::DENTRY, R1);
    f.store(Size::Double, R6, walk::MOUNT, R2);
    f.copy(R7, R1);
    f.store_imm(Size::Word, R6, walk::OFFSET, PATH_END.cast_signed());
    f.store_imm(Size::Word, R6, walk::DONE, done::NO);
    deleted_suffix(&mut f)?;
    f.current_task();
    f.copy(R7, R0);
    f.read(R7, R7, "task_struct", "fs")?;
    f.read_many(R7, "fs_struct", &[(R8, "root.dentry"), (R9, "root.mnt")])?;
    f.store(Size::Double, R6, walk::ROOT_DENTRY, R8);
    f.store(Size::Double, R6, walk::ROOT_MOUNT, R9);
    let below = f.label();
    f.load(Size::Double, R1, R6, walk::DENTRY);
    f.load(Size::Double, R2, R6, walk::MOUNT);
    f.jump_if_reg(Condition::Ne, R1, R8, below);
    f.jump_if_reg(Condition::Ne, R2, R9, below);
    f.load(Size::Word, R1, R6, walk::OFFSET);
    f.jump_if(Condition::Ne, R1, PATH_END.cast_signed(), below);
    // the working directory of most daemons
    f.store_imm(Size::Byte, R6, f.offset(PATH_END - 1)?, i32::from(b'/'));
    f.return_constant(1);
    f.bind(below);
    rounds(&mut f, place);
    result(&mut f)?;
    f.finish()
}

/// Writes ` (deleted)` at the end of the path of a dentry (`R7`) that is unhashed and no root (`d_unlinked`, `include/linux/dcache.h`).
fn deleted_suffix(f: &mut Function<'_>) -> Result<(), BuildError> {
    let linked = f.label();
    f.jump_if(Condition::Eq, R2, 0, linked);
    f.read_many(R7, "dentry", &[(R1, "d_hash.pprev"), (R2, "d_parent")])?;
    f.jump_if(Condition::Ne, R1, 0, linked);
    f.jump_if_reg(Condition::Eq, R2, R7, linked);
    const SUFFIX: &[u8; 10] = b" (deleted)";
    let start = PATH_END - 10;
    for (at, chunk) in [(0_u32, &SUFFIX[0..4]), (4, &SUFFIX[4..8])] {
        let word = i32::from_le_bytes([chunk[0], chunk[1], chunk[2], chunk[3]]);
        f.store_imm(Size::Word, R6, f.offset(start + at)?, word);
    }
    let half = i32::from(i16::from_le_bytes([SUFFIX[8], SUFFIX[9]]));
    f.store_imm(Size::Half, R6, f.offset(start + 8)?, half);
    f.store_imm(Size::Word, R6, walk::OFFSET, start.cast_signed());
    f.bind(linked);
    Ok(())
}

fn rounds(f: &mut Function<'_>, place: [Slot; 2]) {
    match f.facts().loops {
        LoopForm::Callback => {
            let [context, _] = place;
            f.store(Size::Double, R10, context.offset(), R6);
            f.constant(R1, u64::from(STEPS.cast_unsigned()));
            f.assembler().load_subprogram(R2, PATH_STEP);
            f.slot_address(R3, context);
            f.constant(R4, 0);
            f.call(Helper::Loop);
        }
        LoopForm::Bounded => {
            for (slot, register) in place.into_iter().zip([R1, R2]) {
                f.load(Size::Double, register, R10, slot.offset());
            }
            f.call_subprogram(PATH_ROUNDS);
        }
    }
}

/// `name(entry, offset)`: calls `step` up to `count` times; 0 to go on, 1 at the end.
fn repeated(name: &str, count: i32, step: &str, facts: &Facts<'_>) -> Result<Subprogram, BuildError> {
    let mut f = Function::new(name, Prototype::Global { arguments: 2 }, facts).with_frame(0);
    let end = f.label();
    f.copy(R8, R1);
    f.copy(R9, R2);
    f.repeat(R7, count, |f| {
        f.copy(R1, R8);
        f.copy(R2, R9);
        f.call_subprogram(step);
        f.jump_if(Condition::Ne, R0, 0, end);
        Ok(())
    })?;
    f.return_constant(0);
    f.bind(end);
    f.return_constant(1);
    f.finish()
}

/// Turns the walk's state into the result; `/` for a walk that ended at once at the root.
fn result(f: &mut Function<'_>) -> Result<(), BuildError> {
    let (resolved, some, out) = (f.label(), f.label(), f.label());
    f.load(Size::Word, R1, R6, walk::OFFSET);
    f.constant(R0, u64::from(PATH_END));
    f.alu_reg(AluOp::Sub, R0, R1);
    f.alu(AluOp::And, R0, LENGTH_MASK);
    f.load(Size::Word, R2, R6, walk::DONE);
    f.jump_if(Condition::Ne, R2, done::NO, resolved);
    f.constant(R1, 1 << 32);
    f.alu_reg(AluOp::Or, R0, R1);
    f.jump(out);
    f.bind(resolved);
    f.jump_if(Condition::Ne, R0, 0, some);
    f.jump_if(Condition::Ne, R2, done::ROOT, some);
    f.store_imm(Size::Byte, R6, f.offset(PATH_END - 1)?, i32::from(b'/'));
    f.constant(R0, 1);
    f.bind(some);
    f.bind(out);
    f.return_result();
    Ok(())
}

/// `path_step(entry, offset)` or, as a callback, `path_step(index, &area)`: 0 to go on, 1 at the end.
fn path_step(facts: &Facts<'_>, memory: &MapSpec) -> Result<Subprogram, BuildError> {
    let prototype = match facts.loops {
        LoopForm::Callback => Prototype::LoopCallback,
        LoopForm::Bounded => Prototype::Global { arguments: 2 },
    };
    let mut f = Function::new(PATH_STEP, prototype, facts).with_frame(160);
    let (stop, not_root, up) = (f.label(), f.label(), f.label());
    match facts.loops {
        LoopForm::Callback => f.load(Size::Double, R6, R2, 0),
        LoopForm::Bounded => find_area(&mut f, memory, stop)?,
    }
    f.load(Size::Double, R7, R6, walk::DENTRY);
    f.load(Size::Double, R8, R6, walk::MOUNT);
    f.load(Size::Double, R1, R6, walk::ROOT_DENTRY);
    f.load(Size::Double, R2, R6, walk::ROOT_MOUNT);
    f.jump_if_reg(Condition::Ne, R7, R1, not_root);
    f.jump_if_reg(Condition::Ne, R8, R2, not_root);
    f.store_imm(Size::Word, R6, walk::DONE, done::ROOT);
    f.jump(stop);
    f.bind(not_root);
    f.read(R1, R8, "vfsmount", "mnt_root")?;
    f.jump_if_reg(Condition::Ne, R7, R1, up);
    cross_mount(&mut f, stop)?;
    f.bind(up);
    prepend_name(&mut f, stop)?;
    f.return_constant(0);
    f.bind(stop);
    f.return_constant(1);
    f.finish()
}

/// `R6 = the area at offset R2 of the entry R1 of working memory`, going to `none` when it does not lie in one (it always does).
fn find_area(f: &mut Function<'_>, memory: &MapSpec, none: Label) -> Result<(), BuildError> {
    let last = i32::try_from(memory.value_size.saturating_sub(AREA_BYTES)).unwrap_or(0);
    f.scope(|f| {
        let key = f.slot(8)?;
        f.store(Size::Word, R10, key.offset(), R1);
        f.copy(R7, R2);
        f.lookup(&memory.name, key, none);
        f.jump_if(Condition::Gt, R7, last, none);
        f.copy(R6, R0);
        f.alu_reg(AluOp::Add, R6, R7);
        Ok(())
    })
}

/// `R7` is the root of mount `R8`: go on at the mount point, or stop at the top of the tree. Ends the round.
fn cross_mount(f: &mut Function<'_>, stop: Label) -> Result<(), BuildError> {
    let in_mount = f.facts().offset_of("mount", "mnt")?.cast_signed();
    let above = f.label();
    f.alu(AluOp::Sub, R8, in_mount);
    f.read_many(R8, "mount", &[(R7, "mnt_mountpoint"), (R9, "mnt_parent")])?;
    f.jump_if_reg(Condition::Ne, R9, R8, above);
    f.store_imm(Size::Word, R6, walk::DONE, done::ROOT);
    f.jump(stop);
    f.bind(above);
    f.store(Size::Double, R6, walk::DENTRY, R7);
    f.alu(AluOp::Add, R9, in_mount);
    f.store(Size::Double, R6, walk::MOUNT, R9);
    f.return_constant(0);
    Ok(())
}

/// Writes `/` and the name of `R7` before the path and goes to its parent.
fn prepend_name(f: &mut Function<'_>, stop: Label) -> Result<(), BuildError> {
    let (attached, named, top) = (f.label(), f.label(), f.label());
    f.read_many(R7, "dentry", &[(R9, "d_parent"), (R8, "d_name.len"), (R2, "d_name.name")])?;
    f.store(Size::Double, R6, walk::DENTRY, R9);
    f.jump_if_reg(Condition::Ne, R9, R7, attached);
    f.store_imm(Size::Word, R6, walk::DONE, done::DETACHED);
    f.jump_if(Condition::Eq, R8, 0, stop);
    f.load(Size::Double, R1, R6, walk::MOUNT);
    f.jump_if(Condition::Eq, R1, 0, top);
    f.bind(attached);
    f.jump_if(Condition::Gt, R8, NAME_MAX, stop);
    f.load(Size::Word, R1, R6, walk::OFFSET);
    f.alu_reg(AluOp::Sub, R1, R8);
    f.alu(AluOp::Sub, R1, 1);
    f.jump_if(Condition::Gt, R1, (PATH_END - 1).cast_signed(), stop);
    f.jump_if(Condition::Lt, R1, PATH_START.cast_signed(), stop);
    f.store(Size::Word, R6, walk::OFFSET, R1);
    f.alu_reg(AluOp::Add, R1, R6);
    f.store_imm(Size::Byte, R1, 0, i32::from(b'/'));
    f.alu(AluOp::Add, R1, 1);
    copy_name(f)?;
    f.load(Size::Word, R1, R6, walk::DONE);
    f.jump_if(Condition::Eq, R1, done::NO, named);
    f.jump(stop);
    f.bind(top);
    f.store_imm(Size::Word, R6, walk::DONE, done::ROOT);
    f.jump(stop);
    f.bind(named);
    Ok(())
}

/// Copies the name at `R2`, `R8` bytes (1 to [`NAME_MAX`], or none), to the address in `R1`. All registers but `R6` are lost.
///
/// With plain loads a name of up to 128 bytes costs a load and a store for each word, where `bpf_probe_read_kernel` costs some 80 instructions before its
/// first byte. Only bytes of the name are read and written: the last word overlaps the one before.
fn copy_name(f: &mut Function<'_>) -> Result<(), BuildError> {
    let (words, probe, out) = (f.label(), f.label(), f.label());
    if f.facts().reads == ReadForm::Cast {
        f.copy(R7, R1);
        f.copy(R9, R2);
        f.jump_if(Condition::Ge, R8, 8, words);
        short_name(f, out)?;
        f.bind(words);
        f.jump_if(Condition::Gt, R8, 8 * COPIED_WORDS, probe);
        let end = f.label();
        f.cast(R9, WORDS)?;
        for word in 0..COPIED_WORDS {
            let at = f.offset(8 * word.cast_unsigned())?;
            f.load(Size::Double, R1, R0, at);
            f.store(Size::Double, R7, at, R1);
            f.jump_if(Condition::Lt, R8, 8 * (word + 2), end);
        }
        f.bind(end);
        overlapping_end(f, Size::Double)?;
        f.jump(out);
        f.bind(probe);
        f.copy(R1, R7);
        f.copy(R2, R9);
    }
    f.copy(R3, R2);
    f.copy(R2, R8);
    f.call(Helper::ProbeReadKernel);
    f.bind(out);
    Ok(())
}

/// Words that [`copy_name`] copies one by one.
const COPIED_WORDS: i32 = 16;
/// A type of the kernel that begins with as many words, whatever they mean.
pub(super) const WORDS: &str = "pt_regs";

/// [`copy_name`] of fewer than eight bytes: two words that overlap, or single bytes. Goes to `out`.
fn short_name(f: &mut Function<'_>, out: Label) -> Result<(), BuildError> {
    let (bytes, one) = (f.label(), f.label());
    f.jump_if(Condition::Eq, R8, 0, out);
    f.cast(R9, WORDS)?;
    f.jump_if(Condition::Lt, R8, 4, bytes);
    f.load(Size::Word, R1, R0, 0);
    f.store(Size::Word, R7, 0, R1);
    overlapping_end(f, Size::Word)?;
    f.jump(out);
    f.bind(bytes);
    f.load(Size::Byte, R1, R0, 0);
    f.store(Size::Byte, R7, 0, R1);
    f.jump_if(Condition::Lt, R8, 2, one);
    f.load(Size::Byte, R1, R0, 1);
    f.store(Size::Byte, R7, 1, R1);
    overlapping_end(f, Size::Byte)?;
    f.bind(one);
    f.jump(out);
    Ok(())
}

/// The last `size` bytes of the name at `R9`, `R8` bytes, to the same place behind `R7`.
fn overlapping_end(f: &mut Function<'_>, size: Size) -> Result<(), BuildError> {
    let back = i32::try_from(size.bytes()).expect("eight at most");
    f.alu_reg(AluOp::Add, R9, R8);
    f.alu(AluOp::Sub, R9, back);
    f.cast(R9, WORDS)?;
    f.load(size, R1, R0, 0);
    // the verifier takes an offset into a map's value only if it cannot be negative
    f.alu(AluOp::Sub, R8, back);
    f.alu_reg(AluOp::Add, R7, R8);
    f.store(size, R7, 0, R1);
    Ok(())
}
