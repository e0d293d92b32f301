//! Values that a hook read: arguments, return values, data.

use std::borrow::Cow;
use std::sync::Arc;

use super::{Capabilities, Credentials, Namespace, UserNamespace};
use crate::name::TaintedBits;

/// A socket.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sock {
    /// `AF_*`
    pub family: Cow<'static, str>,
    /// `SOCK_*`
    pub kind: Cow<'static, str>,
    /// `IPPROTO_*`
    pub protocol: Cow<'static, str>,
    /// `sk_mark`
    pub mark: u32,
    /// `sk_priority`
    pub priority: u32,
    /// Source address as text; `invalid IP` for a family without addresses.
    pub saddr: String,
    /// Destination address, likewise.
    pub daddr: String,
    /// Source port.
    pub sport: u32,
    /// Destination port.
    pub dport: u32,
    /// Kernel address of the socket, which tells sockets apart.
    pub cookie: u64,
    /// `TCP_*`
    pub state: Cow<'static, str>,
}

/// A packet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Skb {
    /// `hash`
    pub hash: u32,
    /// `len`
    pub len: u32,
    /// `priority`
    pub priority: u32,
    /// `mark`
    pub mark: u32,
    /// Source address as text.
    pub saddr: String,
    /// Destination address as text.
    pub daddr: String,
    /// Source port.
    pub sport: u32,
    /// Destination port.
    pub dport: u32,
    /// Number of the protocol.
    pub proto: u32,
    /// Length of the security path.
    pub sec_path_len: u32,
    /// Offloaded part of the security path.
    pub sec_path_olen: u32,
    /// `IPPROTO_*`
    pub protocol: Cow<'static, str>,
    /// `AF_*`
    pub family: Cow<'static, str>,
}

/// A socket address of the internet families.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sockaddr {
    /// `AF_*`
    pub family: Cow<'static, str>,
    /// Address as text.
    pub addr: String,
    /// Port.
    pub port: u32,
}

/// A socket address of the Unix family.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SockaddrUn {
    /// `AF_*`
    pub family: Cow<'static, str>,
    /// Path, or `@` and the abstract name.
    pub path: String,
}

/// A file or path: shown as `file_arg` or `path_arg`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FileArgument {
    /// Never filled by current agents.
    pub mount: String,
    /// Absolute path.
    pub path: String,
    /// Empty, or `unresolvedPathComponents`.
    pub flags: Cow<'static, str>,
    /// See [`crate::name::permission`].
    pub permission: Cow<'static, str>,
}

/// Bytes of which only a part was taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TruncatedBytes {
    /// The part.
    pub bytes: Vec<u8>,
    /// How many there were.
    pub original_size: u64,
}

/// A program about to run.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LinuxBinprm {
    /// Absolute path.
    pub path: String,
    /// Empty, or `unresolvedPathComponents`.
    pub flags: Cow<'static, str>,
    /// See [`crate::name::permission`].
    pub permission: Cow<'static, str>,
}

/// One capability.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Capability {
    /// Number.
    pub value: Option<i32>,
    /// Name.
    pub name: Cow<'static, str>,
}

/// A user namespace in the form of old policies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserNamespaceArgument {
    /// Nesting depth.
    pub level: Option<i32>,
    /// User id of the owner.
    pub owner: Option<u32>,
    /// Group id of the owner.
    pub group: Option<u32>,
    /// The namespace itself.
    pub ns: Option<Namespace>,
}

/// `union bpf_attr` of a program load.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BpfAttr {
    /// `BPF_PROG_TYPE_*`
    pub prog_type: Cow<'static, str>,
    /// Number of instructions.
    pub insn_count: u32,
    /// Name.
    pub prog_name: String,
}

/// `struct bpf_prog`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BpfProg {
    /// `BPF_PROG_TYPE_*`
    pub prog_type: Cow<'static, str>,
    /// Number of instructions.
    pub insn_count: u32,
    /// Name.
    pub prog_name: String,
}

