//! The running processes, as far as their classes depend on it.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::path::PathBuf;

use crate::policy::{ProcessList, Running};

/// What the kernel puts behind the path of a file that has no name any more (`fs/d_path.c`, 5.10).
const DELETED: &[u8] = b" (deleted)";

/// The processes of a mounted procfs.
#[derive(Clone, Debug)]
pub struct ProcessesInProc {
    root: PathBuf,
}

impl ProcessesInProc {
    /// Those under `root`.
    pub const fn new(root: PathBuf) -> Self {
        Self { root }
    }
}

impl ProcessList for ProcessesInProc {
    fn tgids(&self) -> io::Result<Vec<u32>> {
        let mut tgids = Vec::new();
        for entry in fs::read_dir(&self.root)? {
            tgids.extend(entry?.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
        }
        Ok(tgids)
    }

    fn process(&self, tgid: u32) -> Option<Running> {
        let folder = self.root.join(tgid.to_string());
        let stat = fs::read(folder.join("stat")).ok()?;
        // A thread of the kernel has no executable.
        let binary =
            fs::read_link(folder.join("exe")).map(|path| OsString::from(path).into_vec()).unwrap_or_default();
        let binary = binary.strip_suffix(DELETED).map(<[u8]>::to_vec).unwrap_or(binary);
        Some(Running { parent: parent(&stat)?, binary })
    }

    fn own_number(&self, tgid: u32) -> Option<u32> {
        own_number(&fs::read(self.root.join(tgid.to_string()).join("status")).ok()?)
    }
}

/// The last of the numbers in `status` that a process has in the namespaces from procfs's own inwards; 0 when there is only one. Without pid namespaces in the kernel
/// the line is missing (`fs/proc/array.c: task_state`, 5.10).
fn own_number(status: &[u8]) -> Option<u32> {
    let mut lines = status.split(|byte| *byte == b'\n');
    let Some(numbers) = lines.find_map(|line| line.strip_prefix(b"NSpid:")) else { return Some(0) };
    let inner = std::str::from_utf8(numbers).ok()?.split_ascii_whitespace().skip(1);
    inner.last().map_or(Some(0), |number| number.parse().ok())
}

/// The fourth field of `stat`, the second behind the name, which may hold anything but ends at the last parenthesis.
fn parent(stat: &[u8]) -> Option<u32> {
    let end = stat.iter().rposition(|byte| *byte == b')')?;
    let rest = std::str::from_utf8(stat.get(end + 1..)?).ok()?;
    rest.split_ascii_whitespace().nth(1)?.parse().ok()
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_name_with_parentheses_and_spaces_does_not_hide_the_parent() {
        assert_eq!(parent(b"12 (a) R 1 (b) S 77 12 12 0"), Some(77));
        assert_eq!(parent(b"12 (a"), None);
    }

    #[test]
    fn the_innermost_number_is_the_own_one_unless_there_is_only_the_hosts() {
        assert_eq!(own_number(b"Name:\tx\nNSpid:\t300\t20\t1\nCapInh:\t0\n"), Some(1));
        assert_eq!(own_number(b"Name:\tx\nNSpid:\t300\nCapInh:\t0\n"), Some(0));
        assert_eq!(own_number(b"Name:\tx\n"), Some(0));
        assert_eq!(own_number(b"NSpid:\t300\tx\n"), None);
    }

    #[test]
    fn this_process_is_among_them_with_its_parent_and_binary() {
        let processes = ProcessesInProc::new("/proc".into());
        let us = std::process::id();
        assert!(processes.tgids().unwrap().contains(&us));
        let found = processes.process(us).unwrap();
        assert_eq!(found.parent, std::os::unix::process::parent_id());
        assert_eq!(found.binary, std::env::current_exe().unwrap().into_os_string().into_vec());
    }

    #[test]
    fn an_executable_that_was_deleted_keeps_its_path() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("sleep");
        // by another process: children of other tests would hold a file that this one writes, and a file that is written cannot be executed
        assert!(std::process::Command::new("cp").arg("/bin/sleep").arg(&path).status().unwrap().success());
        let mut child = std::process::Command::new(&path).arg("60").spawn().unwrap();
        fs::remove_file(&path).unwrap();
        let found = ProcessesInProc::new("/proc".into()).process(child.id());
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(found.unwrap().binary, path.into_os_string().into_vec());
    }
}
