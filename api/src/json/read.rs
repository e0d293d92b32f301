//! JSON text to the model.

use super::message::{ReadError, read_message};
use crate::convert;
use crate::event::Event;
use crate::wire;

/// The event in `line`, one JSON object as this crate or another agent writes it.
///
/// # Errors
///
/// Where `line` is no JSON, a field has the wrong type, or there is no event of a known type.
pub fn read_event(line: &[u8]) -> Result<Event, ReadError> {
    let message: wire::GetEventsResponse = read_message(line)?;
    Ok(convert::from_wire(message)?)
}
