//! Every bpf(2), perf and mmap call of the product.
//!
//! In: descriptors as [`std::os::fd::BorrowedFd`], byte slices, kernel constants. Out: owned descriptors, or a [`SysError`] with the call
//! and its errno. All functions are safe to call: lengths are checked against the object before the kernel gets a pointer. The calls
//! go through libbpf's low-level functions, which also raise `RLIMIT_MEMLOCK` on kernels before 5.11. Nothing here decides anything.

mod element;
mod error;
mod grace;
mod link;
mod memory;
mod mount;
mod name;
mod object;
mod perf;
mod program;
mod schedule;
mod user;

pub(in crate::load) use element::{Elements, UpdateMode};
pub use error::SysError;
pub use grace::wait_for_programs;
pub(in crate::load) use link::{LinkFacts, link_by_id, link_facts};
pub(in crate::load) use memory::{Mapping, Protection, page_size};
pub(in crate::load) use mount::detached_mount;
pub(in crate::load) use name::{KEPT, program_name};
pub(in crate::load) use object::{
    MapDefinition, ValueType, map_by_id, map_facts, map_id, object_get, object_pin,
};
pub use object::{ObjectKind, object_ids};
pub(in crate::load) use perf::{PerfSource, perf_event_enable, perf_event_open, perf_event_set_program};
pub(in crate::load) use program::{
    FuncInfo, LoadRequest, ProgramType, btf_load, enable_run_statistics, kprobe_multi_link,
    kprobe_multi_link_on_nothing, perf_link, perf_link_on_nothing, program_by_id, program_facts,
    program_load, program_load_counted, program_maps, program_run, raw_tracepoint_open,
    uprobe_link_on_nothing,
};
pub use schedule::Undisturbed;
pub(in crate::load) use user::uprobe_multi_link;
