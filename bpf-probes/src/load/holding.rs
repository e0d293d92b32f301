//! Who keeps objects of the kernel alive: names in a BPF file system, descriptors of a process.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};

use super::pin::hold_pinned;
use super::sys::ObjectKind;

/// Objects that are looked at in one place; far more than we make.
const OBJECTS: usize = 65_536;
/// Folders below each other.
const DEPTH: usize = 16;
/// More than the kernel says of a descriptor.
const FDINFO: u64 = 16 << 10;

/// An object that something keeps alive.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct HeldObject {
    /// What it is; BTF objects are not told of.
    pub kind: ObjectKind,
    /// The kernel's number for it.
    pub id: u32,
    /// The number of the program that a link runs, where the kernel says it.
    pub program: Option<u32>,
    /// Its name in a BPF file system.
    pub pin: Option<PathBuf>,
}

/// The objects with names in `folder` and the folders in it, by name. A name that goes away meanwhile is left out.
///
/// # Errors
/// `folder` cannot be read.
pub fn pinned_objects(folder: &Path) -> io::Result<Vec<HeldObject>> {
    let (mut objects, mut folders) = (Vec::new(), vec![(folder.to_owned(), 0)]);
    fs::read_dir(folder)?;
    while let Some((folder, depth)) = folders.pop() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten().take(OBJECTS) {
            let Ok(kind) = entry.file_type() else { continue };
            if kind.is_dir() && depth < DEPTH {
                folders.push((entry.path(), depth + 1));
            } else if kind.is_file() && objects.len() < OBJECTS {
                objects.extend(pinned(&entry.path()));
            }
        }
    }
    objects.sort_by(|one, other| one.pin.cmp(&other.pin));
    Ok(objects)
}

fn pinned(path: &Path) -> Option<HeldObject> {
    let fd = hold_pinned(path).ok()?;
    let info = fdinfo(Path::new(&format!("/proc/self/fdinfo/{}", fd.as_raw_fd()))).ok()?;
    described(&info, Some(path))
}

/// The objects to which a process has descriptors, in the order of their kinds and numbers, each once; `proc` is the process's folder in a proc file system.
///
/// # Errors
/// The process is gone, or is not to be looked at.
pub fn objects_of_process(proc: &Path) -> io::Result<Vec<HeldObject>> {
    let mut objects = Vec::new();
    for entry in fs::read_dir(proc.join("fdinfo"))?.flatten().take(OBJECTS) {
        if let Some(object) = fdinfo(&entry.path()).ok().and_then(|info| described(&info, None)) {
            objects.push(object);
        }
    }
    objects.sort_by_key(|object| (object.kind as u8, object.id));
    objects.dedup();
    Ok(objects)
}

fn fdinfo(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(FDINFO).read_to_string(&mut text)?;
    Ok(text)
}

/// The object that the kernel describes in the words of `fdinfo` (kernel/bpf/syscall.c: `bpf_map_show_fdinfo` and its like, 5.10).
fn described(info: &str, pin: Option<&Path>) -> Option<HeldObject> {
    let number = |name: &str| {
        info.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':')?.trim().parse::<u32>().ok())
    };
    let program = number("prog_id");
    let object = |kind, id, program| HeldObject { kind, id, program, pin: pin.map(Path::to_owned) };
    if let Some(id) = number("link_id") {
        return Some(object(ObjectKind::Link, id, program));
    }
    if let Some(id) = number("map_id") {
        return Some(object(ObjectKind::Map, id, None));
    }
    program.map(|id| object(ObjectKind::Program, id, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_descriptor_says_what_it_is_of() {
        let of = |info: &str| described(info, None).map(|object| (object.kind, object.id, object.program));
        assert_eq!(of("pos:\t0\nmap_type:\t1\nmap_id:\t7\nfrozen:\t0\n"), Some((ObjectKind::Map, 7, None)));
        assert_eq!(of("prog_type:\t2\nprog_id:\t9\n"), Some((ObjectKind::Program, 9, None)));
        assert_eq!(of("link_type:\traw\nlink_id:\t3\nprog_id:\t9\n"), Some((ObjectKind::Link, 3, Some(9))));
        assert_eq!(of("pos:\t0\nflags:\t02\n"), None);
        assert_eq!(of("map_id:\tmany\n"), None);
    }

    #[test]
    fn a_folder_that_is_not_there_is_an_error_and_files_elsewhere_are_nothing() {
        assert!(pinned_objects(Path::new("/nonexistent")).is_err());
        assert_eq!(pinned_objects(Path::new("/proc/self/attr")).unwrap_or_default(), []);
        assert!(objects_of_process(Path::new("/proc/0")).is_err());
    }
}
