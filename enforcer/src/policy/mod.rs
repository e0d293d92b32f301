//! Which policies there are, what of them is in the kernel, and how they get in and out of it.
//!
//! In come texts ([`SourceText`](tracing_policy::source::SourceText)) from files and clients, out come attached programs, numbers that records refer to, and a
//! [`Board`] for whoever wants to look. Invariants: a policy is loaded whole or not at all; a failure leaves what runs untouched; all changes
//! happen on one thread, one after the other.

mod actor;
mod classes;
mod compiler;
mod entry;
mod failure;
#[cfg(test)]
mod fake;
mod hooks;
mod identity;
mod numbers;
mod port;
pub mod source;
mod state;
mod store;
mod tables;
mod workloads;

pub use actor::{Policies, PolicyThread};
pub use classes::{ClassError, ProcessList, Running};
pub use compiler::{CompileError, Compiler};
pub use failure::PolicyError;
pub use identity::{GRPC_DOMAIN, Identity, STATIC_DOMAIN};
pub use port::{CellPort, ClassPort, Cost, Figures, HookPort, Refused, Slot, Table};
pub use state::{AbsentStatus, AttachmentStatus, Board, HookStatus, Place, PolicyStatus, State};
pub use store::{LayoutSink, Store, World};
pub use workloads::ContainerCgroup;
