//! What every record begins with.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// The kinds of record; the number stands in [`Header::kind`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
pub enum RecordKind {
    /// [`super::ExecRecord`]
    Exec = 1,
    /// [`super::ForkRecord`]
    Fork = 2,
    /// [`super::ExitRecord`]
    Exit = 3,
    /// [`super::HookRecord`]
    Hook = 4,
    /// [`super::DataRecord`]
    Data = 5,
    /// [`super::ReturnRecord`]
    Return = 6,
    /// [`super::ThrottleRecord`]
    Throttle = 7,
    /// [`super::ExitRecord`], of a process that began while its cgroup was throttled: no event is made of it.
    Gone = 8,
}

impl RecordKind {
    /// All kinds in order of number.
    pub const ALL: [Self; 8] = [
        Self::Exec,
        Self::Fork,
        Self::Exit,
        Self::Hook,
        Self::Data,
        Self::Return,
        Self::Throttle,
        Self::Gone,
    ];

    /// The kind with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| *kind as u8 == number)
    }
}

/// The first 16 bytes of a record. All integers are in the machine's byte order.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct Header {
    /// A [`RecordKind`] number.
    pub kind: u8,
    /// Unused, zero.
    pub reserved: [u8; 3],
    /// Bytes of the whole record, this header included.
    pub size: u32,
    /// Nanoseconds since boot, suspend included (`bpf_ktime_get_boot_ns`).
    pub ktime: u64,
}

/// A process as the kernel side knows it: thread group and the time at which this image of it began (its exec, or its fork when it has not
/// called exec). Zero time: not known to the kernel side.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    Eq,
    FromBytes,
    Hash,
    Immutable,
    IntoBytes,
    KnownLayout,
    Ord,
    PartialEq,
    PartialOrd,
)]
#[repr(C)]
pub struct ProcessKey {
    /// Nanoseconds since boot at which this image began.
    pub ktime: u64,
    /// Thread group id in the host's pid namespace.
    pub tgid: u32,
    /// Unused, zero.
    pub reserved: u32,
}
