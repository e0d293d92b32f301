//! Stage 4: numbers and bytes of the kernel to the words of the API, and identified records to events.
//!
//! It looks nothing up that could make it wait for long: container ids come from the cgroup's name, the rest from the record and its layout; names for stacks from
//! procfs, with a deadline.

mod container;
mod credentials;
mod event;
mod network;
mod object;
mod symbol;
mod value;

pub(crate) use container::container_id;
pub(crate) use credentials::{HostNamespaces, binary_properties, capabilities, credentials, namespaces};
pub(crate) use event::{add_return, exec_event, exit_event, hook_event};
pub(crate) use symbol::Symbols;
