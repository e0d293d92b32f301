//! A process came into being.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Header, ProcessKey};

/// A new thread group (not a new thread).
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct ForkRecord {
    /// Kind [`super::RecordKind::Fork`].
    pub header: Header,
    /// The child.
    pub process: ProcessKey,
    /// The parent's image.
    pub parent: ProcessKey,
    /// [`super::process_flag`] bits.
    pub flags: u32,
    /// The child's pid in its innermost pid namespace.
    pub ns_tgid: u32,
    /// Cgroup id of the child.
    pub cgroup_id: u64,
}
