//! JSON of the event model, by the rules of protobuf's JSON mapping with the proto names kept.
//!
//! - Fields come in the order of their numbers; what is unset or has its default is left out; wrappers are written even
//!   when 0.
//! - 64-bit integers are strings, bytes are base64, enumerations are names, times are RFC 3339 in UTC with 0, 3, 6 or 9
//!   digits of fraction.

mod message;
#[cfg(test)]
mod property;
mod read;
mod write;

pub(crate) use message::descriptor;
pub use message::{ReadError, read_message, write_message};
pub use read::read_event;
pub(crate) use write::ProcessJson;
pub use write::{write_event, write_timestamp};
