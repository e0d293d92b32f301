//! Stage 4: numbers and bytes of the kernel to the words of the API, and identified records to events.
//!
//! It looks nothing up that could make it wait: container ids come from the cgroup's name, the rest from the record and its layout.

mod container;
mod credentials;
mod event;
mod network;
mod object;
mod value;

pub(crate) use container::container_id;
pub(crate) use credentials::{HostNamespaces, binary_properties, capabilities, credentials, namespaces};
pub(crate) use event::{add_return, exec_event, exit_event, hook_event};
