//! Working memory: where routines keep what does not fit the stack.
//!
//! ```text
//! one entry of the map `scratch` (one a CPU):
//! | area 0 | area 1 | state | record |
//! one entry of the map `claimed` (several a CPU):
//! | taken? | state | area |
//! one area:
//! | walk state | head | path, ends at PATH_END | slack, always zero |
//! 0            48     64                       4160               4432
//! ```
//! A path ends at [`PATH_END`] whatever its length, so the slack behind it serves as padding of hash keys and as the NUL of an exact
//! look-up, and the four bytes before it take the prefix length of a trie key. A string begins at [`PATH_START`].

/// Bytes of one area.
pub const AREA_BYTES: u32 = 4432;
/// First byte of a string, and the lowest at which a path may begin.
pub const PATH_START: u32 = 64;
/// One behind the last byte of a path.
pub const PATH_END: u32 = 4160;
/// Zero bytes behind a path or string of full length.
pub const SLACK_BYTES: u32 = AREA_BYTES - PATH_END;
/// Areas in an entry of the map `scratch`.
pub const SCRATCH_AREAS: u32 = 2;
/// Bytes that a hook's program has for what it knows of the call.
pub const STATE_BYTES: u32 = 512;
/// Offset of the state in an entry of the map `scratch`.
pub const STATE: u32 = SCRATCH_AREAS * AREA_BYTES;
/// Offset of the record in an entry of the map `scratch`.
pub const RECORD: u32 = STATE + STATE_BYTES;
/// Bytes of the record's place: the longest record and one more value.
pub const RECORD_BYTES: u32 = crate::abi::MAX_HOOK_RECORD + 4352;
/// Bytes of an entry of the map `scratch`.
pub const SCRATCH_BYTES: u32 = RECORD + RECORD_BYTES;
/// Entries a CPU of the map `claimed`.
pub const CLAIMS: u32 = 16;
/// Areas in an entry of the map `claimed`.
pub const CLAIMED_AREAS: u32 = 1;
/// Offset of the state in an entry of the map `claimed`; before it lies the word that says whether it is taken.
pub const CLAIMED_STATE: u32 = 8;
/// Offset of the first area in an entry of the map `claimed`.
pub const CLAIMED_AREA: u32 = CLAIMED_STATE + STATE_BYTES;
/// Bytes of an entry of the map `claimed`.
pub const CLAIMED_BYTES: u32 = CLAIMED_AREA + CLAIMED_AREAS * AREA_BYTES;

/// Offsets of the walk's state in its area.
pub(super) mod walk {
    /// `struct dentry *` to look at next.
    pub(crate) const DENTRY: i16 = 0;
    /// `struct vfsmount *` that it lies on.
    pub(crate) const MOUNT: i16 = 8;
    /// Root directory of the task.
    pub(crate) const ROOT_DENTRY: i16 = 16;
    /// Its mount.
    pub(crate) const ROOT_MOUNT: i16 = 24;
    /// `u32`: where the path begins so far.
    pub(crate) const OFFSET: i16 = 32;
    /// `u32`: [`super::done`] value.
    pub(crate) const DONE: i16 = 36;
}

/// How a walk ended.
pub(super) mod done {
    /// It has not: out of rounds or of room.
    pub(crate) const NO: i32 = 0;
    /// At the root, or at the top of a mount tree.
    pub(crate) const ROOT: i32 = 1;
    /// At a dentry that hangs nowhere (pipe, socket, memfd).
    pub(crate) const DETACHED: i32 = 2;
}
