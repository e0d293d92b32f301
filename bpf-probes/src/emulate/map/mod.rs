//! Maps: what programs and tests see of them.
//!
//! Values live in a [`slab::Slab`] at addresses that programs may hold; the index from key to value is one of a few stores. A value
//! that is deleted or replaced keeps its bytes until the end of the run, as RCU keeps them in the kernel.

mod index;
mod lpm;
mod ring;
mod slab;
mod table;

pub use ring::{Record, Ring};
pub use table::Map;

pub(super) use slab::Slab;
pub(super) use table::{Content, Position};
