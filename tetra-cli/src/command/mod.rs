//! One subcommand a file. Each takes its arguments, calls the daemon and prints.

mod answer;
pub(crate) mod bugtool;
pub(crate) mod containers;
pub(crate) mod debug;
pub(crate) mod dump;
mod errmetrics;
pub(crate) mod eventlog;
pub(crate) mod explain;
mod foreign;
pub(crate) mod generate;
pub(crate) mod getevents;
pub(crate) mod info;
pub(crate) mod loglevel;
mod look;
pub(crate) mod policy;
pub(crate) mod policytest;
pub(crate) mod probe;
pub(crate) mod reference;
pub(crate) mod rthooks;
pub(crate) mod sensors;
pub(crate) mod status;
pub(crate) mod top;
pub(crate) mod version;
