//! The event model: what happened, to which process, said in types.
//!
//! In comes what the pipeline decoded, out goes what a sink writes. Invariants:
//! - Text is valid UTF-8: bytes from the kernel pass [`text()`] first.
//! - A [`SharedProcess`] never changes; a process that gained a pod or new credentials is a new one. So its JSON, rendered
//!   once, stays right.
//! - What differs between events of one process (`refcnt`, `tid`, `binary_properties`) lives in the event, not in the process.

mod argument;
mod credentials;
mod exec;
mod hook;
mod kind;
mod pod;
mod process;
mod text;
mod time;

pub use argument::{
    Argument, BpfAttr, BpfMap, BpfProg, Capability, FileArgument, KernelModule, LinuxBinprm, PerfEvent, Skb,
    Sock, Sockaddr, SockaddrUn, SyscallId, TruncatedBytes, UserNamespaceArgument, Value,
};
pub use credentials::{Capabilities, Credentials, Namespace, Namespaces, UserNamespace};
pub use exec::{BinaryProperties, Exec, Exit, FileProperties, InodeProperties};
pub use hook::{Kprobe, Loader, Lsm, Origin, StackFrame, Throttle, Tracepoint, Uprobe, Usdt};
pub use kind::{Event, EventKind, Node, TestEvent};
pub use pod::{Container, Image, Pod};
pub use process::{EnvironmentVariable, Process, ProcessRef, SharedProcess};
pub use text::text;
pub use time::Timestamp;
