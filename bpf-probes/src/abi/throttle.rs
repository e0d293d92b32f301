//! Cgroups whose processes begin and end too often.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Header, MAX_CGROUP_NAME};

/// Entries of [`super::map_name::RATES`]; the one looked at longest ago goes first.
pub const RATES: u32 = 16_384;
/// How long after its last [`ThrottleRecord`] a cgroup is let go, in nanoseconds.
pub const THROTTLE_LASTS: u64 = 6_000_000_000;
/// How often a CPU says that a cgroup is still over its rate there, in nanoseconds: the rate has been kept for five seconds when it is let go.
pub const THROTTLE_REPEATS: u64 = 1_000_000_000;

/// Key of the map [`super::map_name::RATES`].
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct RateKey {
    /// Cgroup v2 id.
    pub cgroup_id: u64,
    /// The CPU.
    pub cpu: u32,
    /// Unused, zero.
    pub reserved: u32,
}

/// Value of the map [`super::map_name::RATES`]: how often processes of a cgroup were forked, called exec or ended on a CPU. Only programs on that CPU
/// change it. Times are those of [`Header::ktime`].
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct Rate {
    /// When the interval began that is counted now.
    pub start: u64,
    /// How often in it.
    pub current: u64,
    /// How often in the interval before.
    pub previous: u64,
    /// When the last [`ThrottleRecord`] was sent; 0 for never.
    pub told: u64,
}

/// A cgroup went over its rate on some CPU, or is still over it. Until [`THROTTLE_LASTS`] after it the execs of the cgroup on that CPU are withheld.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct ThrottleRecord {
    /// Kind [`super::RecordKind::Throttle`].
    pub header: Header,
    /// Cgroup v2 id.
    pub cgroup_id: u64,
    /// Its name, ended by NUL; empty if it could not be read.
    pub name: [u8; MAX_CGROUP_NAME as usize],
}
