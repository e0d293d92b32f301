//! Findings in the formats of terminals and tools. One format a file; each takes the text and the findings and
//! returns a string.

mod json;
mod sarif;
mod terminal;

pub use json::json;
pub use sarif::sarif;
pub use terminal::{Style, terminal};
