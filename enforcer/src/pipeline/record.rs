//! What passes between decoding and identification: records, checked and still borrowed from their ring.

use bpf_probes::abi::{
    DataRecord, ExecRecord, ExitRecord, ForkRecord, HookRecord, ReturnRecord, ThrottleRecord,
};

/// A record whose lengths have been checked.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Record<'ring> {
    /// A process replaced its image.
    Exec(Exec<'ring>),
    /// A process came into being.
    Fork(&'ring ForkRecord),
    /// A process ended.
    Exit(&'ring ExitRecord),
    /// A policy matched.
    Hook(Hook<'ring>),
    /// A piece of a long value.
    Data(Data<'ring>),
    /// A call returned.
    Return(Return<'ring>),
    /// A cgroup is throttled.
    Throttle(&'ring ThrottleRecord),
    /// A process ended of which no event is to be made.
    Gone(&'ring ExitRecord),
}

impl Record<'_> {
    /// Its time, in nanoseconds since boot.
    pub(crate) const fn ktime(&self) -> u64 {
        match self {
            Self::Exec(exec) => exec.fixed.header.ktime,
            Self::Fork(fork) => fork.header.ktime,
            Self::Exit(exit) | Self::Gone(exit) => exit.header.ktime,
            Self::Hook(hook) => hook.fixed.header.ktime,
            Self::Data(data) => data.fixed.header.ktime,
            Self::Return(returned) => returned.fixed.header.ktime,
            Self::Throttle(throttle) => throttle.header.ktime,
        }
    }
}

/// An exec record and its variable parts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exec<'ring> {
    /// The fixed part.
    pub(crate) fixed: &'ring ExecRecord,
    /// The file name as given to exec, without NUL.
    pub(crate) filename: &'ring [u8],
    /// The path that the kernel resolved, without NUL.
    pub(crate) path: &'ring [u8],
    /// The working directory, without NUL.
    pub(crate) cwd: &'ring [u8],
    /// The cgroup's name, without NUL.
    pub(crate) cgroup: &'ring [u8],
    /// The arguments in this record, each ended by NUL.
    pub(crate) arguments: &'ring [u8],
}

/// A hook record and its values, which [`super::decode::values`] takes apart.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Hook<'ring> {
    /// The fixed part.
    pub(crate) fixed: &'ring HookRecord,
    /// The values, each behind its header.
    pub(crate) values: &'ring [u8],
}

/// A return record and its value.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Return<'ring> {
    /// The fixed part.
    pub(crate) fixed: &'ring ReturnRecord,
    /// The value, behind its header.
    pub(crate) values: &'ring [u8],
}

/// A data record.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Data<'ring> {
    /// The fixed part.
    pub(crate) fixed: &'ring DataRecord,
    /// The piece.
    pub(crate) payload: &'ring [u8],
}
