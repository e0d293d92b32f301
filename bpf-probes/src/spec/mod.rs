//! Blueprints: what is to be loaded, as comparable and printable values without a descriptor.
//!
//! A [`CollectionSpec`] is what the compiler and the sensors return; `load` (feature `load`) turns it into objects that own descriptors.

mod attach;
mod collection;
mod label;
mod map;
mod program;

pub use attach::{AttachSpec, ProgramKind};
pub use collection::CollectionSpec;
pub use map::{Entries, Entry, MapKind, MapSpec, flag};
pub use program::{ProgramSpec, Reach};
