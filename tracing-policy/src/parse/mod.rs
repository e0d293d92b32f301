//! Step 1: text to schema.
//!
//! In goes a [`SourceText`](crate::source::SourceText), out comes a [`TracingPolicy`](crate::schema::TracingPolicy)
//! of the right shape with a span on every value and the CRD's defaults filled in, or all that is wrong with the
//! shape at once. Unknown fields, duplicate keys, values of another type and words the language does not have are
//! refused; nothing is dropped.
//!
//! `yaml` makes a tree of nodes with spans within a fixed budget of depth, nodes and copied bytes; `fields` reads
//! typed values out of nodes and notes what was not asked for; the other files say, kind by kind, which fields there
//! are. JSON is read by the same parser, YAML being a superset of it.

mod action;
mod argument;
mod document;
mod fields;
mod hook;
mod node;
mod scalar;
mod selector;
mod spec;
mod yaml;

pub use document::{policy, spec_shape};
pub(crate) use fields::{distance, shortened, suggestion};
