//! A process ended.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Header, ProcessKey};

/// The last thread of a thread group ended.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct ExitRecord {
    /// Kind [`super::RecordKind::Exit`].
    pub header: Header,
    /// The process.
    pub process: ProcessKey,
    /// `task->exit_code`: signal in bits 0–6, core dump in bit 7, status in bits 8–15.
    pub code: u32,
    /// The thread that ended last.
    pub tid: u32,
}
