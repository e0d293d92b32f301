//! What the kernel says about the BPF objects that exist: identifiers, run counts, memory.
//!
//! Raw calls of `bpf(2)`, so that what the loader of the product believes is not asked of that loader.
#![expect(unsafe_code, reason = "bpf(2) has no safe wrapper that knows nothing of the product")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, FromRawFd, OwnedFd};

/// A kind of object that has identifiers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Object {
    /// Programs.
    Program,
    /// Maps.
    Map,
    /// Links (5.8).
    Link,
}

/// Commands of `bpf(2)`, include/uapi/linux/bpf.h: `enum bpf_cmd`.
const PROG_GET_NEXT_ID: libc::c_long = 11;
const MAP_GET_NEXT_ID: libc::c_long = 12;
const MAP_GET_NEXT_KEY: libc::c_long = 4;
const PROG_GET_FD_BY_ID: libc::c_long = 13;
const MAP_GET_FD_BY_ID: libc::c_long = 14;
const OBJ_GET_INFO_BY_FD: libc::c_long = 15;
const LINK_GET_NEXT_ID: libc::c_long = 31;

/// The first part of `union bpf_attr`, as the commands above use it.
#[repr(C, align(8))]
struct Attribute([u8; 16]);

/// The same for commands on elements.
#[repr(C, align(8))]
struct Attribute32([u8; 32]);

/// `struct bpf_prog_info` up to `recursion_misses` (5.12) and four bytes more.
#[repr(C, align(8))]
struct ProgramBytes([u8; 224]);

/// What the kernel counted for one program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Program {
    /// Identifier.
    pub id: u32,
    /// At most 15 bytes.
    pub name: String,
    /// Nanoseconds in the program while `kernel.bpf_stats_enabled` was set.
    pub run_time: u64,
    /// Runs while it was set.
    pub run_count: u64,
    /// Calls that the kernel skipped because the program was running on that CPU already; 0 before 5.12.
    pub missed: u64,
}

/// Identifiers of all objects of a kind.
///
/// # Errors
/// What the kernel refuses, such as a missing privilege.
pub fn ids(kind: Object) -> io::Result<BTreeSet<u32>> {
    let command = match kind {
        Object::Program => PROG_GET_NEXT_ID,
        Object::Map => MAP_GET_NEXT_ID,
        Object::Link => LINK_GET_NEXT_ID,
    };
    let mut found = BTreeSet::new();
    let mut last = 0_u32;
    loop {
        let mut attribute = Attribute([0; 16]);
        attribute.0[..4].copy_from_slice(&last.to_ne_bytes());
        match call(command, &mut attribute) {
            Ok(_) => {
                last = u32::from_ne_bytes([attribute.0[4], attribute.0[5], attribute.0[6], attribute.0[7]]);
            }
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => return Ok(found),
            Err(error) => return Err(error),
        }
        found.insert(last);
    }
}

