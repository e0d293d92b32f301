//! Tests of the parent.
//!
//! The parent is the process that the kernel calls so now, as long as it is the one that was known at exec or fork: its entry in the process table has its
//! classes. A process whose parent has exited belongs to another one; of its own nothing is known any more, and it passes.

use std::mem::offset_of;

use Register::{R0, R1, R7, R8, R10};
use bpf_probes::abi::{ProcessState, map_name};
use bpf_probes::asm::Label;
use bpf_probes::builder::{BuildError, Function};
use bpf_probes::insn::{Condition, Register, Size};

use super::memory::{load, store, store_imm};
use super::program::Emitter;
use crate::policy::Sense;

impl Emitter<'_> {
    /// Notes the parent's classes, where a test looks at them. `R0` points to the process's state.
    pub(super) fn note_parent(&self, f: &mut Function<'_>) -> Result<(), BuildError> {
        let state = self.state();
        if state.parent_classes.is_empty() {
            return Ok(());
        }
        let unknown = f.label();
        let field = |offset: usize| i16::try_from(offset).expect("a process's state is small");
        f.comment("which classes the parent is in");
        f.load(Size::Word, R8, R0, field(offset_of!(ProcessState, parent.tgid)));
        store_imm(f, Size::Word, state.parent_known, 0)?;
        f.current_task();
        f.copy(R7, R0);
        f.read(R7, R7, "task_struct", "real_parent")?;
        f.read(R7, R7, "task_struct", "tgid")?;
        f.jump_if_reg(Condition::Ne, R7, R8, unknown);
        f.scope(|f| {
            let key = f.slot(8)?;
            f.store(Size::Double, R10, key.offset(), R7);
            f.lookup(map_name::PROCESSES, key, unknown);
            Ok(())
        })?;
        for (&word, &place) in &state.parent_classes {
            let at = offset_of!(ProcessState, classes) + 8 * word as usize;
            f.load(Size::Double, R1, R0, field(at));
            store(f, Size::Double, place, R1)?;
        }
        store_imm(f, Size::Word, state.parent_known, 1)?;
        f.bind(unknown);
        Ok(())
    }

    /// The parent is in the class, or is not, or is not known.
    pub(super) fn parent_class(
        &self,
        f: &mut Function<'_>,
        number: u32,
        sense: Sense,
        fail: Label,
    ) -> Result<(), BuildError> {
        let state = self.state();
        let Some(word) = state.parent_classes.get(&(number / 64)) else { return Ok(()) };
        let pass = f.label();
        load(f, Size::Word, R1, state.parent_known)?;
        f.jump_if(Condition::Eq, R1, 0, pass);
        Self::bit(f, *word, number % 64, sense, fail)?;
        f.bind(pass);
        Ok(())
    }
}
