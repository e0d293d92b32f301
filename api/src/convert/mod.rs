//! The event model to protobuf messages, and back.
//!
//! Out comes what [`crate::json`] writes, message for message; a test holds the two together.

mod argument;
mod encode;
mod event;
mod hook;
mod object;
mod process;

pub(crate) use encode::ProcessFields;
pub use encode::{EncodedEvent, Encoder};
pub use event::{UnknownEvent, from_wire, to_wire};
pub use process::process_to_wire;
