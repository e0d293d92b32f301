//! Who a process is to the kernel: ids, capabilities, namespaces.

use crate::name::{CapabilitySet, Securebits};

/// The three capability sets the API shows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Capabilities {
    /// What it may make effective.
    pub permitted: CapabilitySet,
    /// What the kernel checks.
    pub effective: CapabilitySet,
    /// What survives exec of a file with inheritable bits.
    pub inheritable: CapabilitySet,
}

/// One namespace of a process.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Namespace {
    /// Inode number, as in `/proc/PID/ns`.
    pub inum: u32,
    /// Whether it is the one of the host (of pid 1 in the initial pid namespace).
    pub is_host: bool,
}

/// All namespaces of a process; `None` where this kernel has no such namespace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Namespaces {
    /// Host name.
    pub uts: Option<Namespace>,
    /// System V IPC and POSIX queues.
    pub ipc: Option<Namespace>,
    /// Mounts.
    pub mnt: Option<Namespace>,
    /// Process ids.
    pub pid: Option<Namespace>,
    /// Process ids of future children.
    pub pid_for_children: Option<Namespace>,
    /// Network.
    pub net: Option<Namespace>,
    /// Clock offsets.
    pub time: Option<Namespace>,
    /// Clock offsets of future children.
    pub time_for_children: Option<Namespace>,
    /// Control groups.
    pub cgroup: Option<Namespace>,
    /// Users.
    pub user: Option<Namespace>,
}

/// A user namespace with its owner.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserNamespace {
    /// Nesting depth, 0 for the initial one.
    pub level: Option<i32>,
    /// User id of the owner.
    pub uid: Option<u32>,
    /// Group id of the owner.
    pub gid: Option<u32>,
    /// The namespace itself.
    pub ns: Option<Namespace>,
}

/// Credentials of a process or of a `struct cred` argument.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Credentials {
    /// Real user id.
    pub uid: Option<u32>,
    /// Real group id.
    pub gid: Option<u32>,
    /// Effective user id.
    pub euid: Option<u32>,
    /// Effective group id.
    pub egid: Option<u32>,
    /// Saved user id.
    pub suid: Option<u32>,
    /// Saved group id.
    pub sgid: Option<u32>,
    /// User id for file access.
    pub fsuid: Option<u32>,
    /// Group id for file access.
    pub fsgid: Option<u32>,
    /// Secure bits.
    pub securebits: Securebits,
    /// Capabilities.
    pub caps: Option<Capabilities>,
    /// User namespace.
    pub user_ns: Option<UserNamespace>,
}
