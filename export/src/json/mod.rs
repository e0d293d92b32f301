//! Events as JSON, one a line.
//!
//! Invariant: a reader never finds half a line that a later line continues. A line leaves in one piece or is taken back.

mod file;
mod lines;
mod stdout;

pub use file::{FileOptions, FileSink};
pub use stdout::StdoutSink;
