//! Whose a socket is.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Entries of [`super::map_name::SOCKETS`]; the one looked at longest ago goes first.
pub const SOCKETS: u32 = 32_000;

/// Value of the map [`super::map_name::SOCKETS`], keyed by the address of the `struct sock` (`u64`): who was running when it was tracked.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct SocketOwner {
    /// When the process's image began, 0 when it is not known.
    pub ktime: u64,
    /// Thread group in the host's pid namespace.
    pub tgid: u32,
    /// The thread.
    pub tid: u32,
}
