//! What is wrong with a policy, as data.
//!
//! A stage collects [`Diagnostic`]s in a [`Report`] and hands all of them back at once; the next stage runs only
//! when none of them is an error. A [`Code`] is stable and explains itself. [`render`] turns findings into one
//! output format a file; no other code knows a format.

mod code;
#[expect(clippy::module_inception, reason = "the noun this folder is about")]
mod diagnostic;
pub mod render;
mod report;

pub use code::{Code, UnknownCode};
pub use diagnostic::{Diagnostic, Label, Severity};
pub use report::{MAX_FINDINGS, Report};
