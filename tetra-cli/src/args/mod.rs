//! The command line as typed.

mod admin;
mod command;
mod getevents;
mod policy;
mod value;

pub(crate) use admin::{
    Debug, Dump, EventLog, Explain, ExplainFormat, LogLevel, Probe, ProbeWhat, RuntimeHook, Sensors, Top,
    Version,
};
pub(crate) use command::{Arguments, Command, Connection, ListFormat};
pub(crate) use getevents::{Color, EventFormat, GetEvents};
pub(crate) use policy::{Generate, Mode, Policy, PolicyName};
