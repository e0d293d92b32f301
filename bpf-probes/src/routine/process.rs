//! What a task is: credentials, namespaces, pid in its own namespace.

use std::mem::offset_of;

use crate::abi::{Credentials, Namespaces};
use crate::builder::{BuildError, Function};
use crate::insn::{AluOp, Register, Size};
use crate::kernel::Namespace;
use Register::{R0, R1, R2, R3, R4, R5};

/// Stores the [`Credentials`] of the `struct cred` at `cred` to `record + offset` (both callee-saved).
///
/// # Errors
/// When the kernel's types lack a field.
pub fn read_credentials(
    f: &mut Function<'_>,
    cred: Register,
    record: Register,
    offset: usize,
) -> Result<(), BuildError> {
    let at = |field: usize| i16::try_from(offset + field).expect("records are small");
    let ids: [(usize, &str); 9] = [
        (offset_of!(Credentials, uid), "uid.val"),
        (offset_of!(Credentials, gid), "gid.val"),
        (offset_of!(Credentials, suid), "suid.val"),
        (offset_of!(Credentials, sgid), "sgid.val"),
        (offset_of!(Credentials, euid), "euid.val"),
        (offset_of!(Credentials, egid), "egid.val"),
        (offset_of!(Credentials, fsuid), "fsuid.val"),
        (offset_of!(Credentials, fsgid), "fsgid.val"),
        (offset_of!(Credentials, securebits), "securebits"),
    ];
    for group in ids.chunks(5) {
        let registers = [R1, R2, R3, R4, R5];
        let fields: Vec<_> = registers.iter().zip(group).map(|(reg, (_, path))| (*reg, *path)).collect();
        f.read_many(cred, "cred", &fields)?;
        for (register, (field, _)) in registers.iter().zip(group) {
            f.store(Size::Word, record, at(*field), *register);
        }
    }
    f.read_many(
        cred,
        "cred",
        &[(R1, "cap_permitted"), (R2, "cap_effective"), (R3, "cap_inheritable"), (R4, "user_ns")],
    )?;
    f.store(Size::Double, record, at(offset_of!(Credentials, permitted)), R1);
    f.store(Size::Double, record, at(offset_of!(Credentials, effective)), R2);
    f.store(Size::Double, record, at(offset_of!(Credentials, inheritable)), R3);
    f.read_many(R4, "user_namespace", &[(R1, "level"), (R2, "owner.val"), (R3, "group.val")])?;
    f.store(Size::Word, record, at(offset_of!(Credentials, user_ns_level)), R1);
    f.store(Size::Word, record, at(offset_of!(Credentials, user_ns_uid)), R2);
    f.store(Size::Word, record, at(offset_of!(Credentials, user_ns_gid)), R3);
    Ok(())
}

/// Where the kernel keeps a task's namespace of some kind.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NamespaceSource {
    /// Behind a pointer in `task->nsproxy`, to a struct of that name (`include/linux/nsproxy.h`).
    Proxy {
        /// Member of `struct nsproxy`.
        member: &'static str,
        /// What it points to.
        container: &'static str,
    },
    /// With the task's process number: `struct upid::ns`, see [`pid_number`].
    Pid,
    /// With its credentials: `struct cred::user_ns`.
    User,
}

/// Where the kernel keeps namespaces of that kind.
pub const fn namespace_source(kind: Namespace) -> NamespaceSource {
    let (member, container) = match kind {
        Namespace::Pid => return NamespaceSource::Pid,
        Namespace::User => return NamespaceSource::User,
        Namespace::Uts => ("uts_ns", "uts_namespace"),
        Namespace::Ipc => ("ipc_ns", "ipc_namespace"),
        Namespace::Mnt => ("mnt_ns", "mnt_namespace"),
        Namespace::PidForChildren => ("pid_ns_for_children", "pid_namespace"),
        Namespace::Net => ("net_ns", "net"),
        Namespace::Time => ("time_ns", "time_namespace"),
        Namespace::TimeForChildren => ("time_ns_for_children", "time_namespace"),
        Namespace::Cgroup => ("cgroup_ns", "cgroup_namespace"),
    };
    NamespaceSource::Proxy { member, container }
}

