//! Stage 4: the hooks of all policies at one place to one [`crate::ir::Hook`].
//!
//! Each argument is read once for all policies, tests stand in the order of their cost, and lists that are long in all become look-ups.

mod bytes;
mod expression;
mod hook;
mod leaf;
mod network;
mod number;
mod process;
mod search;
mod selector;
mod table;

pub(crate) use hook::{FilterPlace, Groups, Reads};
pub use hook::{Purpose, hook};
