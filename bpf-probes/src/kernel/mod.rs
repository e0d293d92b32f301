//! Facts of one kernel as data. Texts and bytes of the kernel come in, a [`KernelView`] goes out.
//!
//! Nothing here reads a file or asks the running kernel: `load` does, and tests take recorded kernels. A fact that is not
//! known is never taken for one that is.

mod feature;
mod files;
mod lsm;
mod namespace;
mod network;
mod preemption;
#[cfg(test)]
mod recorded;
mod reference;
mod symbols;
mod syscall_i386;
mod syscall_table;
mod syscalls;
mod tracefs;
mod view;

pub use feature::{Answer, Feature, FeatureSet, FeatureTextError};
pub use files::ReadViewError;
pub use lsm::{ActiveLsms, function_of_hook, hook_of_function, is_closed_to_bpf, neutral_return};
pub use namespace::{HostNamespaces, Namespace};
pub use network::NetworkNames;
pub use preemption::{Preemption, PreemptionSources};
#[cfg(test)]
pub(crate) use recorded::recorded;
pub use reference::reference;
pub use symbols::Symbols;
pub use syscall_i386::I386Call;
pub use syscalls::{Abi, Syscall, SyscallName, SyscallNameError, SyscallParameter};
pub use tracefs::{FormatError, TracepointField, TracepointFormat};
pub use view::{KernelFacts, KernelView, Traceable, TracepointContext};
