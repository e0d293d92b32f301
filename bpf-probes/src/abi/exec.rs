//! A process replaced its image.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use super::{Header, ProcessKey};

/// Ids of a task's credentials (`struct cred`), as host numbers.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
#[expect(missing_docs, reason = "the names are the kernel's")]
pub struct Credentials {
    pub uid: u32,
    pub gid: u32,
    pub euid: u32,
    pub egid: u32,
    pub suid: u32,
    pub sgid: u32,
    pub fsuid: u32,
    pub fsgid: u32,
    /// `SECBIT_*` (`include/uapi/linux/securebits.h`).
    pub securebits: u32,
    /// Nesting depth of the user namespace; 0 is the host's.
    pub user_ns_level: u32,
    /// Owner of the user namespace.
    pub user_ns_uid: u32,
    /// Group of the user namespace.
    pub user_ns_gid: u32,
    /// Bit n is capability n.
    pub permitted: u64,
    pub effective: u64,
    pub inheritable: u64,
}

/// Inode numbers of a task's namespaces (`ns_common.inum`); 0 where the kernel has no such namespace.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
#[expect(missing_docs, reason = "the names are the kernel's")]
pub struct Namespaces {
    pub uts: u32,
    pub ipc: u32,
    pub mnt: u32,
    pub pid: u32,
    pub pid_for_children: u32,
    pub net: u32,
    pub time: u32,
    pub time_for_children: u32,
    pub cgroup: u32,
    pub user: u32,
}

/// Bits of [`ExecRecord::flags`] and [`super::ForkRecord::flags`]; numbers as on the wire upstream, where the text of each is known.
pub mod process_flag {
    /// The process called exec.
    pub const EXECVE: u32 = 0x1;
    /// The environment came in data records.
    pub const DATA_ENVIRONMENT: u32 = 0x2;
    /// Found in /proc.
    pub const PROC_FS: u32 = 0x4;
    /// The environment could not be read, or not all of it.
    pub const ERROR_ENVIRONMENT: u32 = 0x8;
    /// The arguments are longer than what was read.
    pub const TRUNCATED_ARGUMENTS: u32 = 0x10;
    /// The record of the parent was not known.
    pub const MISS: u32 = 0x40;
    /// The file name could not be read.
    pub const ERROR_FILENAME: u32 = 0x100;
    /// The arguments could not be read.
    pub const ERROR_ARGUMENTS: u32 = 0x200;
    /// The task has no working directory.
    pub const NO_CWD: u32 = 0x800;
    /// The working directory is the root.
    pub const ROOT_CWD: u32 = 0x1000;
    /// The working directory could not be read.
    pub const ERROR_CWD: u32 = 0x2000;
    /// The process was forked since its parent's record.
    pub const CLONE: u32 = 0x4000;
    /// The cgroup's name could not be read.
    pub const ERROR_CGROUP_NAME: u32 = 0x1_0000;
    /// The cgroup's id could not be read.
    pub const ERROR_CGROUP_ID: u32 = 0x20_0000;
    /// The walk of the working directory ended before the root.
    pub const ERROR_PATH_COMPONENTS: u32 = 0x40_0000;
    /// The file name came in data records.
    pub const DATA_FILENAME: u32 = 0x80_0000;
    /// The arguments came in data records.
    pub const DATA_ARGUMENTS: u32 = 0x100_0000;
    /// The process is the init of a container or descends from it.
    pub const IN_INIT_TREE: u32 = 0x200_0000;
}

/// Bits of [`ExecRecord::gained`]: how the exec raised privileges.
pub mod gained {
    /// The file carries capabilities that the process did not have.
    pub const FILE_CAPABILITIES: u32 = 1;
    /// The file is set-uid and the effective uid changed.
    pub const SETUID: u32 = 2;
    /// The file is set-gid and the effective gid changed.
    pub const SETGID: u32 = 4;
}

/// Bytes of arguments that stand in the exec record itself; longer ones come before it in [`super::DataRecord`]s.
pub const INLINE_ARGUMENTS: u32 = 1024;
/// Bytes of arguments that are read at all, the first (`argv[0]`) included: forty chunks of [`super::DATA_CHUNK`].
pub const MAX_ARGUMENTS: u32 = 40 * super::DATA_CHUNK;
/// Longest path in a record, as the kernel's `PATH_MAX`.
pub const MAX_PATH: u32 = 4096;
/// Longest cgroup name in a record (NUL included).
pub const MAX_CGROUP_NAME: u32 = 128;

/// A process replaced its image. Variable parts follow the fixed part without gaps, in this order: `filename_len`, `path_len`, `cwd_len`,
/// `cgroup_len`, `arguments_len` bytes.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct ExecRecord {
    /// Kind [`super::RecordKind::Exec`].
    pub header: Header,
    /// The new image.
    pub process: ProcessKey,
    /// The parent's image, as the kernel side knows it; the tgid is always set.
    pub parent: ProcessKey,
    /// The image that this process was before the exec; zero time if unknown.
    pub previous_ktime: u64,
    /// [`process_flag`] bits.
    pub flags: u32,
    /// Login uid; `u32::MAX` if unset.
    pub auid: u32,
    /// After the exec.
    pub credentials: Credentials,
    /// After the exec.
    pub namespaces: Namespaces,
    /// Pid in the innermost pid namespace.
    pub ns_tgid: u32,
    /// [`gained`] bits.
    pub gained: u32,
    /// Cgroup v2 id (kernfs inode), or that of the first v1 hierarchy.
    pub cgroup_id: u64,
    /// Inode number of the executed file.
    pub inode: u64,
    /// Its link count; 0 for a deleted file or a memfd.
    pub links: u32,
    /// Its mode (`i_mode`).
    pub mode: u32,
    /// Bytes of the file name as given to exec (`bprm->filename`), without NUL.
    pub filename_len: u32,
    /// Bytes of the path that the kernel resolved for the executed file.
    pub path_len: u32,
    /// Bytes of the path of the working directory.
    pub cwd_len: u32,
    /// Bytes of the cgroup's name.
    pub cgroup_len: u32,
    /// Bytes of the arguments in this record, each ended by NUL, `argv[0]` included.
    pub arguments_len: u32,
    /// Bytes of the arguments in the data records before.
    pub data_len: u32,
    /// Bytes of the environment in the data records before.
    pub environment_len: u32,
    /// Unused, zero.
    pub reserved: u32,
}