/// All programs that exist, in order of their identifiers.
///
/// # Errors
/// What the kernel refuses; a program that ends meanwhile is left out.
pub fn programs() -> io::Result<Vec<Program>> {
    let mut found = Vec::new();
    for id in ids(Object::Program)? {
        match program(id) {
            Ok(program) => found.push(program),
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(found)
}

fn program(id: u32) -> io::Result<Program> {
    let mut attribute = Attribute([0; 16]);
    attribute.0[..4].copy_from_slice(&id.to_ne_bytes());
    let descriptor = call(PROG_GET_FD_BY_ID, &mut attribute)?;
    // SAFETY: the call just returned this descriptor, and nothing else owns it.
    let descriptor = unsafe { OwnedFd::from_raw_fd(descriptor) };
    let info = info(&descriptor)?;
    let bytes = &info.0;
    let name = bytes[64..80].split(|byte| *byte == 0).next().unwrap_or_default();
    let word = |at: usize| -> u64 { bytes[at..].first_chunk::<8>().copied().map_or(0, u64::from_ne_bytes) };
    Ok(Program {
        id,
        name: String::from_utf8_lossy(name).into_owned(),
        run_time: word(192),
        run_count: word(200),
        missed: word(208),
    })
}

/// What the kernel says of an object; what it has no room for or does not know stays zero.
fn info(descriptor: &OwnedFd) -> io::Result<Box<ProgramBytes>> {
    let mut info = Box::new(ProgramBytes([0; 224]));
    let mut attribute = Attribute([0; 16]);
    attribute.0[..4].copy_from_slice(&descriptor.as_raw_fd().to_ne_bytes());
    attribute.0[4..8].copy_from_slice(&224_u32.to_ne_bytes());
    attribute.0[8..].copy_from_slice(&(std::ptr::from_mut::<ProgramBytes>(&mut info) as u64).to_ne_bytes());
    call(OBJ_GET_INFO_BY_FD, &mut attribute)?;
    Ok(info)
}

fn call(command: libc::c_long, attribute: &mut Attribute) -> io::Result<i32> {
    // SAFETY: `attribute` is 16 writable bytes, and its size is passed along; for OBJ_GET_INFO_BY_FD it names a
    // buffer of the size that it states, which the caller keeps alive over the call.
    let result = unsafe {
        libc::syscall(libc::SYS_bpf, command, std::ptr::from_mut(attribute), size_of::<Attribute>())
    };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    i32::try_from(result).map_err(io::Error::other)
}

/// Whether no map of that name has an entry.
///
/// # Errors
/// What the kernel refuses, and when there is no such map.
pub fn map_is_empty(name: &str) -> io::Result<bool> {
    let mut found = None;
    for id in ids(Object::Map)? {
        let mut attribute = Attribute([0; 16]);
        attribute.0[..4].copy_from_slice(&id.to_ne_bytes());
        let descriptor = match call(MAP_GET_FD_BY_ID, &mut attribute) {
            // SAFETY: the call just returned this descriptor, and nothing else owns it.
            Ok(descriptor) => unsafe { OwnedFd::from_raw_fd(descriptor) },
            Err(error) if error.raw_os_error() == Some(libc::ENOENT) => continue,
            Err(error) => return Err(error),
        };
        let info = info(&descriptor)?;
        // struct bpf_map_info: six words, then the name
        let bytes = info.0[24..40].split(|byte| *byte == 0).next().unwrap_or_default();
        if bytes == name.as_bytes() {
            found = Some(found.unwrap_or(true) && has_no_key(&descriptor)?);
        }
    }
    found.ok_or_else(|| io::Error::other(format!("there is no map {name}")))
}

/// Whether a map with keys of at most 64 bytes is empty.
fn has_no_key(map: &OwnedFd) -> io::Result<bool> {
    let mut key = Box::new([0_u8; 64]);
    let mut attribute = Attribute32([0; 32]);
    attribute.0[..4].copy_from_slice(&map.as_raw_fd().to_ne_bytes());
    // no key before it: the first
    attribute.0[16..24].copy_from_slice(&(std::ptr::from_mut::<[u8; 64]>(&mut key) as u64).to_ne_bytes());
    // SAFETY: `attribute` is 32 writable bytes, and its size is passed along; the key that it names has 64 bytes and outlives the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_bpf,
            MAP_GET_NEXT_KEY,
            std::ptr::from_mut(&mut attribute),
            size_of::<Attribute32>(),
        )
    };
    if result == 0 {
        return Ok(false);
    }
    let error = io::Error::last_os_error();
    if error.raw_os_error() == Some(libc::ENOENT) { Ok(true) } else { Err(error) }
}

/// Bytes of kernel memory of the maps that a process holds open, each counted once.
///
/// # Errors
/// When the process is gone.
pub fn map_memory(pid: u32) -> io::Result<u64> {
    let mut maps = BTreeMap::new();
    for entry in fs::read_dir(format!("/proc/{pid}/fdinfo"))?.flatten() {
        let text = fs::read_to_string(entry.path()).unwrap_or_default();
        let field = |name: &str| {
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.trim().parse::<u64>().ok()
        };
        if let (Some(id), Some(bytes)) = (field("map_id:"), field("memlock:")) {
            maps.insert(id, bytes);
        }
    }
    Ok(maps.values().sum())
}
