//! Arguments.

use super::word::words;
use crate::source::{Span, Spanned};

/// An entry of `args` or `data`, or a `returnArg`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Argument {
    /// `index`.
    pub index: Spanned<u32>,
    /// `type`; absent means `auto`.
    pub ty: Option<Spanned<ArgumentType>>,
    /// `sizeArgIndex`, counted from one.
    pub size_arg_index: Option<Spanned<u32>>,
    /// `returnCopy`.
    pub return_copy: Option<Spanned<bool>>,
    /// `maxData`.
    pub max_data: Option<Spanned<bool>>,
    /// `label`.
    pub label: Option<Spanned<String>>,
    /// `resolve`.
    pub resolve: Option<Spanned<String>>,
    /// `source`.
    pub source: Option<Spanned<ArgumentSource>>,
    /// `btfType`.
    pub btf_type: Option<Spanned<String>>,
    /// `btfTypeModule`.
    pub btf_type_module: Option<Spanned<String>>,
    /// The whole of it.
    pub span: Span,
}

words! {
    /// Where an entry of `data` is read from.
    ArgumentSource, "data source":
    /// Nowhere: an argument of the function.
    None = "",
    /// The current task.
    CurrentTask = "current_task",
    /// The registers at the hook.
    PtRegs = "pt_regs",
}

words! {
    /// The type of an argument.
    ArgumentType, "argument type":
    /// Derived from the hook.
    Auto = "auto",
    /// Not read.
    Nop = "nop",
    /// C `int`.
    Int = "int",
    /// 32 bits, signed.
    Int32 = "int32" | "sint32",
    /// C `unsigned int`.
    Uint = "uint",
    /// 32 bits, unsigned.
    Uint32 = "uint32",
    /// 8 bits, signed.
    Int8 = "int8" | "sint8",
    /// 8 bits, unsigned.
    Uint8 = "uint8",
    /// 16 bits, signed.
    Int16 = "int16" | "sint16",
    /// 16 bits, unsigned.
    Uint16 = "uint16",
    /// 64 bits, signed.
    Int64 = "int64" | "sint64",
    /// 64 bits, unsigned.
    Uint64 = "uint64",
    /// C `long`.
    Long = "long",
    /// C `unsigned long`.
    Ulong = "ulong",
    /// C `size_t`.
    SizeT = "size_t",
    /// A buffer with a length.
    CharBuf = "char_buf",
    /// An array of buffers.
    CharIovec = "char_iovec",
    /// A NUL-terminated string.
    String = "string",
    /// `struct filename *`.
    Filename = "filename",
    /// `struct file *`.
    File = "file",
    /// A file descriptor.
    Fd = "fd",
    /// `struct kiocb *`.
    Kiocb = "kiocb",
    /// `struct path *`.
    Path = "path",
    /// `struct dentry *`.
    Dentry = "dentry",
    /// `struct linux_binprm *`.
    LinuxBinprm = "linux_binprm",
    /// A dynamic array of a tracepoint.
    DataLoc = "data_loc",
    /// `struct net_device *`.
    NetDevice = "net_device",
    /// `struct sk_buff *`.
    Skb = "skb",
    /// `struct sock *`.
    Sock = "sock",
    /// `struct socket *`.
    Socket = "socket",
    /// `struct sockaddr *`.
    Sockaddr = "sockaddr",
    /// `struct sockaddr_un *`.
    SockaddrUn = "sockaddr_un",
    /// `struct cred *`.
    Cred = "cred",
    /// `union bpf_attr *`.
    BpfAttr = "bpf_attr",
    /// `struct bpf_prog *`.
    BpfProg = "bpf_prog",
    /// `struct bpf_map *`.
    BpfMap = "bpf_map",
    /// `enum bpf_cmd`.
    BpfCmd = "bpf_cmd",
    /// `struct perf_event *`.
    PerfEvent = "perf_event",
    /// `struct user_namespace *`.
    UserNamespace = "user_namespace",
    /// The number of a capability.
    Capability = "capability",
    /// `struct iov_iter *`.
    IovIter = "iov_iter",
    /// `struct load_info *`.
    LoadInfo = "load_info",
    /// `struct module *`.
    Module = "module",
    /// The number of a system call.
    Syscall64 = "syscall64",
    /// `kernel_cap_t`.
    KernelCap = "kernel_cap_t",
    /// Inheritable capabilities.
    CapInheritable = "cap_inheritable",
    /// Permitted capabilities.
    CapPermitted = "cap_permitted",
    /// Effective capabilities.
    CapEffective = "cap_effective",
}
