//! Memory shared with the kernel.

#![expect(unsafe_code, reason = "mmap(2) and atomics on what it returns")]

use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::SysError;

/// What may be done with a mapping.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::load) enum Protection {
    Read,
    ReadWrite,
}

/// Shared memory of a descriptor; unmapped when dropped. All access is atomic or by contract of [`Mapping::bytes`].
#[derive(Debug)]
pub(in crate::load) struct Mapping {
    address: NonNull<u8>,
    len: usize,
    protection: Protection,
}

// SAFETY: the mapping belongs to the process, not to a thread; safe access is atomic.
unsafe impl Send for Mapping {}
// SAFETY: as above; `&Mapping` gives atomic access only, but for `bytes`, whose contract covers it.
unsafe impl Sync for Mapping {}

/// Bytes of a page.
pub(in crate::load) fn page_size() -> usize {
    // SAFETY: no precondition.
    let size = unsafe { libc::sysconf(libc::_SC_PAGESIZE) };
    usize::try_from(size).unwrap_or(4096)
}

impl Mapping {
    /// Maps `len` bytes of `fd` from `offset`, shared.
    pub(in crate::load) fn new(
        fd: BorrowedFd<'_>,
        len: usize,
        offset: usize,
        protection: Protection,
    ) -> Result<Self, SysError> {
        const CALL: &str = "mmap";
        let offset = libc::off_t::try_from(offset).map_err(|_far| SysError::new(CALL, libc::EOVERFLOW))?;
        let bits = match protection {
            Protection::Read => libc::PROT_READ,
            Protection::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
        };
        // SAFETY: no address is asked for, so nothing that exists is replaced.
        let address =
            unsafe { libc::mmap(std::ptr::null_mut(), len, bits, libc::MAP_SHARED, fd.as_raw_fd(), offset) };
        if address == libc::MAP_FAILED {
            return Err(SysError::last(CALL));
        }
        let address = NonNull::new(address.cast()).ok_or(SysError::new(CALL, libc::ENOMEM))?;
        Ok(Self { address, len, protection })
    }

    /// The place of an aligned `T` at byte `offset`, `None` outside the mapping or unaligned.
    fn place<T>(&self, offset: usize) -> Option<NonNull<T>> {
        let end = offset.checked_add(size_of::<T>())?;
        if end > self.len || !offset.is_multiple_of(align_of::<T>()) {
            return None;
        }
        // SAFETY: `offset` lies inside the mapping, checked above.
        let place = unsafe { self.address.add(offset) };
        Some(place.cast())
    }

    fn atomic_u32(&self, offset: usize) -> Option<&AtomicU32> {
        let place = self.place::<AtomicU32>(offset)?;
        // SAFETY: in bounds and aligned (a mapping begins at a page); every access to it, by us and by the kernel, is a single
        // machine access; it lives as long as `self`. Atomic loads of 4 and 8 bytes are allowed on read-only memory
        // (std::sync::atomic), and stores go through `store_*`, which refuse a read-only mapping.
        Some(unsafe { place.as_ref() })
    }

    fn atomic_u64(&self, offset: usize) -> Option<&AtomicU64> {
        let place = self.place::<AtomicU64>(offset)?;
        // SAFETY: as in `atomic_u32`.
        Some(unsafe { place.as_ref() })
    }

    /// Loads with Acquire; `None` outside the mapping or unaligned.
    pub(in crate::load) fn load_u32(&self, offset: usize) -> Option<u32> {
        self.atomic_u32(offset).map(|cell| cell.load(Ordering::Acquire))
    }

    /// Loads with Acquire; `None` outside the mapping or unaligned.
    pub(in crate::load) fn load_u64(&self, offset: usize) -> Option<u64> {
        self.atomic_u64(offset).map(|cell| cell.load(Ordering::Acquire))
    }

    /// Stores with Release; `None` outside the mapping, unaligned or read-only.
    pub(in crate::load) fn store_u32(&self, offset: usize, value: u32) -> Option<()> {
        self.writable()?;
        self.atomic_u32(offset).map(|cell| cell.store(value, Ordering::Release))
    }

    /// Stores with Release; `None` outside the mapping, unaligned or read-only.
    pub(in crate::load) fn store_u64(&self, offset: usize, value: u64) -> Option<()> {
        self.writable()?;
        self.atomic_u64(offset).map(|cell| cell.store(value, Ordering::Release))
    }

    fn writable(&self) -> Option<()> {
        (self.protection == Protection::ReadWrite).then_some(())
    }

    /// `len` bytes at `offset`, `None` outside the mapping.
    ///
    /// # Safety
    /// Nobody, the kernel included, may write these bytes while the slice lives.
    pub(in crate::load) unsafe fn bytes(&self, offset: usize, len: usize) -> Option<&[u8]> {
        if offset.checked_add(len)? > self.len {
            return None;
        }
        // SAFETY: `offset` lies inside the mapping, checked above.
        let place = unsafe { self.address.add(offset) };
        // SAFETY: in bounds, checked above; initialised, as all mapped memory; not written while the slice lives, by contract.
        Some(unsafe { std::slice::from_raw_parts(place.as_ptr(), len) })
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: this mapping is ours, and no reference into it outlives `self`.
        let _always_succeeds_for_a_live_mapping =
            unsafe { libc::munmap(self.address.as_ptr().cast(), self.len) };
    }
}
