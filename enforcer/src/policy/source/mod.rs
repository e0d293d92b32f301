//! Where policies come from besides the API: files, read once at start.

mod files;

pub use files::{ReadError, read_directory, read_file};
