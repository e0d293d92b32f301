//! The command line as typed.

mod admin;
mod command;
mod debug;
mod getevents;
mod policy;
mod policytest;
mod tools;
mod value;

pub(crate) use admin::{
    EventLog, Explain, ExplainFormat, LogLevel, Probe, ProbeWhat, RuntimeHook, Sensors, Top, Version,
};
pub(crate) use command::{Arguments, Command, Connection, ListFormat};
pub(crate) use debug::{Bugtool, Debug, Dump, Maps, Progs, TableFormat};
pub(crate) use getevents::{Color, EventFormat, GetEvents};
pub(crate) use policy::{Generate, Mode, Policy, PolicyName};
pub(crate) use policytest::{PolicyTest, ResultFormat, RunTests};
pub(crate) use tools::{CgroupTracker, Cri, CriFormat, CriWhat, PolicyFilter};
