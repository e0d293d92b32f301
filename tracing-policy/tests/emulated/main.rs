//! Compiled policies on the interpreter, against the plain meaning of the policy.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

mod after;
mod agreement;
mod buffers;
mod changes;
mod copies;
mod enforcers;
mod expression;
mod faults;
mod forks;
mod goldens;
#[path = "../../src/binary/image.rs"]
mod image;
mod kernel;
mod limits;
mod loader;
mod lsm;
mod members;
mod memory;
mod modules;
mod network;
mod notes;
mod operators;
mod origins;
mod pairs;
mod process;
mod program_types;
mod reached;
mod returns;
mod rewrites;
mod run;
mod scope;
mod stacks;
mod throttle;
mod tracepoints;
mod track;
mod types;
mod uprobes;
mod usdts;
mod user_returns;
mod workloads;
