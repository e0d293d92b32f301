//! Events as JSON, one a line.
//!
//! Invariants:
//! - A reader never finds half a line. A line leaves in one piece or is taken back; what a crash left is cut off.
//! - A line is counted as written when it is in a file that has a name.
//! - A file is put aside between lines only, and on the disk before. Where that fails, lines go on in it.

mod backup;
mod file;
#[cfg(test)]
mod fixture;
mod lines;
mod log_file;
mod rotation;
mod stdout;
mod tidy;

pub use file::{FileOptions, FileSink};
pub use rotation::{Rotation, RotationHandle};
pub use stdout::StdoutSink;