/// Stores the [`Namespaces`] of the task in `task` to `record + offset` (both callee-saved); uses the callee-saved `spare`.
///
/// # Errors
/// When the kernel's types lack a field that every supported kernel has.
pub fn read_namespaces(
    f: &mut Function<'_>,
    task: Register,
    record: Register,
    offset: usize,
    spare: Register,
) -> Result<(), BuildError> {
    let at = |field: usize| i16::try_from(offset + field).expect("records are small");
    let members: [(usize, Namespace); 8] = [
        (offset_of!(Namespaces, uts), Namespace::Uts),
        (offset_of!(Namespaces, ipc), Namespace::Ipc),
        (offset_of!(Namespaces, mnt), Namespace::Mnt),
        (offset_of!(Namespaces, pid_for_children), Namespace::PidForChildren),
        (offset_of!(Namespaces, net), Namespace::Net),
        (offset_of!(Namespaces, time), Namespace::Time),
        (offset_of!(Namespaces, time_for_children), Namespace::TimeForChildren),
        (offset_of!(Namespaces, cgroup), Namespace::Cgroup),
    ];
    f.read(spare, task, "task_struct", "nsproxy")?;
    for (field, kind) in members {
        let NamespaceSource::Proxy { member, container } = namespace_source(kind) else { continue };
        if f.facts().has_field("nsproxy", member) && f.facts().has_field(container, "ns.inum") {
            f.read(R4, spare, "nsproxy", member)?;
            f.read(R1, R4, container, "ns.inum")?;
            f.store(Size::Word, record, at(field), R1);
        } else {
            f.store_imm(Size::Word, record, at(field), 0);
        }
    }
    f.read(spare, task, "task_struct", "cred")?;
    f.read(R4, spare, "cred", "user_ns")?;
    f.read(R1, R4, "user_namespace", "ns.inum")?;
    f.store(Size::Word, record, at(offset_of!(Namespaces, user)), R1);
    pid_number(f, task, spare)?;
    f.read(R4, spare, "upid", "ns")?;
    f.read(R1, R4, "pid_namespace", "ns.inum")?;
    f.store(Size::Word, record, at(offset_of!(Namespaces, pid)), R1);
    Ok(())
}

/// `R1 = pid of the task in `task` in its innermost pid namespace` (`kernel/pid.c: task_active_pid_ns`, `pid_nr_ns`); uses the callee-saved `spare`. For
/// a task that leads its thread group.
///
/// # Errors
/// When the kernel's types lack a field.
pub fn ns_tgid(f: &mut Function<'_>, task: Register, spare: Register) -> Result<(), BuildError> {
    pid_number(f, task, spare)?;
    f.read(R1, spare, "upid", "nr")
}

/// `spare = &task->thread_pid->numbers[thread_pid->level]`, a `struct upid *`.
///
/// # Errors
/// When the kernel's types lack a field.
pub fn pid_number(f: &mut Function<'_>, task: Register, spare: Register) -> Result<(), BuildError> {
    let numbers = f.facts().offset_of("pid", "numbers")?;
    let upid = f.facts().btf.struct_named("upid")?;
    let stride = f.facts().btf.size_of(upid)?;
    f.read(spare, task, "task_struct", "thread_pid")?;
    f.read(R0, spare, "pid", "level")?;
    f.alu(AluOp::And, R0, 0x3f);
    f.alu(AluOp::Mul, R0, stride.cast_signed());
    f.alu(AluOp::Add, R0, numbers.cast_signed());
    f.alu_reg(AluOp::Add, spare, R0);
    Ok(())
}
