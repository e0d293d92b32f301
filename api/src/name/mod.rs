//! Numbers of the kernel, and times, to words of the API, and back. Pure functions and tables; nothing here allocates unless it
//! returns a `String`.

mod arguments;
mod bits;
mod bpf;
mod capability;
mod duration;
mod enums;
mod exec_id;
mod hash;
mod permission;
mod process_flags;
mod signal;

pub use arguments::{absolute_binary, arguments_of_nul_separated, join_arguments};
pub use bits::{PrivilegesChanged, Securebits, TaintedBits};
pub use bpf::{bpf_cmd_name, bpf_cmd_number, bpf_map_type_name, bpf_program_type_name, perf_event_type_name};
pub use capability::{CAPABILITY_COUNT, CapabilitySet, capability_name, capability_number};
pub use duration::{format_duration, parse_duration};
pub use enums::{Action, EventType, ThrottleType};
pub use exec_id::{ExecId, exec_id, parse_exec_id};
pub use hash::file_hash;
pub use permission::{Permission, permission};
pub use process_flags::ProcessFlags;
pub use signal::{exit_status, signal_name};
