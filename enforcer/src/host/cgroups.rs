//! How cgroups are mounted on this machine, and where a container's is.
//!
//! Programs know a task's cgroup of version 2. A machine has the hierarchy of that version alone, beside those of version 1, or not at all.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Component, Path, PathBuf};

use crate::policy::ContainerCgroup;

/// Which hierarchies there are.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Cgroups {
    /// That of version 2 alone.
    Unified(PathBuf),
    /// That of version 2 beside those of version 1.
    Hybrid(PathBuf),
    /// Those of version 1 alone, or none: all processes are in one cgroup of version 2.
    Legacy,
}

/// Why a container's cgroup could not be found.
#[derive(Debug, thiserror::Error)]
pub enum CgroupError {
    /// There is no hierarchy that programs look at.
    #[error(
        "this machine has no cgroups of version 2, by which programs tell containers apart; boot with systemd.unified_cgroup_hierarchy=1"
    )]
    Legacy,
    /// The path leads out of the hierarchy, or to its root.
    #[error("{path:?} is no path of a cgroup below the root; give one such as /kubepods/pod1/c1")]
    NotBelow {
        /// The path.
        path: String,
    },
    /// There is no such cgroup.
    #[error("there is no cgroup {}: {error}", path.display())]
    NotThere {
        /// Where it was looked for.
        path: PathBuf,
        /// What came back.
        error: io::Error,
    },
}

impl Cgroups {
    /// Those of this process's mount namespace; [`Cgroups::Legacy`] where it cannot be told.
    pub fn of_machine(procfs: &Path) -> Self {
        fs::read(procfs.join("self/mountinfo")).map_or(Self::Legacy, |mounts| Self::read(&mounts))
    }

    /// From the text of `/proc/PID/mountinfo` (proc(5)): `36 35 98:0 /root /mount/point options … - type source options`.
    fn read(mounts: &[u8]) -> Self {
        let (mut second, mut first) = (None, false);
        for line in mounts.split(|byte| *byte == b'\n') {
            let mut words = line.split(|byte| *byte == b' ');
            let (Some(root), Some(point)) = (words.nth(3), words.next()) else { continue };
            let kind = words.skip_while(|word| *word != b"-").nth(1);
            match kind {
                // A part of the hierarchy that is mounted somewhere does not tell how deep a cgroup lies.
                Some(b"cgroup2") if root == b"/" => second = second.or_else(|| Some(unescaped(point))),
                Some(b"cgroup") => first = true,
                _ => {}
            }
        }
        match (second, first) {
            (Some(root), false) => Self::Unified(root),
            (Some(root), true) => Self::Hybrid(root),
            (None, _) => Self::Legacy,
        }
    }

    fn root(&self) -> Option<&Path> {
        match self {
            Self::Unified(root) | Self::Hybrid(root) => Some(root),
            Self::Legacy => None,
        }
    }

    /// The directory of the cgroup with this path from the root of the hierarchy, and what programs know it by.
    ///
    /// # Errors
    /// See [`CgroupError`].
    pub fn container(&self, path: &str) -> Result<(PathBuf, ContainerCgroup), CgroupError> {
        let root = self.root().ok_or(CgroupError::Legacy)?;
        let not_below = || CgroupError::NotBelow { path: path.to_owned() };
        let below = path.trim_start_matches('/');
        let names = Path::new(below).components();
        if path.contains('\0') || names.clone().any(|name| !matches!(name, Component::Normal(_))) {
            return Err(not_below());
        }
        let level = u32::try_from(names.count()).ok().filter(|level| *level > 0).ok_or_else(not_below)?;
        let directory = root.join(below);
        let looked = fs::symlink_metadata(&directory)
            .and_then(|it| if it.is_dir() { Ok(it) } else { Err(io::ErrorKind::NotADirectory.into()) });
        match looked {
            Ok(metadata) => Ok((directory, ContainerCgroup { id: metadata.ino(), level })),
            Err(error) => Err(CgroupError::NotThere { path: directory, error }),
        }
    }
}

