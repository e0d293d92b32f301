//! Who wants an event: the allow and deny lists of the API, compiled.
//!
//! The daemon filters each listener's stream with it, `tetra` what it reads from a file. A field that cannot be evaluated is
//! an error with its name, never ignored.

mod capability;
mod condition;
mod list;

pub use condition::FilterError;
pub use list::FilterLists;
