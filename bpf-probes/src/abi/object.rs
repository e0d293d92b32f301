//! What hook records carry of objects of the kernel. Each is the whole of a value; text ends at its first NUL.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::Credentials;

/// Of a `struct cred`.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct CredentialsValue {
    /// Ids, capabilities, and the owner of the user namespace.
    pub credentials: Credentials,
    /// Inode number of the user namespace.
    pub user_ns: u32,
    /// Zero.
    pub reserved: u32,
}

/// Of a `struct user_namespace`.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct UserNamespaceValue {
    /// Nesting depth; 0 is the host's.
    pub level: u32,
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Inode number.
    pub inum: u32,
}

/// Of a `struct bpf_prog`, or of the `union bpf_attr` that asks for one.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct ProgramValue {
    /// Number of the type.
    pub kind: u32,
    /// Instructions.
    pub instructions: u32,
    /// Name.
    pub name: [u8; 16],
}

/// Of a `struct bpf_map`.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct MapValue {
    /// Number of the type.
    pub kind: u32,
    /// Bytes of a key.
    pub key_size: u32,
    /// Bytes of a value.
    pub value_size: u32,
    /// Capacity.
    pub max_entries: u32,
    /// Name.
    pub name: [u8; 16],
}

/// Of a `struct perf_event`.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct PerfEventValue {
    /// Number of the type.
    pub kind: u32,
    /// Zero.
    pub reserved: u32,
    /// `config`
    pub config: u64,
    /// `probe_offset`
    pub probe_offset: u64,
    /// Function of a probe.
    pub function: [u8; 64],
}

/// Of a `struct module` or `struct load_info`.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct ModuleValue {
    /// How it taints the kernel: bit n is taint n.
    pub taints: u64,
    /// A [`signature`] number.
    pub signature: u32,
    /// Zero.
    pub reserved: u32,
    /// Name.
    pub name: [u8; 64],
}

/// What is known of a module's signature.
pub mod signature {
    /// The kernel does not check any.
    pub const UNKNOWN: u32 = 0;
    /// There is none, or a bad one.
    pub const BAD: u32 = 1;
    /// A good one.
    pub const GOOD: u32 = 2;
}
