//! Reading what may make the reader wait.
//!
//! `/proc/PID/cmdline` is read from the memory of the process: a page that lies in a file of a file system in user space comes when
//! that file system likes. So does the metadata of an executable on such a file system. A process could hold up the daemon that way; so
//! a helper thread reads them, and the daemon waits for it for a bounded time.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bpf_probes::abi::MAX_ARGUMENTS;

use crate::pipeline::patience;

/// What may make the reader wait.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Slow {
    /// The arguments, each ended by NUL, the first included.
    pub(super) arguments: Vec<u8>,
    /// Whether there were more than were read.
    pub(super) truncated: bool,
    /// Inode number of the executable; 0 if unknown.
    pub(super) inode: u64,
    /// Its link count.
    pub(super) links: u32,
}

/// Reads with a helper thread.
#[derive(Debug)]
pub(super) struct Patience {
    helper: patience::Patience<PathBuf, Slow>,
}

impl Default for Patience {
    fn default() -> Self {
        Self { helper: patience::Patience::new("procfs") }
    }
}

impl Patience {
    /// What there is to read in the directory of a process, if it comes within `limit`.
    pub(super) fn read(&mut self, directory: &Path, limit: Duration) -> Option<Slow> {
        self.helper.ask(directory.to_owned(), limit, |directory| read(directory))
    }
}

fn read(directory: &Path) -> Slow {
    let mut slow = Slow::default();
    if let Ok(file) = File::open(directory.join("cmdline")) {
        let limit = u64::from(MAX_ARGUMENTS);
        // What was read before an error is kept: the process may be ending.
        let _read = file.take(limit).read_to_end(&mut slow.arguments);
        slow.truncated = slow.arguments.len() as u64 == limit;
    }
    if let Ok(metadata) = fs::metadata(directory.join("exe")) {
        slow.inode = metadata.ino();
        slow.links = u32::try_from(metadata.nlink()).unwrap_or(u32::MAX);
    }
    slow
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use super::Patience;

    #[test]
    fn the_arguments_of_this_process_come_in_time() {
        let slow = Patience::default().read(Path::new("/proc/self"), Duration::from_secs(20));
        let slow = slow.unwrap_or_default();
        let own: Vec<u8> = std::env::args().flat_map(|argument| (argument + "\0").into_bytes()).collect();
        assert_eq!(slow.arguments, own);
        assert_ne!(slow.inode, 0);
    }
}
