//! A policy matched at a hook.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Header, ProcessKey};

/// Actions in a hook record; numbers as on the wire (`KprobeAction`).
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[repr(u8)]
pub enum Action {
    /// Reported only.
    Post = 1,
    /// Killed with SIGKILL.
    Sigkill = 3,
    /// Denied with an errno.
    Override = 5,
    /// The daemon is to fetch a URL.
    GetUrl = 7,
    /// The daemon is to look up a name.
    DnsLookup = 8,
    /// Sent a signal.
    Signal = 10,
    /// The owner of a socket was remembered.
    TrackSock = 11,
    /// It was forgotten.
    UntrackSock = 12,
    /// Told the enforcers.
    NotifyEnforcer = 13,
    /// Took back what they were told.
    CleanupEnforcerNotification = 14,
    /// An argument in memory was written.
    Set = 15,
}

impl Action {
    /// The action with this number.
    pub fn from_number(number: u8) -> Option<Self> {
        [
            Self::Post,
            Self::Sigkill,
            Self::Override,
            Self::GetUrl,
            Self::DnsLookup,
            Self::Signal,
            Self::TrackSock,
            Self::UntrackSock,
            Self::NotifyEnforcer,
            Self::CleanupEnforcerNotification,
            Self::Set,
        ]
        .into_iter()
        .find(|action| *action as u8 == number)
    }
}

/// Bits of [`HookRecord::flags`].
pub mod hook_flag {
    /// The kernel side does not know the process.
    pub const PROCESS_NOT_FOUND: u8 = 1;
    /// The policy was in monitor mode: the action was counted, not done.
    pub const MONITOR: u8 = 2;
    /// In a [`crate::abi::ReturnRecord`]: the call is none that the policy asks for, and its entry's record is to be forgotten.
    pub const DISMISSED: u8 = 4;
    /// The action was tried and failed.
    pub const ACTION_FAILED: u8 = 8;
    /// Behind the values and stacks follows a [`crate::abi::FileHash`].
    pub const FILE_HASH: u8 = 16;
    /// Behind the values follow the frames of the kernel's stack, as a value of 8 bytes each, the innermost first.
    pub const KERNEL_STACK: u8 = 64;
    /// And then those of the program's stack.
    pub const USER_STACK: u8 = 128;
}

/// A policy matched at a hook. The values of the policy's arguments follow, each behind a [`super::ValueHeader`].
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct HookRecord {
    /// Kind [`super::RecordKind::Hook`].
    pub header: Header,
    /// The current process.
    pub process: ProcessKey,
    /// The current thread.
    pub tid: u32,
    /// Number of the record's layout: policy and hook (assigned by the daemon, never reused while records may be in flight).
    pub layout: u32,
    /// Which selector of the policy's hook matched, from 0.
    pub selector: u16,
    /// An [`Action`] number: the last one done.
    pub action: u8,
    /// [`hook_flag`] bits.
    pub flags: u8,
    /// How many values follow.
    pub values: u32,
}

/// Frames of a stack (`kernel.perf_event_max_stack` unless it is changed).
pub const STACK_FRAMES: u32 = 127;

/// Most bytes of one hook record.
pub const MAX_HOOK_RECORD: u32 = 24_576;