/// `struct perf_event`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PerfEvent {
    /// Function of a kprobe event.
    pub kprobe_func: String,
    /// `PERF_TYPE_*`
    pub kind: Cow<'static, str>,
    /// `config`
    pub config: u64,
    /// `probe_offset`
    pub probe_offset: u64,
}

/// `struct bpf_map`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BpfMap {
    /// `BPF_MAP_TYPE_*`
    pub map_type: Cow<'static, str>,
    /// Bytes in a key.
    pub key_size: u32,
    /// Bytes in a value.
    pub value_size: u32,
    /// Capacity.
    pub max_entries: u32,
    /// Name.
    pub map_name: String,
}

/// A kernel module.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct KernelModule {
    /// Name.
    pub name: String,
    /// Whether its signature was good; `None` where the kernel does not say.
    pub signature_ok: Option<bool>,
    /// How it taints the kernel.
    pub tainted: TaintedBits,
}

/// A syscall number with its ABI.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SyscallId {
    /// Number.
    pub id: u32,
    /// `x64`, `i386`, `arm64` or `arm32`.
    pub abi: Cow<'static, str>,
}

/// A value, one variant a member of the API's `arg`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// `string_arg`
    String(String),
    /// `int_arg`
    Int(i32),
    /// `skb_arg`
    Skb(Box<Skb>),
    /// `size_arg`
    Size(u64),
    /// `bytes_arg`
    Bytes(Vec<u8>),
    /// `path_arg`
    Path(FileArgument),
    /// `file_arg`
    File(FileArgument),
    /// `truncated_bytes_arg`
    TruncatedBytes(TruncatedBytes),
    /// `sock_arg`
    Sock(Box<Sock>),
    /// `cred_arg`
    Cred(Capabilities),
    /// `long_arg`
    Long(i64),
    /// `bpf_attr_arg`
    BpfAttr(BpfAttr),
    /// `perf_event_arg`
    PerfEvent(PerfEvent),
    /// `bpf_map_arg`
    BpfMap(BpfMap),
    /// `uint_arg`
    Uint(u32),
    /// `user_namespace_arg`
    UserNamespace(UserNamespaceArgument),
    /// `capability_arg`
    Capability(Capability),
    /// `process_credentials_arg`
    Credentials(Box<Credentials>),
    /// `user_ns_arg`
    UserNs(UserNamespace),
    /// `module_arg`
    Module(KernelModule),
    /// `kernel_cap_t_arg`: 16 hexadecimal digits.
    KernelCap(String),
    /// `cap_inheritable_arg`: 16 hexadecimal digits.
    CapInheritable(String),
    /// `cap_permitted_arg`: 16 hexadecimal digits.
    CapPermitted(String),
    /// `cap_effective_arg`: 16 hexadecimal digits.
    CapEffective(String),
    /// `linux_binprm_arg`
    LinuxBinprm(LinuxBinprm),
    /// `net_dev_arg`: name of the device.
    NetDevice(String),
    /// `bpf_cmd_arg`: number of the command.
    BpfCmd(i32),
    /// `syscall_id`
    SyscallId(SyscallId),
    /// `sockaddr_arg`
    Sockaddr(Sockaddr),
    /// `bpf_prog_arg`
    BpfProg(BpfProg),
    /// `error_arg`: why the value could not be read.
    Error(String),
    /// `sockaddrun_arg`
    SockaddrUn(SockaddrUn),
}

/// A value with the label the policy gave it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Argument {
    /// The value; `None` prints as `{}`.
    pub value: Option<Value>,
    /// Label, or empty.
    pub label: Arc<str>,
}

impl From<Value> for Argument {
    fn from(value: Value) -> Self {
        Self { value: Some(value), label: Arc::default() }
    }
}

impl Argument {
    /// `value` under `label`.
    pub fn labelled(value: Value, label: Arc<str>) -> Self {
        Self { value: Some(value), label }
    }
}
