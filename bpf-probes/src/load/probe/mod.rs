//! What the running kernel can do, by trying it.
//!
//! In: nothing but the running kernel. Out: [`crate::kernel::KernelView`], or single [`crate::kernel::Answer`]s. An answer is firm only when the kernel
//! gave it: a program, map or link of a few instructions was accepted (*yes*) or turned down for what it is (*no*). A host that forbids
//! (`EPERM`) is *refused*, all else is *could not tell*. Nothing stays loaded.

mod attempt;
mod feature;
mod file;
mod forms;
mod link;
mod view;

pub use feature::Prober;
pub use file::{
    FileError, all_functions, all_traceable, host_namespaces, kernel_btf, kernel_configuration,
    kernel_symbols, module_btf, module_functions, traceable_functions, tracepoint_format,
};
pub use view::{FunctionLists, ProbeError, ProbeOptions, kernel_view, kernel_view_by};
