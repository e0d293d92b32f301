//! The hash of a file that is asked for, computed and reported by three programs on one LSM hook.

use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

/// Entries of [`super::map_name::HASHES`]: threads between the first and the last of the programs. The one looked at longest ago goes first.
pub const HASHES: u32 = 1024;
/// Bytes of the longest digest (`SHA512_DIGEST_SIZE`).
pub const DIGEST_BYTES: usize = 64;

/// Key of the map [`super::map_name::HASHES`]: a thread in a hook. Reading a file can take the thread into other hooks.
#[derive(Clone, Copy, Debug, Default, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct HashKey {
    /// Address of the thread's `struct task_struct`.
    pub task: u64,
    /// Tells hooks apart.
    pub hook: u64,
}

/// Value of the map [`super::map_name::HASHES`], and of a record that carries it.
#[derive(Clone, Copy, Debug, Eq, FromBytes, Immutable, IntoBytes, KnownLayout, PartialEq)]
#[repr(C)]
pub struct FileHash {
    /// `enum hash_algo` (`include/uapi/linux/hash_info.h`), or the negative errno of what has no hash.
    pub algorithm: i32,
    /// 1 once there is an answer.
    pub answered: u32,
    /// The digest, of as many bytes as the algorithm makes; then zeros.
    pub digest: [u8; DIGEST_BYTES],
}
