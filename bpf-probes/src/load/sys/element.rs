//! Elements of a map: look-up, update, delete, iteration, batches.

#![expect(unsafe_code, reason = "bpf(2)")]

use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};

use super::SysError;
use super::object::{MapDefinition, map_create};
use crate::load::cpus::PossibleCpus;
use crate::spec::MapKind;

/// What an update does where an element is already, or is not.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[repr(u64)]
pub(in crate::load) enum UpdateMode {
    /// Makes or replaces.
    Any = 0,
    /// Makes; `EEXIST` where one is.
    Make = 1,
    /// Replaces; `ENOENT` where none is.
    Replace = 2,
}

/// A map descriptor with the sizes that the kernel will read and write through pointers.
#[derive(Debug)]
pub(in crate::load) struct Elements {
    fd: OwnedFd,
    key_size: usize,
    /// Bytes of a value as user space sees it: for per-CPU maps those of every possible CPU, each rounded up to 8.
    value_size: usize,
}

impl AsFd for Elements {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

impl Elements {
    /// Makes a map.
    pub(in crate::load) fn create(
        definition: &MapDefinition<'_>,
        cpus: PossibleCpus,
    ) -> Result<Self, SysError> {
        let fd = map_create(definition)?;
        // The kernel accepted these sizes for this map. What it reads and writes for an element is the key size and the value size; for
        // per-CPU kinds the value of every possible CPU, each rounded up to 8 (kernel/bpf/syscall.c: bpf_map_value_size, 5.10 to 7.2).
        let value_size = definition.value_size as usize;
        let value_size = match definition.kind {
            MapKind::PerCpuArray | MapKind::PerCpuHash => {
                value_size.next_multiple_of(8) * cpus.count() as usize
            }
            MapKind::Hash
            | MapKind::Array
            | MapKind::ProgArray
            | MapKind::StackTrace
            | MapKind::LruHash
            | MapKind::LpmTrie
            | MapKind::ArrayOfMaps
            | MapKind::HashOfMaps
            | MapKind::RingBuf
            | MapKind::TaskStorage => value_size,
        };
        Ok(Self { fd, key_size: definition.key_size as usize, value_size })
    }

    /// A map that exists, whose keys and values are 32-bit numbers to user space: an array of programs, looked at by their numbers.
    pub(in crate::load) const fn of_program_array(fd: OwnedFd) -> Self {
        Self { fd, key_size: size_of::<u32>(), value_size: size_of::<u32>() }
    }

    pub(in crate::load) const fn key_size(&self) -> usize {
        self.key_size
    }

    pub(in crate::load) const fn value_size(&self) -> usize {
        self.value_size
    }

    fn check(&self, call: &'static str, key: &[u8], value: Option<&[u8]>) -> Result<(), SysError> {
        let fits = key.len() == self.key_size && value.is_none_or(|value| value.len() == self.value_size);
        if fits { Ok(()) } else { Err(SysError::new(call, libc::EINVAL)) }
    }

    /// Reads the value of `key` into `value`; `false` if there is none.
    pub(in crate::load) fn lookup(&self, key: &[u8], value: &mut [u8]) -> Result<bool, SysError> {
        const CALL: &str = "bpf(BPF_MAP_LOOKUP_ELEM)";
        self.check(CALL, key, Some(value))?;
        // SAFETY: both buffers have the lengths that `create` found to be what the kernel uses, checked above.
        let result = unsafe {
            libbpf_sys::bpf_map_lookup_elem(
                self.fd.as_raw_fd(),
                key.as_ptr().cast(),
                value.as_mut_ptr().cast(),
            )
        };
        found(SysError::check(CALL, result))
    }

    /// Writes one element.
    pub(in crate::load) fn update(&self, key: &[u8], value: &[u8], mode: UpdateMode) -> Result<(), SysError> {
        const CALL: &str = "bpf(BPF_MAP_UPDATE_ELEM)";
        self.check(CALL, key, Some(value))?;
        // SAFETY: both buffers have the lengths that `create` found to be what the kernel uses, checked above; they are only read.
        let result = unsafe {
            libbpf_sys::bpf_map_update_elem(
                self.fd.as_raw_fd(),
                key.as_ptr().cast(),
                value.as_ptr().cast(),
                mode as u64,
            )
        };
        SysError::check(CALL, result).map(drop)
    }

    /// Deletes one element; `false` if there is none.
    pub(in crate::load) fn delete(&self, key: &[u8]) -> Result<bool, SysError> {
        const CALL: &str = "bpf(BPF_MAP_DELETE_ELEM)";
        self.check(CALL, key, None)?;
        // SAFETY: the key has the length that `create` found to be what the kernel uses, checked above; it is only read.
        let result = unsafe { libbpf_sys::bpf_map_delete_elem(self.fd.as_raw_fd(), key.as_ptr().cast()) };
        found(SysError::check(CALL, result))
    }

    /// Writes the key after `key` (the first for `None`) into `next`; `false` at the end.
    pub(in crate::load) fn next_key(&self, key: Option<&[u8]>, next: &mut [u8]) -> Result<bool, SysError> {
        const CALL: &str = "bpf(BPF_MAP_GET_NEXT_KEY)";
        self.check(CALL, next, None)?;
        if let Some(key) = key {
            self.check(CALL, key, None)?;
        }
        let key = key.map_or(std::ptr::null(), <[u8]>::as_ptr);
        // SAFETY: `key` is null or has the promised length, and so has `next`, checked above.
        let result = unsafe {
            libbpf_sys::bpf_map_get_next_key(self.fd.as_raw_fd(), key.cast(), next.as_mut_ptr().cast())
        };
        found(SysError::check(CALL, result))
    }

    /// Writes `count` elements with one call (5.6, by map kind). Returns how many were written and the error that stopped it.
    pub(in crate::load) fn update_batch(
        &self,
        keys: &[u8],
        values: &[u8],
        count: u32,
    ) -> (u32, Result<(), SysError>) {
        const CALL: &str = "bpf(BPF_MAP_UPDATE_BATCH)";
        let wanted = count as usize;
        if keys.len() != wanted * self.key_size || values.len() != wanted * self.value_size {
            return (0, Err(SysError::new(CALL, libc::EINVAL)));
        }
        let opts = libbpf_sys::bpf_map_batch_opts {
            sz: size_of::<libbpf_sys::bpf_map_batch_opts>() as u64,
            ..Default::default()
        };
        let mut done = count;
        // SAFETY: the buffers hold `count` keys and values of the promised lengths, checked above, and are only read; `done` and
        // `opts` are live.
        let result = unsafe {
            libbpf_sys::bpf_map_update_batch(
                self.fd.as_raw_fd(),
                keys.as_ptr().cast(),
                values.as_ptr().cast(),
                &raw mut done,
                &raw const opts,
            )
        };
        let result = SysError::check(CALL, result).map(drop);
        // A refusal before the first element leaves the count as it was (kernel/bpf/syscall.c: generic_map_update_batch writes it back
        // at its end only, and not at all for a map without batches).
        let done = if result.is_err() && done == count { 0 } else { done };
        (done, result)
    }
}

fn found(result: Result<libc::c_int, SysError>) -> Result<bool, SysError> {
    match result {
        Ok(_) => Ok(true),
        Err(error) if error.errno == libc::ENOENT => Ok(false),
        Err(error) => Err(error),
    }
}
