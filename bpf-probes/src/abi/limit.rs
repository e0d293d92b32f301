//! When something was reported last.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Bytes of the values in a [`LimitKey`].
pub const LIMIT_BYTES: usize = 240;
/// Bit of [`LimitKey::action`].
pub const LIMIT_OF_RETURN: u32 = 1 << 8;
/// Entries of [`super::map_name::LIMITS`]; the one looked at longest ago goes first.
pub const LIMITS: u32 = 32_768;

/// Key of the map [`super::map_name::LIMITS`]: reports that are alike. The value is when one was last sent (`u64`, of [`super::Header::ktime`]), 0 for never.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct LimitKey {
    /// [`super::HookRecord::layout`]
    pub layout: u32,
    /// [`super::HookRecord::action`], with [`LIMIT_OF_RETURN`] if the report is about what a call returned.
    pub action: u32,
    /// Thread or thread group in the host's pid namespace; 0 when all count together.
    pub scope: u64,
    /// The values of the record one behind the other, a number's 8 bytes, of a text its length and its beginning, 40 in all, of an object its beginning; then zeros.
    pub values: [u8; LIMIT_BYTES],
}
