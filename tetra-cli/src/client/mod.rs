//! The way to the daemon: where it is, how to call it, and what went wrong in words that say what to do.

mod address;
mod call;
mod error;
mod tls;

pub(crate) use address::{Address, AddressError};
pub(crate) use call::{Client, block_on, interruption};
pub(crate) use error::CallError;
