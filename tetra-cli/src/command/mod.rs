//! One subcommand a file. Each takes its arguments, calls the daemon and prints.

pub(crate) mod generate;
pub(crate) mod getevents;
pub(crate) mod policy;
pub(crate) mod status;
pub(crate) mod version;
