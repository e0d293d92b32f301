//! Making maps, and asking what objects exist.

#![expect(unsafe_code, reason = "bpf(2)")]

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd};

use super::SysError;
use crate::spec::MapKind;

/// BTF ids of key and value, which some map kinds ask for.
#[derive(Clone, Copy, Debug)]
pub(in crate::load) struct ValueType<'btf> {
    /// The BTF object.
    pub(in crate::load) btf: BorrowedFd<'btf>,
    /// Type of the key.
    pub(in crate::load) key: u32,
    /// Type of the value.
    pub(in crate::load) value: u32,
}

/// What `BPF_MAP_CREATE` takes.
#[derive(Clone, Copy, Debug)]
pub(in crate::load) struct MapDefinition<'a> {
    pub(in crate::load) kind: MapKind,
    pub(in crate::load) name: &'a CStr,
    pub(in crate::load) key_size: u32,
    pub(in crate::load) value_size: u32,
    pub(in crate::load) max_entries: u32,
    pub(in crate::load) flags: u32,
    pub(in crate::load) types: Option<ValueType<'a>>,
}

/// Makes a map.
pub(super) fn map_create(definition: &MapDefinition<'_>) -> Result<OwnedFd, SysError> {
    let mut opts = libbpf_sys::bpf_map_create_opts {
        sz: size_of::<libbpf_sys::bpf_map_create_opts>() as u64,
        map_flags: definition.flags,
        ..Default::default()
    };
    if let Some(types) = definition.types {
        opts.btf_fd = types.btf.as_raw_fd().cast_unsigned();
        opts.btf_key_type_id = types.key;
        opts.btf_value_type_id = types.value;
    }
    // SAFETY: the name is NUL-terminated, `opts` is a live option block of the size that it states; both are only read during the call.
    let result = unsafe {
        libbpf_sys::bpf_map_create(
            definition.kind as u32,
            definition.name.as_ptr(),
            definition.key_size,
            definition.value_size,
            definition.max_entries,
            &raw const opts,
        )
    };
    own("bpf(BPF_MAP_CREATE)", result)
}

/// Takes ownership of a descriptor that a call just returned.
pub(super) fn own(call: &'static str, result: libc::c_int) -> Result<OwnedFd, SysError> {
    let fd = SysError::check(call, result)?;
    // SAFETY: the kernel just made this descriptor for us; nobody else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// The id of a map.
pub(in crate::load) fn map_id(fd: BorrowedFd<'_>) -> Result<u32, SysError> {
    map_facts(fd).map(|facts| facts.id)
}

/// What the kernel says about a map.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(in crate::load) struct MapFacts {
    pub(in crate::load) id: u32,
    /// `enum bpf_map_type`.
    pub(in crate::load) kind: u32,
    /// The first 15 bytes of its name.
    pub(in crate::load) name: String,
    pub(in crate::load) key_size: u32,
    pub(in crate::load) value_size: u32,
    pub(in crate::load) max_entries: u32,
}

/// Asks about a map.
pub(in crate::load) fn map_facts(fd: BorrowedFd<'_>) -> Result<MapFacts, SysError> {
    let mut answer = libbpf_sys::bpf_map_info::default();
    // SAFETY: this is what maps are asked for, and has no pointers.
    unsafe { info(fd, &mut answer) }?;
    Ok(MapFacts {
        id: answer.id,
        kind: answer.type_,
        name: object_name(&answer.name),
        key_size: answer.key_size,
        value_size: answer.value_size,
        max_entries: answer.max_entries,
    })
}

/// A name as the kernel keeps it: up to its first NUL.
pub(super) fn object_name(name: &[libc::c_char]) -> String {
    let bytes: Vec<u8> =
        name.iter().map(|letter| letter.to_ne_bytes()[0]).take_while(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

/// A map by its number.
pub(in crate::load) fn map_by_id(id: u32) -> Result<OwnedFd, SysError> {
    // SAFETY: a plain number; the call makes a descriptor or fails.
    own("bpf(BPF_MAP_GET_FD_BY_ID)", unsafe { libbpf_sys::bpf_map_get_fd_by_id(id) })
}

/// What the kernel says about an object, into `answer`. Returns how many bytes of it this kernel knows.
///
/// # Safety
/// `Info` is the `struct bpf_*_info` of the object's kind, and each pointer in it goes to a live buffer of the size or count beside it, or is null and
/// that count 0.
pub(super) unsafe fn info<Info>(fd: BorrowedFd<'_>, answer: &mut Info) -> Result<u32, SysError> {
    let mut len = info_len::<Info>();
    // SAFETY: `answer` and `len` are live and `len` is the size of `answer`, the most that the kernel writes there; the caller answers for what it points to.
    let result = unsafe {
        libbpf_sys::bpf_obj_get_info_by_fd(fd.as_raw_fd(), std::ptr::from_mut(answer).cast(), &raw mut len)
    };
    SysError::check("bpf(BPF_OBJ_GET_INFO_BY_FD)", result)?;
    Ok(len)
}

/// The size of a structure as system calls take it.
pub(super) fn info_len<T>() -> u32 {
    u32::try_from(size_of::<T>()).unwrap_or(u32::MAX)
}

/// Gives an object a name in a BPF file system, by which it lives on without descriptors. The name must be free.
pub(in crate::load) fn object_pin(fd: BorrowedFd<'_>, path: &CStr) -> Result<(), SysError> {
    // SAFETY: the path is NUL-terminated and only read during the call.
    let result = unsafe { libbpf_sys::bpf_obj_pin(fd.as_raw_fd(), path.as_ptr()) };
    SysError::check("bpf(BPF_OBJ_PIN)", result).map(|_zero| ())
}

/// A descriptor of the object that has this name.
pub(in crate::load) fn object_get(path: &CStr) -> Result<OwnedFd, SysError> {
    // SAFETY: the path is NUL-terminated and only read during the call.
    let result = unsafe { libbpf_sys::bpf_obj_get(path.as_ptr()) };
    own("bpf(BPF_OBJ_GET)", result)
}

/// Kinds of kernel object that have ids.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ObjectKind {
    /// Programs.
    Program,
    /// Maps.
    Map,
    /// Links.
    Link,
    /// BTF objects.
    Btf,
}

/// The ids of all objects of a kind on this kernel, ascending; for `bugtool` and leak tests.
///
/// # Errors
/// The call that failed, `EPERM` without `CAP_SYS_ADMIN`.
pub fn object_ids(kind: ObjectKind) -> Result<Vec<u32>, SysError> {
    let mut ids = Vec::new();
    let mut last = 0_u32;
    loop {
        let mut next = 0_u32;
        let result = next_id(kind, last, &mut next);
        match SysError::check("bpf(BPF_*_GET_NEXT_ID)", result) {
            Ok(_) => ids.push(next),
            Err(error) if error.errno == libc::ENOENT => return Ok(ids),
            Err(error) => return Err(error),
        }
        last = next;
    }
}

fn next_id(kind: ObjectKind, last: u32, next: &mut u32) -> libc::c_int {
    match kind {
        // SAFETY: `next` is a live u32 that the call may write.
        ObjectKind::Program => unsafe { libbpf_sys::bpf_prog_get_next_id(last, next) },
        // SAFETY: as above.
        ObjectKind::Map => unsafe { libbpf_sys::bpf_map_get_next_id(last, next) },
        // SAFETY: as above.
        ObjectKind::Link => unsafe { libbpf_sys::bpf_link_get_next_id(last, next) },
        // SAFETY: as above.
        ObjectKind::Btf => unsafe { libbpf_sys::bpf_btf_get_next_id(last, next) },
    }
}
