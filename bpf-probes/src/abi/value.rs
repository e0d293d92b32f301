//! Values of arguments in a hook record.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Bits of [`ValueHeader::flags`].
pub mod value_flag {
    /// The value could not be read; `len` is 0 and `status` the errno.
    pub const ERROR: u16 = 1;
    /// The path walk ended before the root.
    pub const UNRESOLVED_COMPONENTS: u16 = 2;
    /// The value is longer than what was read.
    pub const TRUNCATED: u16 = 4;
    /// The bytes come in [`crate::abi::DataRecord`]s; in their place stand a `u64` each for how many there were, the time in the pieces' key (whose process is the
    /// thread), and how many were sent.
    pub const PIECES: u16 = 8;
}

/// Before each value; the bytes follow, padded with zeros to a multiple of 8. Integers are 8 bytes, extended to 64 bits with the sign of
/// their type. What a value means is not in the record but in the compiled hook's layout.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct ValueHeader {
    /// Bytes of the value, padding not included.
    pub len: u32,
    /// [`value_flag`] bits.
    pub flags: u16,
    /// `i_mode` of a file or path; family of a `struct sockaddr_un`; the errno (positive) of a value that could not be read; else 0.
    pub status: u16,
}
