//! The way to the daemon: where it is, how to call it, and what went wrong in words that say what to do.

mod address;
mod call;
mod description;
mod error;
mod metrics;
mod tls;

pub(crate) use address::{Address, AddressError};
pub(crate) use call::{Client, block_on, interruption, interruptions};
pub(crate) use description::{Description, FILE as DESCRIPTION_FILE, RUN_FOLDER};
pub(crate) use error::CallError;
pub(crate) use metrics::{MetricsError, metrics_page};
