//! What can go wrong with a map.

use super::own_btf::OwnBtfError;
use super::sys::SysError;

/// What went wrong with a map.
#[derive(Debug, thiserror::Error)]
pub enum MapError {
    /// The kernel did not make it.
    #[error("map {map} could not be made ({bytes} bytes of values): {error}")]
    Create {
        /// The map.
        map: String,
        /// Capacity times value size.
        bytes: u64,
        /// What the kernel said.
        error: SysError,
    },
    /// Its capacity does not fit 32 bits.
    #[error("map {map} would have {entries} entries, more than 32 bits count")]
    Capacity {
        /// The map.
        map: String,
        /// Entries asked for.
        entries: u64,
    },
    /// A map of maps, which needs a template that a blueprint does not hold.
    #[error("map {map} is a map of maps, which this loader does not make")]
    Nested {
        /// The map.
        map: String,
    },
    /// The types of key and value could not be described.
    #[error("map {map}: the description of its types (BTF) {error}")]
    Types {
        /// The map.
        map: String,
        /// Why.
        error: OwnBtfError,
    },
    /// A key or value has the wrong length.
    #[error("map {map} has keys of {key_size} and values of {value_size} bytes, got {key} and {value}")]
    Size {
        /// The map.
        map: String,
        /// Its key size.
        key_size: u32,
        /// Its value size.
        value_size: u32,
        /// Length of the key given.
        key: usize,
        /// Length of the value given.
        value: usize,
    },
    /// An element could not be read, written or deleted.
    #[error("map {map}: {error}")]
    Element {
        /// The map.
        map: String,
        /// What the kernel said; `E2BIG` when a hash map is full.
        error: SysError,
    },
    /// Its values cannot be mapped into memory.
    #[error("map {map} is no array made to be mapped (BPF_F_MMAPABLE)")]
    NotMappable {
        /// The map.
        map: String,
    },
    /// Its memory is not known.
    #[error("map {map}: the kernel does not tell its memory ({PATH}): {error}", PATH = "/proc/self/fdinfo")]
    Memory {
        /// The map.
        map: String,
        /// Why.
        error: std::io::Error,
    },
}
