//! The node daemon: loads policies into the kernel, reads what it reports, serves and writes events.
//!
//! `config` says what is wanted, `daemon` builds and runs it, `policy` keeps what is attached, `pipeline` carries records from the rings to
//! the sinks, `server` is what clients see, `metrics` what is counted. Nothing imports this crate; `main.rs` and the tests are its only users.

pub mod config;
pub mod daemon;
pub mod host;
pub mod kernel;
pub mod log;
pub mod memory;
pub mod metrics;
pub mod pipeline;
pub mod policy;
pub mod requests;
pub mod server;
pub mod shutdown;
mod sinks;
