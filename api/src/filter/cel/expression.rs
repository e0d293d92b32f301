//! An expression as a whole: read, checked, and asked of events.

use prost_reflect::DynamicMessage;

use super::{check, evaluate, parse, syntax};
use crate::convert::to_wire;
use crate::event::Event;
use crate::json::descriptor;
use crate::wire::GetEventsResponse;

/// An expression, ready to be evaluated.
#[derive(Debug, Clone)]
pub(in crate::filter) struct Expression {
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
    pub(in crate::filter) fn compile(text: &str) -> Result<Self, String> {
        let mut root = parse::expression(text)?;
        let events = check::expression(&mut root)?;
        Ok(Self { root, events })
    }

    /// Whether it is true of the event. What has no value (an element that is not there, a number too large) is not true.
    pub(in crate::filter) fn is_true_of(&self, event: &Event) -> bool {
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
