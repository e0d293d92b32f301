//! How a hook record is to be read: the other half of `bpf_probes::abi::HookRecord`.

use super::argument::{CapabilitySetKind, ObjectKind};
use super::request::Request;

/// Names and types of what a policy's hook reports. The record carries only its number.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct RecordLayout {
    /// `metadata.name` of the policy.
    pub policy_name: String,
    /// Which event a record becomes.
    pub form: EventForm,
    /// The kernel function, LSM hook or tracepoint as events show it, e.g. `__x64_sys_openat` or `file_open`.
    pub function_name: String,
    /// The hook's message, escaped as events carry it.
    pub message: Option<String>,
    /// The hook's tags, escaped likewise.
    pub tags: Vec<String>,
    /// The values in the order of the record: all arguments but those that are read when the call returns.
    pub values: Vec<ValueLayout>,
    /// By selector: what a record of it asks for.
    pub requests: Vec<Vec<Request>>,
    /// By selector: what a record of the return asks for.
    pub return_requests: Vec<Vec<Request>>,
    /// The value of the return's record, where the return is asked for.
    pub returned: Option<ValueLayout>,
    /// The values that follow in the return's record, each with its place in the event.
    pub copied: Vec<(CopiedPlace, ValueLayout)>,
    /// How many of `values`, the last ones, are of the section `data`.
    pub data_values: usize,
}

/// Where the event has a value that was read when the call returned.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum CopiedPlace {
    /// At that position among its arguments.
    Argument(usize),
    /// At that position among its data.
    Data(usize),
}

/// Which event a record becomes.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub enum EventForm {
    /// `process_kprobe`
    #[default]
    Kprobe,
    /// `process_lsm`
    Lsm,
    /// `process_tracepoint`; the function's name is that of the event.
    Tracepoint {
        /// The subsystem.
        subsystem: std::sync::Arc<str>,
    },
    /// `process_loader`: of the values the first is the mapped file, others are not shown.
    Loader,
    /// `process_uprobe`; the function's name is that of the symbol.
    Uprobe {
        /// The file.
        path: std::sync::Arc<str>,
        /// The offset that the policy names; 0 for a symbol.
        offset: u64,
        /// Offset of the reference counter; 0 for none.
        ref_ctr_offset: u64,
    },
    /// `process_usdt`; the function's name is that of the probe.
    Usdt {
        /// The file.
        path: std::sync::Arc<str>,
        /// Whose probe it is.
        provider: std::sync::Arc<str>,
    },
}

/// One value of a record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ValueLayout {
    /// What its bytes mean.
    pub kind: ValueKind,
    /// The argument's label.
    pub label: Option<String>,
}

/// What the bytes of a value mean; each kind is one field of the wire's `KprobeArgument`.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub enum ValueKind {
    /// 8 bytes, sign-extended; `int_arg`.
    Int32,
    /// 8 bytes; `uint_arg`.
    Uint32,
    /// 8 bytes; `long_arg`.
    Int64,
    /// 8 bytes; `size_arg`.
    Uint64,
    /// 8 bytes, bit 31 set for a call of a 32-bit program; `syscall_id`.
    Syscall,
    /// Bytes without NUL; `string_arg`.
    String,
    /// How many bytes there were (`u64`), and those that were read; `bytes_arg`, or `truncated_bytes_arg` where there were more.
    Bytes,
    /// A path, with `i_mode` in the header's status; `file_arg`.
    File,
    /// A path, with `i_mode` in the header's status; `path_arg`.
    Path,
    /// A path, with `i_mode` in the header's status; `linux_binprm_arg`.
    LinuxBinprm,
    /// 8 bytes, sign-extended; `capability_arg`.
    Capability,
    /// 8 bytes, sign-extended; `bpf_cmd_arg`.
    BpfCmd,
    /// 8 bytes; `kernel_cap_t_arg` and its like.
    Capabilities(CapabilitySetKind),
    /// The type of `bpf_probes::abi` that belongs to the object.
    Object(ObjectKind),
    /// A path or abstract name, with the family in the header's status; `sockaddrun_arg`.
    SockaddrUn,
}
