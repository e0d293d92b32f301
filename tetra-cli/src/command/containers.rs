//! `tetra cri`, `policyfilter` and `cgtracker`: what of upstream's tools has a meaning here.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::sys::statfs::{CGROUP2_SUPER_MAGIC, statfs};

use super::foreign::{self, Foreign};
use crate::args::{CgroupTracker, Cri, CriFormat, CriWhat, PolicyFilter};
use crate::print::{Output, OutputError, escape};

/// Where control groups are mounted.
const CGROUPS: &str = "/sys/fs/cgroup";
/// Fewest letters by which a container is looked for, as in events.
const SHORTEST: usize = 12;
/// Folders that are looked at at most.
const FOLDERS: usize = 1 << 20;

/// There is nothing to print.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ContainerError {
    /// Not here.
    #[error(transparent)]
    Foreign(#[from] Foreign),
    /// No id.
    #[error("{0:?} is no id of a container; give 12 to 64 letters and digits of it")]
    Id(String),
    /// No such container.
    #[error("no control group below {CGROUPS} bears the id {0:?}; does the container run, on this node?")]
    None(String),
    /// The folder is none of a control group.
    #[error("{0:?} is not the folder of a control group of version 2; they are below {CGROUPS}")]
    NoCgroup(PathBuf),
    /// A file could not be looked at.
    #[error("cannot look at {path:?}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The path has no JSON form.
    #[error("cannot show it as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// No output.
    #[error("{0}")]
    Output(#[from] OutputError),
}

/// Does what `cri` is asked for.
pub(crate) fn cri(options: &Cri) -> Result<(), ContainerError> {
    let CriWhat::CgroupPath { container } = &options.what else { return Err(foreign::CRI_VERSION.into()) };
    let path = cgroup_of(Path::new(CGROUPS), container)?;
    let path = path.to_string_lossy();
    let line = match options.output {
        CriFormat::Raw => escape::visible(&path).into_owned(),
        CriFormat::Json => serde_json::to_string(&path)?,
    };
    Ok(Output::stdout().write_all((line + "\n").as_bytes())?)
}

/// Does what `policyfilter` is asked for.
pub(crate) fn policyfilter(command: &PolicyFilter) -> Result<(), ContainerError> {
    let folder = match command {
        PolicyFilter::Dump { .. } => return Err(foreign::POLICYFILTER.into()),
        PolicyFilter::Add { .. } => return Err(foreign::POLICYFILTER_ADD.into()),
        PolicyFilter::Listpolicies { .. } => return Err(foreign::POLICYFILTER_LIST.into()),
        PolicyFilter::Cgroupid { folder } => folder,
    };
    let failed = |source| ContainerError::Read { path: folder.clone(), source };
    let kind = statfs(folder).map_err(|error| failed(error.into()))?.filesystem_type();
    if kind != CGROUP2_SUPER_MAGIC {
        return Err(ContainerError::NoCgroup(folder.clone()));
    }
    // The id of a control group is the number of its folder (fs/kernfs: 64-bit inode numbers, 5.5).
    let id = fs::metadata(folder).map_err(failed)?.ino();
    Ok(Output::stdout().write_all(format!("{id}\n").as_bytes())?)
}

/// Says what serves in the place of `cgtracker`.
pub(crate) fn cgtracker(command: &CgroupTracker) -> Result<(), ContainerError> {
    match command {
        CgroupTracker::Dump { .. } | CgroupTracker::Add { .. } => Err(foreign::CGTRACKER.into()),
    }
}

/// The path of the control group whose folder's name bears the id, from the root of the hierarchy, the outermost where there are several:
/// `/system.slice/docker-ID.scope`.
fn cgroup_of(root: &Path, container: &str) -> Result<PathBuf, ContainerError> {
    let plain = container.chars().all(|letter| letter.is_ascii_alphanumeric());
    if !plain || container.len() < SHORTEST || container.len() > 64 {
        return Err(ContainerError::Id(container.to_owned()));
    }
    let mut folders = std::collections::VecDeque::from([root.to_owned()]);
    let mut looked_at = 0;
    while let Some(folder) = folders.pop_front() {
        let Ok(entries) = fs::read_dir(&folder) else { continue };
        for entry in entries.flatten().filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
            if entry.file_name().to_string_lossy().contains(container) {
                let path = entry.path();
                let inside = path.strip_prefix(root).unwrap_or(&path);
                return Ok(Path::new("/").join(inside));
            }
            looked_at += 1;
            if looked_at <= FOLDERS {
                folders.push_back(entry.path());
            }
        }
    }
    Err(ContainerError::None(container.to_owned()))
}

#[cfg(test)]
mod tests {
    #![expect(clippy::unwrap_used, reason = "tests")]

    use super::*;

    // proves: CLI-18 (cri)
    #[test]
    fn a_container_is_found_by_the_name_of_its_control_group() {
        let root = tempfile::tempdir().unwrap();
        let id = "0123456789abcdef0123456789abcdef";
        let scope = root.path().join(format!("kubepods.slice/pod1.slice/cri-containerd-{id}.scope"));
        fs::create_dir_all(scope.join(format!("inner-{id}"))).unwrap();
        let expected = format!("/kubepods.slice/pod1.slice/cri-containerd-{id}.scope");
        assert_eq!(cgroup_of(root.path(), id).unwrap(), Path::new(&expected));
        assert_eq!(cgroup_of(root.path(), "0123456789ab").unwrap(), Path::new(&expected));
        assert!(matches!(cgroup_of(root.path(), "ffffffffffff"), Err(ContainerError::None(_))));
        for wrong in ["", "pod1", "../../etc/passwd"] {
            assert!(matches!(cgroup_of(root.path(), wrong), Err(ContainerError::Id(_))), "{wrong}");
        }
    }
}
