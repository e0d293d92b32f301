//! The model to JSON text, into a buffer of the caller, without allocating for an event.

mod argument;
mod credentials;
mod event;
mod hook;
mod object;
mod process;
mod scalar;

pub use event::write_event;
pub(crate) use process::ProcessJson;
pub use scalar::write_timestamp;
