//! The cgroup of a task.

use crate::builder::{BuildError, Function};
use crate::insn::Register;

/// Makes the address of a `task_struct` in `register` that of the name of its cgroup (version 2), which ends with NUL (`include/linux/cgroup.h: task_dfl_cgroup`).
///
/// # Errors
/// When the kernel's types lack it.
pub(super) fn name_of(f: &mut Function<'_>, register: Register) -> Result<(), BuildError> {
    f.read(register, register, "task_struct", "cgroups")?;
    f.read(register, register, "css_set", "dfl_cgrp")?;
    f.read(register, register, "cgroup", "kn")?;
    f.read(register, register, "kernfs_node", "name")
}
