//! Compiled policies on the running kernel. Needs root; run in the machine of `cargo xtask test` on each supported kernel, and natively where functions can be
//! traced. Each test says what its kernel lacks when it cannot run.
#![expect(clippy::unwrap_used, clippy::panic, clippy::print_stderr, clippy::use_debug, reason = "tests")]

mod acts;
mod buffers;
mod children;
mod contention;
mod cost;
mod many;
mod members;
mod numbers;
mod reports;
mod returns;
mod rewrites;
mod running;
mod tracepoints;
mod types;
mod uprobes;
mod usdts;
mod user_returns;
mod workloads;
