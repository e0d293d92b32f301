//! Which workload the calling thread belongs to.
//!
//! A container of a pod is known by its cgroup, and owns the cgroups below. The daemon says on which levels of the hierarchy containers are, which are few; the
//! ancestor of the thread's cgroup on each of these is looked up, the deepest first, so that however deep a thread has hidden itself, one look-up a
//! level finds its container. A thread that belongs to none is the host's.

use std::mem::offset_of;

use Register::{R0, R1, R6, R7, R8, R9, R10};
use bpf_probes::abi::{Control, WORKLOAD_LEVELS, map_name};
use bpf_probes::asm::{Prototype, Subprogram};
use bpf_probes::builder::{BuildError, Facts, Function, Program};
use bpf_probes::insn::{AluOp, Condition, Helper, Register, Size};

use super::memory::store;
use super::program::Emitter;

/// Name of the function that finds the container.
const FIND: &str = "find_workload";

impl Emitter<'_> {
    /// Whether a test asks for the workload.
    pub(super) fn looks_at_workload(&self) -> bool {
        !self.state().workload_classes.is_empty()
    }

    /// Notes the classes of the thread's workload, where a test looks at them.
    pub(super) fn note_workload(&self, f: &mut Function<'_>) -> Result<(), BuildError> {
        if !self.looks_at_workload() {
            return Ok(());
        }
        let (found, host) = (f.label(), f.label());
        let cell = |offset: usize| u32::try_from(offset).expect("the cells are small");
        f.comment("which workload it is");
        f.cell(Size::Double, R1, map_name::CONTROL, cell(offset_of!(Control, levels)));
        f.jump_if(Condition::Eq, R1, 0, host);
        f.call_subprogram(FIND);
        f.jump_if(Condition::Ne, R0, 0, found);
        f.bind(host);
        f.assembler().load_map_value(R0, map_name::CONTROL, cell(offset_of!(Control, host)));
        f.bind(found);
        for (&word, &place) in &self.state().workload_classes {
            let at = f.offset(8 * word)?;
            f.load(Size::Double, R1, R0, at);
            store(f, Size::Double, place, R1)?;
        }
        Ok(())
    }

    /// Adds the function that finds the container, where a test asks for it.
    pub(super) fn add_find_workload(&self, program: &mut Program) -> Result<(), BuildError> {
        if self.looks_at_workload() {
            program.add(find(self.facts)?);
        }
        Ok(())
    }
}

/// `find_workload(levels) -> classes or null`
fn find(facts: &Facts<'_>) -> Result<Subprogram, BuildError> {
    let mut f = Function::new(FIND, Prototype::Static { arguments: 1 }, facts).with_frame(48);
    let key = f.slot(8)?;
    let (found, none) = (f.label(), f.label());
    f.copy(R6, R1);
    if !facts.ancestor_cgroup_id {
        f.current_task();
        f.copy(R9, R0);
        f.read(R9, R9, "task_struct", "cgroups")?;
        f.read(R9, R9, "css_set", "dfl_cgrp")?;
    }
    f.repeat(R7, i32::try_from(WORKLOAD_LEVELS).expect("bytes of a word"), |f| {
        let next = f.label();
        f.copy(R8, R6);
        f.alu(AluOp::And, R8, 0xff);
        f.jump_if(Condition::Eq, R8, 0, none);
        f.alu(AluOp::Rsh, R6, 8);
        if facts.ancestor_cgroup_id {
            f.copy(R1, R8);
            f.call(Helper::GetCurrentAncestorCgroupId);
        } else {
            // an array of numbers behind the cgroup, one for each level down to its own
            f.read(R1, R9, "cgroup", "level")?;
            f.jump_if_reg(Condition::Lt, R1, R8, next);
            let ids = f.facts().offset_of("cgroup", "ancestor_ids")?;
            f.alu(AluOp::Lsh, R8, 3);
            f.alu_reg(AluOp::Add, R8, R9);
            f.alu(AluOp::Add, R8, ids.cast_signed());
            f.read(R0, R8, "list_head", "next")?;
        }
        f.jump_if(Condition::Eq, R0, 0, next);
        f.store(Size::Double, R10, key.offset(), R0);
        f.lookup(map_name::WORKLOADS, key, next);
        f.copy(R1, R0);
        f.jump_if(Condition::Ne, R1, 0, found);
        f.bind(next);
        Ok(())
    })?;
    f.bind(none);
    f.constant(R0, 0);
    f.bind(found);
    f.return_result();
    f.finish()
}
