//! One process.

use std::fs::{self, File};
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::time::Duration;

use bpf_probes::abi::{Credentials, Namespaces};

use super::parse::{self, KERNEL_THREAD};
use super::patience::Patience;
use crate::pipeline::identify::table::Incarnation;

/// Nanoseconds in a clock tick of procfs (`USER_HZ` is 100 on all architectures that matter).
const TICK: u64 = 10_000_000;
/// Most bytes of a small file that are read.
const SMALL: u64 = 64 << 10;
/// What the kernel appends to the path of a file without a name (`fs/d_path.c`: `d_path`).
const DELETED: &[u8] = b" (deleted)";

/// A process found in procfs.
#[derive(Clone, Debug, Default, PartialEq)]
#[expect(clippy::struct_excessive_bools, reason = "facts that do not depend on each other")]
pub struct RunningProcess {
    /// Thread group id.
    pub tgid: u32,
    /// Thread group id of its parent; 0 is the kernel.
    pub parent_tgid: u32,
    /// When it started, in nanoseconds since boot, to the clock tick.
    pub ktime: u64,
    /// The executable; `[name]` for a thread of the kernel.
    pub binary: Vec<u8>,
    /// The arguments without the first, each ended by NUL.
    pub arguments: Vec<u8>,
    /// The environment, each variable ended by NUL; empty where it was not asked for.
    pub environment: Vec<u8>,
    /// There are more arguments.
    pub truncated: bool,
    /// The working directory, where it could be read.
    pub cwd: Option<Vec<u8>>,
    /// Login uid; `u32::MAX` if unset.
    pub auid: u32,
    /// Ids and capabilities.
    pub credentials: Credentials,
    /// Namespaces.
    pub namespaces: Namespaces,
    /// Name of its cgroup.
    pub cgroup: Vec<u8>,
    /// Inode number of the executable; 0 if unknown.
    pub inode: u64,
    /// Its link count.
    pub links: u32,
    /// A thread of the kernel.
    pub kernel_thread: bool,
    /// The first process of a pid namespace that is not procfs's own.
    pub inner_init: bool,
    /// The init of a container, or descends from it.
    pub in_init_tree: bool,
}

impl RunningProcess {
    pub(crate) fn id(&self) -> Incarnation {
        Incarnation { tgid: self.tgid, ktime: self.ktime }
    }

    /// Reads process `tgid`. `None` if it is not there, or is dead and waits for its parent only.
    pub(super) fn read(root: &Path, tgid: u32, patience: &mut Patience, limit: Duration) -> Option<Self> {
        let directory = root.join(tgid.to_string());
        let text = small(&directory.join("stat"))?;
        let stat = parse::stat(&text)?;
        if matches!(stat.state, b'Z' | b'X' | b'x') {
            return None;
        }
        let kernel_thread = stat.flags & KERNEL_THREAD != 0;
        let status = parse::status(&small(&directory.join("status"))?);
        let mut process = Self {
            tgid,
            parent_tgid: stat.parent,
            ktime: stat.start.saturating_mul(TICK),
            cwd: link(&directory.join("cwd")),
            auid: auid(&directory),
            credentials: status.credentials,
            namespaces: namespaces(&directory),
            cgroup: parse::cgroup_name(&small(&directory.join("cgroup")).unwrap_or_default()).to_vec(),
            kernel_thread,
            inner_init: status.inner_pid == 1 && status.pid_namespaces > 1,
            ..Self::default()
        };
        if kernel_thread {
            process.binary = [b"[", stat.comm, b"]"].concat();
            return Some(process);
        }
        if let Some(slow) = patience.read(&directory, limit) {
            process.truncated = slow.truncated;
            process.inode = slow.inode;
            process.links = slow.links;
            process.environment = slow.environment;
            let first = slow.arguments.iter().position(|byte| *byte == 0);
            process.arguments = first.map_or_else(Vec::new, |end| slow.arguments[end + 1..].to_vec());
        }
        process.binary = link(&directory.join("exe")).unwrap_or_default();
        if process.inode != 0 && process.links == 0 && process.binary.ends_with(DELETED) {
            process.binary.truncate(process.binary.len() - DELETED.len());
        }
        Some(process)
    }
}

/// The namespaces of the host's init.
pub(super) fn host_namespaces(root: &Path) -> Namespaces {
    namespaces(&root.join("1"))
}

fn namespaces(directory: &Path) -> Namespaces {
    let directory = directory.join("ns");
    let number = |name| link(&directory.join(name)).and_then(|link| parse::namespace(&link)).unwrap_or(0);
    Namespaces {
        uts: number("uts"),
        ipc: number("ipc"),
        mnt: number("mnt"),
        pid: number("pid"),
        pid_for_children: number("pid_for_children"),
        net: number("net"),
        time: number("time"),
        time_for_children: number("time_for_children"),
        cgroup: number("cgroup"),
        user: number("user"),
    }
}

fn auid(directory: &Path) -> u32 {
    let text = small(&directory.join("loginuid")).unwrap_or_default();
    std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(u32::MAX)
}

fn small(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(SMALL).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

fn link(path: &Path) -> Option<Vec<u8>> {
    fs::read_link(path).ok().map(|target| target.into_os_string().into_vec())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::os::unix::ffi::OsStrExt;
    use std::path::Path;
    use std::time::Duration;

    use bpf_probes::sensor::Environment;

    use super::RunningProcess;
    use crate::pipeline::identify::proc::patience::Patience;

    fn read(tgid: u32) -> Option<RunningProcess> {
        RunningProcess::read(
            Path::new("/proc"),
            tgid,
            &mut Patience::new(Environment::Unread),
            Duration::from_secs(20),
        )
    }

    #[test]
    fn this_process_is_read_as_it_is() {
        let process = read(std::process::id()).unwrap();
        assert_eq!(process.parent_tgid, std::os::unix::process::parent_id());
        assert_eq!(process.binary, std::env::current_exe().unwrap().as_os_str().as_bytes());
        assert_eq!(process.cwd.unwrap(), std::env::current_dir().unwrap().as_os_str().as_bytes());
        let arguments: Vec<u8> =
            std::env::args().skip(1).flat_map(|argument| (argument + "\0").into_bytes()).collect();
        assert_eq!(process.arguments, arguments);
        assert!(process.ktime > 0 && process.inode != 0 && !process.kernel_thread);
        assert_ne!(process.namespaces.pid, 0);
    }

    #[test]
    fn a_process_that_is_not_there_is_none() {
        assert_eq!(read(u32::MAX), None);
    }

    #[test]
    fn a_deleted_executable_has_its_path_and_no_links() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("gone");
        // by another process: children of other tests would hold a file that this one writes, and a file that is written cannot be executed
        assert!(std::process::Command::new("cp").arg("/bin/sleep").arg(&path).status().unwrap().success());
        let mut child = std::process::Command::new(&path).arg("1000").spawn().unwrap();
        std::fs::remove_file(&path).unwrap();
        let process = read(child.id()).unwrap();
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(process.binary, path.as_os_str().as_bytes());
        assert_eq!(process.links, 0);
        assert_eq!(process.arguments, b"1000\0");
    }
}
