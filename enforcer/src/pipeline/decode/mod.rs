//! Stage 2: raw records to records.
//!
//! In come bytes of a ring, out goes a [`super::record::Record`] that borrows them. Every length is checked against the bytes there are and,
//! for the values of a hook, against its layout. No bytes whatever make it panic or read outside; nothing is copied.

mod object;
mod record;
mod stack;
mod value;

pub(crate) use object::RawObject;
pub use record::DecodeErrorKind;
pub(crate) use record::{DecodeError, decode};
pub(crate) use stack::Frames;
pub(crate) use value::{LongValue, RawValue, Returned, Values, returned, values};
