//! The whole daemon on the running kernel, as its users see it: flags in, exit code, sockets, files and events out. Each test has a run directory of
//! its own; policies act on children of the test only.
#![expect(clippy::unwrap_used, reason = "tests")]

mod calls;
#[path = "../../../export/tests/otlp/certificates.rs"]
mod certificates;
mod classes;
#[path = "../../../export/tests/otlp/collector.rs"]
mod collector;
mod containers;
mod content;
mod export;
mod filters;
mod instance;
mod kept;
mod lifecycle;
mod metrics;
mod places;
mod policies;
mod program;
mod servers;
mod sinks;
mod stacks;
mod throttle;
mod uprobes;
