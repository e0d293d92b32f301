//! What a process was in and might do when its image began.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Namespaces;

/// Value of the map [`super::map_name::RECORDED`], keyed by tgid (`u32`): as it was at exec, or at fork until the first exec. What has been reported as a
/// change is written over what it changed from.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct Recorded {
    /// Namespaces.
    pub namespaces: Namespaces,
    /// Capabilities in effect, bit n is capability n.
    pub effective: u64,
    /// Those kept over exec.
    pub inheritable: u64,
    /// Those that may be put into effect.
    pub permitted: u64,
}
