//! What is made from the language: custom resource definitions, and the reference.
//!
//! In goes nothing; the fields and types are those that `parse` asks for ([`crate::parse::spec_shape`]), so that a field which one of them knows and the
//! other does not cannot be. `guide` adds what a type cannot say: defaults, limits, sentences. Invariant, held by a test: it has an entry for each field,
//! and for none that does not exist.

mod definition;
mod guide;
mod reference;

pub use definition::{SCHEMA_VERSION, SCHEMA_VERSION_LABEL, definition};
pub use reference::reference;
