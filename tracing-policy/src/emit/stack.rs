//! Stacks that reports carry.
//!
//! The program's entry takes them, where it has its context, before the policies act; each record that is to carry one gets its copy.

use std::mem::offset_of;

use Register::{R0, R1, R2, R3, R4, R6, R7, R8, R9, R10};
use bpf_probes::abi::{HookRecord, STACK_FRAMES, hook_flag};
use bpf_probes::builder::{BuildError, Function, Slot};
use bpf_probes::insn::{AluOp, Condition, Helper, Register, Size};

use super::memory::{address, load, store};
use super::output::append_error;
use super::program::Emitter;
use crate::ir::{Hook, Rider, Selector};
use crate::policy::PostOptions;

/// Bytes of the frames of one stack.
const STACK_BYTES: u32 = 8 * STACK_FRAMES;
/// Bytes that one stack has in its area.
const STACK_ROOM: u32 = 1024;
/// Flag of the helper: the stack of user space.
const USER: u64 = 1 << 8;

/// A stack.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Stack {
    Kernel,
    User,
}

/// Where the stacks of a call are kept.
#[derive(Clone, Copy, Debug)]
pub(super) struct StackState {
    /// `i64`s: bytes of the kernel's and the program's, or why there are none.
    pub(super) lengths: [u32; 2],
    /// Which of the areas they are in.
    pub(super) area: usize,
}

impl Stack {
    const ALL: [Self; 2] = [Self::Kernel, Self::User];

    fn is_asked_for(self, post: PostOptions) -> bool {
        match self {
            Self::Kernel => post.kernel_stack,
            Self::User => post.user_stack,
        }
    }

    fn flag(self) -> u8 {
        match self {
            Self::Kernel => hook_flag::KERNEL_STACK,
            Self::User => hook_flag::USER_STACK,
        }
    }
}

/// What a match of the selector reports, as bits of [`HookRecord::flags`].
pub(super) fn flags(selector: &Selector) -> u8 {
    let asked = Stack::ALL.into_iter().filter(|stack| is_taken(*stack, selector));
    asked.fold(0, |flags, stack| flags | stack.flag())
}

fn is_taken(stack: Stack, selector: &Selector) -> bool {
    selector.posts() && stack.is_asked_for(selector.post)
}

/// Whether a report of the hook carries a stack.
pub(super) fn are_reported(hook: &Hook) -> bool {
    hook.selectors().any(|selector| flags(selector) != 0)
}

/// Bytes that stacks add to the records of a hook.
pub(super) fn record_bytes(hook: &Hook) -> u32 {
    if are_reported(hook) { 2 * STACK_ROOM } else { 0 }
}

impl Emitter<'_> {
    /// Keeps the context, which is in `R9`, for [`Emitter::take_stacks`]; `None` where no stack is reported.
    pub(super) fn keep_context(&self, f: &mut Function<'_>) -> Result<Option<Slot>, BuildError> {
        if self.state().stacks.is_none() {
            return Ok(None);
        }
        let slot = f.slot(8)?;
        f.store(Size::Double, R10, slot.offset(), R9);
        Ok(Some(slot))
    }

    /// Takes the stacks that a selector reports which still may match.
    pub(super) fn take_stacks(&self, f: &mut Function<'_>, context: Option<Slot>) -> Result<(), BuildError> {
        let (Some(stacks), Some(context)) = (self.state().stacks, context) else { return Ok(()) };
        let area = self.memory.areas[stacks.area];
        for (stack, place) in Stack::ALL.into_iter().zip(0_u32..) {
            let takers: Vec<_> = self.numbered().filter(|it| is_taken(stack, it.selector)).collect();
            if takers.is_empty() {
                continue;
            }
            f.comment(match stack {
                Stack::Kernel => "the kernel's stack",
                Stack::User => "the program's stack",
            });
            let (take, skip) = (f.label(), f.label());
            if !self.single {
                for it in &takers {
                    load(f, Size::Byte, R1, self.state().alive + it.index)?;
                    f.jump_if(Condition::Ne, R1, 0, take);
                }
                f.jump(skip);
            }
            f.bind(take);
            f.load(Size::Double, R1, R10, context.offset());
            address(f, R2, area + place * STACK_ROOM);
            f.constant(R3, u64::from(STACK_BYTES));
            f.constant(R4, if stack == Stack::User { USER } else { 0 });
            f.call(Helper::GetStack);
            store(f, Size::Double, stacks.lengths[place as usize], R0)?;
            f.bind(skip);
        }
        Ok(())
    }

    /// Appends the stacks that the selector which matched reports, at `R7 + R8`.
    pub(super) fn append_stacks(&self, f: &mut Function<'_>, rider: &Rider) -> Result<(), BuildError> {
        let Some(stacks) = self.state().stacks else { return Ok(()) };
        for (stack, place) in Stack::ALL.into_iter().zip(0_u32..) {
            if !rider.selectors.iter().any(|selector| is_taken(stack, selector)) {
                continue;
            }
            let (behind, taken, fits) = (f.label(), f.label(), f.label());
            let flags = i16::try_from(offset_of!(HookRecord, flags)).expect("records are small");
            f.load(Size::Byte, R1, R7, flags);
            f.alu(AluOp::And, R1, i32::from(stack.flag()));
            f.jump_if(Condition::Eq, R1, 0, behind);
            load(f, Size::Double, R0, stacks.lengths[place as usize])?;
            f.jump_if(Condition::SGe, R0, 0, taken);
            append_error(f);
            f.jump(behind);
            f.bind(taken);
            f.copy(R9, R0);
            f.jump_if(Condition::Le, R9, STACK_BYTES.cast_signed(), fits);
            f.constant(R9, u64::from(STACK_BYTES));
            f.bind(fits);
            f.copy(R1, R7);
            f.alu_reg(AluOp::Add, R1, R8);
            f.store(Size::Double, R1, 0, R9);
            f.alu(AluOp::Add, R1, 8);
            f.alu(AluOp::Add, R8, 8);
            f.jump_if(Condition::Eq, R9, 0, behind);
            f.copy(R2, R9);
            f.copy(R3, R6);
            f.alu(AluOp::Add, R3, (self.memory.areas[stacks.area] + place * STACK_ROOM).cast_signed());
            f.call(Helper::ProbeReadKernel);
            f.alu_reg(AluOp::Add, R8, R9);
            f.bind(behind);
        }
        Ok(())
    }
}
