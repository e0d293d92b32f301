//! Events of a policy's hooks: kprobe, tracepoint, uprobe, USDT, LSM, loader; and throttling.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Argument, ProcessRef};
use crate::name::{Action, ThrottleType};

/// Which policy asked for a hook event, and what it says about it. One a hook of a policy, shared by its events.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Origin {
    /// `metadata.name` of the policy.
    pub policy_name: Box<str>,
    /// `message` of the hook.
    pub message: Box<str>,
    /// `tags` of the hook.
    pub tags: Box<[Box<str>]>,
}

/// One frame of a stack trace.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StackFrame {
    /// Instruction address, 0 where it is not to be shown.
    pub address: u64,
    /// Offset into `symbol`, or into `module` for a frame of user space.
    pub offset: u64,
    /// Function.
    pub symbol: Box<str>,
    /// File the frame's code is mapped from.
    pub module: Box<str>,
}

/// `process_kprobe`: a hooked kernel function was called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Kprobe {
    /// Who.
    pub process: ProcessRef,
    /// Its parent.
    pub parent: Option<ProcessRef>,
    /// From the parent's parent upwards, where asked for.
    pub ancestors: Vec<ProcessRef>,
    /// The function, with the prefix of the syscall ABI where it is a syscall.
    pub function_name: Arc<str>,
    /// Arguments in the order of the policy.
    pub args: Vec<Argument>,
    /// What the function returned, where asked for.
    pub return_value: Option<Argument>,
    /// What was done at entry.
    pub action: Action,
    /// What was done at return.
    pub return_action: Action,
    /// Kernel stack, innermost frame first.
    pub kernel_stack: Vec<StackFrame>,
    /// User stack, innermost frame first.
    pub user_stack: Vec<StackFrame>,
    /// Which policy.
    pub origin: Arc<Origin>,
    /// Values of the hook's `data` section.
    pub data: Vec<Argument>,
}

/// `process_tracepoint`: a hooked tracepoint fired.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tracepoint {
    /// Who.
    pub process: ProcessRef,
    /// Its parent.
    pub parent: Option<ProcessRef>,
    /// From the parent's parent upwards, where asked for.
    pub ancestors: Vec<ProcessRef>,
    /// Subsystem, such as `raw_syscalls`.
    pub subsystem: Arc<str>,
    /// Event, such as `sys_enter`.
    pub event: Arc<str>,
    /// Arguments in the order of the policy.
    pub args: Vec<Argument>,
    /// What was done.
    pub action: Action,
    /// Which policy.
    pub origin: Arc<Origin>,
}

/// `process_uprobe`: a hooked function of a user-space file was called.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Uprobe {
    /// Who.
    pub process: ProcessRef,
    /// Its parent.
    pub parent: Option<ProcessRef>,
    /// From the parent's parent upwards, where asked for.
    pub ancestors: Vec<ProcessRef>,
    /// The file.
    pub path: Arc<str>,
    /// The function.
    pub symbol: Arc<str>,
    /// Offset in the file.
    pub offset: u64,
    /// Offset of the reference counter in the file.
    pub ref_ctr_offset: u64,
    /// Arguments in the order of the policy.
    pub args: Vec<Argument>,
    /// What was done.
    pub action: Action,
    /// Which policy.
    pub origin: Arc<Origin>,
    /// Values of the hook's `data` section.
    pub data: Vec<Argument>,
}

/// `process_usdt`: a static probe of a user-space file fired.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usdt {
    /// Who.
    pub process: ProcessRef,
    /// Its parent.
    pub parent: Option<ProcessRef>,
    /// From the parent's parent upwards, where asked for.
    pub ancestors: Vec<ProcessRef>,
    /// The file.
    pub path: Arc<str>,
    /// Provider of the probe.
    pub provider: Arc<str>,
    /// Name of the probe.
    pub name: Arc<str>,
    /// Arguments in the order of the policy.
    pub args: Vec<Argument>,
    /// What was done.
    pub action: Action,
    /// Which policy.
    pub origin: Arc<Origin>,
    /// What is special about the event.
    pub flags: Cow<'static, str>,
}

/// `process_lsm`: a hooked LSM hook was asked.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lsm {
    /// Who.
    pub process: ProcessRef,
    /// Its parent.
    pub parent: Option<ProcessRef>,
    /// From the parent's parent upwards, where asked for.
    pub ancestors: Vec<ProcessRef>,
    /// The hook, without `security_`.
    pub function_name: Arc<str>,
    /// Arguments in the order of the policy.
    pub args: Vec<Argument>,
    /// What was done.
    pub action: Action,
    /// Which policy.
    pub origin: Arc<Origin>,
    /// `algorithm:hex` of the file, where IMA measured it.
    pub ima_hash: Box<str>,
}

/// `process_loader`: a process mapped executable code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Loader {
    /// Who.
    pub process: ProcessRef,
    /// Its parent.
    pub parent: Option<ProcessRef>,
    /// From the parent's parent upwards, where asked for.
    pub ancestors: Vec<ProcessRef>,
    /// The mapped file.
    pub path: Box<str>,
    /// Build id of the file, at most 20 bytes.
    pub build_id: Box<[u8]>,
}

/// `process_throttle`: events of a cgroup are being held back, or no longer.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Throttle {
    /// Begin or end.
    pub kind: ThrottleType,
    /// Name of the cgroup.
    pub cgroup: Box<str>,
}
