//! The values of an array map as memory of this process.

use std::os::fd::BorrowedFd;

use super::sys::{Mapping, Protection, SysError, page_size};

/// Cells of an array map made with `MMAPABLE`, read and written without a system call: an update through bpf(2) would hide threads from probes
/// (see [`super::Undisturbed`]), a store does not. Loads acquire, stores release. Values lie one after the other, each rounded up to 8 bytes.
#[derive(Debug)]
pub struct MappedArray {
    mapping: Mapping,
    entries: u32,
    value_size: u32,
}

impl MappedArray {
    pub(super) fn new(fd: BorrowedFd<'_>, entries: u32, value_size: u32) -> Result<Self, SysError> {
        let bytes = (entries as usize)
            .checked_mul(stride(value_size))
            .ok_or(SysError::new("mmap", libc::EOVERFLOW))?
            .next_multiple_of(page_size());
        let mapping = Mapping::new(fd, bytes, 0, Protection::ReadWrite)?;
        Ok(Self { mapping, entries, value_size })
    }

    /// How many values there are.
    pub const fn entries(&self) -> u32 {
        self.entries
    }

    /// Where `size` bytes at `offset` of value `index` lie; `None` outside the value.
    fn place(&self, index: u32, offset: u32, size: u32) -> Option<usize> {
        if index >= self.entries || offset.checked_add(size)? > self.value_size {
            return None;
        }
        Some(index as usize * stride(self.value_size) + offset as usize)
    }

    /// The four bytes at `offset` of value `index`; `None` outside the value or unaligned.
    pub fn load_u32(&self, index: u32, offset: u32) -> Option<u32> {
        self.mapping.load_u32(self.place(index, offset, 4)?)
    }

    /// The eight bytes at `offset` of value `index`; `None` outside the value or unaligned.
    pub fn load_u64(&self, index: u32, offset: u32) -> Option<u64> {
        self.mapping.load_u64(self.place(index, offset, 8)?)
    }

    /// Stores four bytes at `offset` of value `index`; `None` outside the value or unaligned: then nothing is stored.
    #[must_use = "nothing is stored outside the value"]
    pub fn store_u32(&self, index: u32, offset: u32, value: u32) -> Option<()> {
        self.mapping.store_u32(self.place(index, offset, 4)?, value)
    }

    /// Stores eight bytes at `offset` of value `index`; `None` outside the value or unaligned: then nothing is stored.
    #[must_use = "nothing is stored outside the value"]
    pub fn store_u64(&self, index: u32, offset: u32, value: u64) -> Option<()> {
        self.mapping.store_u64(self.place(index, offset, 8)?, value)
    }
}

/// Bytes from one value to the next (kernel/bpf/arraymap.c: `array_map_alloc` rounds up to 8).
const fn stride(value_size: u32) -> usize {
    (value_size as usize).next_multiple_of(8)
}
