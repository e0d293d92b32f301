//! What enforcers were told about a thread and have not done yet (`NotifyEnforcer`).

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Key of the map [`super::map_name::PENDING`].
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct PendingKey {
    /// Address of the thread's `struct task_struct`.
    pub task: u64,
    /// Number of the policy that told.
    pub policy: u64,
}

/// Value of the map [`super::map_name::PENDING`].
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct Pending {
    /// The error that the enforced call is to return, negated (1 to 4095); 0 when it is to go on.
    pub errno: u32,
    /// The signal that its caller is to get; 0 for none.
    pub signal: u32,
    /// When the thread began (`task_struct.start_boottime`): another thread may have its memory later.
    pub began: u64,
}

/// Threads that can wait for an enforcer at once.
pub const PENDING: u32 = 32_768;