impl fmt::Display for Cgroups {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unified(root) => write!(f, "version 2 at {}", root.display()),
            Self::Hybrid(root) => write!(f, "version 2 at {} beside version 1", root.display()),
            Self::Legacy => write!(f, "none of version 2"),
        }
    }
}

/// A mount point as it is: the kernel writes blanks and backslashes as three octal digits (`fs/proc_namespace.c: mangle`).
fn unescaped(point: &[u8]) -> PathBuf {
    let mut bytes = Vec::with_capacity(point.len());
    let mut rest = point;
    while let Some((first, after)) = rest.split_first() {
        let digits =
            after.get(..3).filter(|_| *first == b'\\').and_then(|digits| str::from_utf8(digits).ok());
        if let Some(byte) = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            bytes.push(byte);
            rest = after.get(3..).unwrap_or_default();
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    PathBuf::from(std::ffi::OsString::from_vec(bytes))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    const SECOND: &str = "30 23 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n";
    const BESIDE: &str = "31 30 0:27 / /sys/fs/my\\040group rw shared:5 master:1 - cgroup2 none rw\n";
    const FIRST: &str = "32 30 0:28 / /sys/fs/cgroup/pids rw - cgroup cgroup rw,pids\n";
    const PART: &str = "33 30 0:26 /kubepods /mnt rw - cgroup2 cgroup2 rw\n";
    const OTHER: &str = "34 30 0:29 / /cgroup2 rw - ext4 /dev/vda rw\n\nnonsense\n";

    // proves: REL-11
    #[test]
    fn the_hierarchies_are_told_from_the_mounts() {
        let read = |mounts: &[&str]| Cgroups::read(mounts.concat().as_bytes());
        assert_eq!(read(&[PART, OTHER, SECOND]), Cgroups::Unified("/sys/fs/cgroup".into()));
        assert_eq!(read(&[FIRST, BESIDE, SECOND]), Cgroups::Hybrid("/sys/fs/my group".into()));
        assert_eq!(read(&[FIRST, OTHER, PART]), Cgroups::Legacy);
        assert_eq!(Cgroups::read(b""), Cgroups::Legacy);
        assert_eq!(unescaped(b"a\\134b\\9\\"), PathBuf::from("a\\b\\9\\"));
        assert_eq!(Cgroups::of_machine(Path::new("/nonexistent")), Cgroups::Legacy);
    }

    #[test]
    fn a_container_is_known_by_the_inode_and_the_depth_of_its_directory() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("kubepods/pod1/c1")).unwrap();
        fs::write(folder.path().join("kubepods/cgroup.procs"), "").unwrap();
        std::os::unix::fs::symlink("kubepods", folder.path().join("link")).unwrap();
        let cgroups = Cgroups::Unified(folder.path().to_owned());
        let inode = fs::metadata(folder.path().join("kubepods/pod1/c1")).unwrap().ino();
        for path in ["/kubepods/pod1/c1", "kubepods/pod1/c1/", "//kubepods//pod1/c1"] {
            let (directory, cgroup) = cgroups.container(path).unwrap();
            assert_eq!(directory, folder.path().join("kubepods/pod1/c1"));
            assert_eq!(cgroup, ContainerCgroup { id: inode, level: 3 });
        }
        for path in ["", "/", "../etc", "/kubepods/../..", "a\0b"] {
            assert!(matches!(cgroups.container(path), Err(CgroupError::NotBelow { .. })), "{path:?}");
        }
        for path in ["/nobody", "/kubepods/cgroup.procs", "/link"] {
            assert!(matches!(cgroups.container(path), Err(CgroupError::NotThere { .. })), "{path:?}");
        }
        assert!(matches!(Cgroups::Legacy.container("/kubepods"), Err(CgroupError::Legacy)));
    }
}
