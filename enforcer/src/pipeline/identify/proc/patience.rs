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
use bpf_probes::sensor::Environment;

use crate::pipeline::patience;

/// What may make the reader wait.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Slow {
    /// The arguments, each ended by NUL, the first included.
    pub(super) arguments: Vec<u8>,
    /// The environment, each variable ended by NUL; empty unless asked for.
    pub(super) environment: Vec<u8>,
    /// Whether there were more arguments than were read.
    pub(super) truncated: bool,
    /// Inode number of the executable; 0 if unknown.
    pub(super) inode: u64,
    /// Its link count.
    pub(super) links: u32,
}

/// Reads with a helper thread.
#[derive(Debug)]
pub(super) struct Patience {
    helper: patience::Patience<(PathBuf, Environment), Slow>,
    environment: Environment,
}

impl Patience {
    /// Whether the environment is read too, `environment` says.
    pub(super) const fn new(environment: Environment) -> Self {
        Self { helper: patience::Patience::new("procfs"), environment }
    }

    /// What there is to read in the directory of a process, if it comes within `limit`.
    pub(super) fn read(&mut self, directory: &Path, limit: Duration) -> Option<Slow> {
        let question = (directory.to_owned(), self.environment);
        self.helper.ask(question, limit, |(directory, environment)| read(directory, *environment))
    }
}

fn read(directory: &Path, environment: Environment) -> Slow {
    let mut slow = Slow { arguments: memory(&directory.join("cmdline")), ..Slow::default() };
    slow.truncated = slow.arguments.len() == MAX_ARGUMENTS as usize;
    if environment == Environment::Read {
        slow.environment = memory(&directory.join("environ"));
    }
    if let Ok(metadata) = fs::metadata(directory.join("exe")) {
        slow.inode = metadata.ino();
        slow.links = u32::try_from(metadata.nlink()).unwrap_or(u32::MAX);
    }
    slow
}

/// What a file shows of a process's memory.
fn memory(path: &Path) -> Vec<u8> {
    let mut bytes = Vec::new();
    if let Ok(file) = File::open(path) {
        // What was read before an error is kept: the process may be ending.
        let _read = file.take(u64::from(MAX_ARGUMENTS)).read_to_end(&mut bytes);
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::time::Duration;

    use bpf_probes::sensor::Environment;

    use super::Patience;

    #[test]
    fn the_arguments_of_this_process_come_in_time() {
        let read = |environment| {
            let slow = Patience::new(environment).read(Path::new("/proc/self"), Duration::from_secs(20));
            slow.unwrap_or_default()
        };
        let slow = read(Environment::Unread);
        assert_eq!(slow.environment, b"");
        let with_environment = read(Environment::Read);
        assert!(with_environment.environment.split(|byte| *byte == 0).any(|text| text.starts_with(b"PATH=")));
        let own: Vec<u8> = std::env::args().flat_map(|argument| (argument + "\0").into_bytes()).collect();
        assert_eq!(slow.arguments, own);
        assert_ne!(slow.inode, 0);
    }
}
