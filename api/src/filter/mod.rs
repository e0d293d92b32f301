//! Who wants an event, and how much of it: allow and deny lists, field filters, redaction and aggregation, compiled.
//!
//! The daemon filters each listener's stream with it, `tetra` what it reads from a file. A field that cannot be evaluated is
//! an error with its name, never ignored.

mod aggregate;
mod capability;
mod cel;
mod compile;
mod condition;
mod label;
mod list;
mod mask;
mod pid_set;
mod redact;
mod text;

pub use aggregate::{AGGREGATION_HELD, AGGREGATION_WINDOW, Aggregation, Offered};
pub use condition::FilterError;
pub use list::FilterLists;
pub use mask::FieldFilters;
pub use redact::Redaction;
pub use text::{read_field_filters, read_filters, read_redaction_filters};
