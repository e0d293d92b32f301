//! Expressions on events, in the Common Expression Language: what `cel_expression` of a filter holds.
//!
//! In comes text, out comes an [`Expression`] whose names, fields and result are known to be right. A variable is an event by the name of its field
//! in the API (`process_exec`), and has the fields of its message. An expression that speaks of other events than the one at hand does not match.
//! Whatever its author wants, it ends: its size, its depth, what it compiles to and the steps that it takes are bounded.

mod address;
mod check;
mod evaluate;
mod function;
mod parse;
mod syntax;
mod token;
mod value;

use prost_reflect::{DynamicMessage, MessageDescriptor};

use crate::convert::to_wire;
use crate::event::Event;
use crate::json::descriptor;
use crate::wire::GetEventsResponse;

/// An expression, ready to be evaluated.
#[derive(Debug, Clone)]
pub(super) struct Expression {
    root: syntax::Expr,
    /// The events that it speaks of; none: any.
    events: Vec<String>,
}

impl Expression {
    /// Reads and checks an expression.
    ///
    /// # Errors
    ///
    /// What is wrong with it, and where.
    pub(super) fn compile(text: &str) -> Result<Self, String> {
        let mut root = parse::expression(text)?;
        let events = check::expression(&mut root)?;
        Ok(Self { root, events })
    }

    /// Whether it is true of the event. What has no value (an element that is not there, a number too large) is not true.
    pub(super) fn is_true_of(&self, event: &Event) -> bool {
        let kind = event.event_type();
        let message = descriptor::<GetEventsResponse>();
        let field = u32::try_from(kind.number()).ok().and_then(|number| message.get_field(number));
        let Some(field) = field.filter(|field| self.speaks_of(field.name())) else { return false };
        let mut whole = DynamicMessage::new(message);
        if whole.transcode_from(&to_wire(event)).is_err() {
            return false;
        }
        let inner = whole.get_field(&field);
        let Some(inner) = inner.as_message() else { return false };
        evaluate::is_true(&self.root, field.name(), inner)
    }

    fn speaks_of(&self, event: &str) -> bool {
        self.events.is_empty() || self.events.iter().any(|name| name == event)
    }
}

/// The message of the event with that name.
fn event_message(name: &str) -> Option<MessageDescriptor> {
    let field = descriptor::<GetEventsResponse>().get_field_by_name(name)?;
    field.containing_oneof()?;
    field.kind().as_message().cloned()
}

#[cfg(test)]
mod tests;
