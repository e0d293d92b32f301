//! Long values that do not fit a record.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Header, ProcessKey};

/// Bytes of payload that one data record carries at most.
pub const DATA_CHUNK: u32 = 8184;

/// The numbers of [`DataRecord::value`].
pub mod data_value {
    /// The arguments of an exec, or a buffer of a hook.
    pub const ONLY: u16 = 0;
    /// The environment of an exec.
    pub const ENVIRONMENT: u16 = 1;
}

/// A piece of a long value. The pieces of one value come in order, before the record that they belong to, from the same CPU.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct DataRecord {
    /// Kind [`super::RecordKind::Data`]; `size` ends the payload.
    pub header: Header,
    /// Key of the record that it belongs to.
    pub process: ProcessKey,
    /// Bytes of payload that follow.
    pub len: u32,
    /// 0, 1, 2 … within the value.
    pub sequence: u16,
    /// Which of its record's values, a number of [`data_value`].
    pub value: u16,
}
