//! Places in programs and libraries.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};

/// A file, by what tells it from all others as long as it exists or is held open.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId {
    /// Number of the device (`st_dev`).
    pub device: u64,
    /// Number of the file on it (`st_ino`).
    pub inode: u64,
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "inode {} of device {:#x}", self.inode, self.device)
    }
}

/// A place in the code of a file. Equal places are the same for the kernel; a file may have many names, so that the path tells none apart.
#[derive(Debug, Clone)]
pub struct UserPlace {
    /// The file.
    pub file: FileId,
    /// A name of it, to be shown.
    pub path: String,
    /// Offset of the instruction in the file.
    pub offset: u64,
    /// Offset in the file of a counter that the kernel raises in each process while somebody watches the place (a USDT probe's semaphore); 0 for none.
    pub reference_counter: u64,
}

impl UserPlace {
    const fn key(&self) -> (FileId, u64, u64) {
        (self.file, self.offset, self.reference_counter)
    }
}

impl PartialEq for UserPlace {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for UserPlace {}

impl PartialOrd for UserPlace {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for UserPlace {
    fn cmp(&self, other: &Self) -> Ordering {
        self.key().cmp(&other.key())
    }
}

impl Hash for UserPlace {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key().hash(state);
    }
}

impl fmt::Display for UserPlace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at offset {:#x}", self.path, self.offset)
    }
}

/// Which end of a call a program at a place is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum CallEnd {
    /// The place itself.
    Entry,
    /// The return of the function that begins at the place: the kernel puts a return address of its own in place of the one on the stack.
    Return,
}

/// Whether places in one file may share a link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum UserLinks {
    /// The planner chooses.
    #[default]
    Planner,
    /// Perf uprobes, whatever else there is.
    Single,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_the_same_under_every_name_of_its_file() {
        let place = |path: &str, inode, offset| UserPlace {
            file: FileId { device: 1, inode },
            path: path.to_owned(),
            offset,
            reference_counter: 0,
        };
        assert_eq!(place("/bin/sh", 7, 16), place("/bin/dash", 7, 16));
        assert_ne!(place("/bin/sh", 7, 16), place("/bin/sh", 8, 16));
        assert_ne!(place("/bin/sh", 7, 16), place("/bin/sh", 7, 17));
        assert_eq!(place("/bin/sh", 7, 16).to_string(), "/bin/sh at offset 0x10");
    }
}
