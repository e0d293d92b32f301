//! Events out: each sink takes batches of the one event model and gives them its own form.
//!
//! A sink runs on a thread of its own behind a bounded queue, so it may wait for its disk or its peer; it must never end
//! the daemon, and what it cannot deliver it counts. This crate knows no BPF, no policy and no Kubernetes.

pub mod json;
mod limit;
#[cfg(feature = "otlp")]
pub mod otlp;
mod shaped;
pub mod siem;
pub mod sink;

pub use limit::Limit;
pub use shaped::{Shape, Shaped};
