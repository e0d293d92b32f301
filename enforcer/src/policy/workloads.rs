//! The containers of pods that are known, and which classes each has: what a watcher of pods says, for programs that look at the caller's cgroup.
//!
//! What belongs to no known container is the host's, and so is everything while there is no watcher.

use std::collections::{BTreeMap, BTreeSet};

use bpf_probes::abi::{ClassSet, WORKLOAD_LEVELS, WORKLOADS};
use tracing_policy::policy::{ClassTest, Workload};

use super::port::{ClassPort, Refused};

/// Where a container is in the hierarchy of cgroups (v2). The cgroups below it are the container's too.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct ContainerCgroup {
    /// Id of its cgroup: the inode of the directory.
    pub id: u64,
    /// How many directories it lies below the root.
    pub level: u32,
}

/// Containers that are known.
#[derive(Debug, Default)]
pub(super) struct Workloads {
    known: BTreeMap<u64, Container>,
}

#[derive(Debug)]
struct Container {
    /// Of its cgroup.
    level: u8,
    workload: Workload,
    /// The classes that the kernel has for it.
    written: Option<ClassSet>,
}

impl Workloads {
    /// Learns of a container, or that another one has its cgroup now.
    pub(super) fn add(&mut self, cgroup: ContainerCgroup, workload: Workload) -> Result<(), Refused> {
        let Some(level) = u8::try_from(cgroup.level).ok().filter(|level| *level > 0) else {
            return Err(Refused::new(format_args!(
                "the cgroup of container {} is on level {} of the hierarchy; those from 1 to {} can be told",
                workload.container,
                cgroup.level,
                u8::MAX
            )));
        };
        let mut levels = self.levels();
        if levels.insert(level) && levels.len() > WORKLOAD_LEVELS {
            return Err(Refused::new(format_args!(
                "containers are on more than {WORKLOAD_LEVELS} levels of the hierarchy of cgroups"
            )));
        }
        let most = usize::try_from(WORKLOADS).unwrap_or(usize::MAX);
        if self.known.len() >= most && !self.known.contains_key(&cgroup.id) {
            return Err(Refused::new(format_args!("more than {WORKLOADS} containers are known")));
        }
        let written = self.known.get(&cgroup.id).and_then(|before| before.written);
        self.known.insert(cgroup.id, Container { level, workload, written });
        Ok(())
    }

    /// Whether none is known.
    pub(super) fn is_empty(&self) -> bool {
        self.known.is_empty()
    }

    /// Forgets a container; says whether it was known.
    pub(super) fn remove(&mut self, cgroup: u64) -> bool {
        self.known.remove(&cgroup).is_some()
    }

    /// Brings into the kernel what these classes are for each container and for the host. A container's entry is there before its level is said.
    pub(super) fn write<'t>(
        &mut self,
        tests: impl Iterator<Item = (&'t ClassTest, u32)> + Clone,
        port: &impl ClassPort,
    ) -> Result<(), Refused> {
        for (cgroup, container) in &mut self.known {
            let classes = classes(tests.clone(), Some(&container.workload));
            if container.written != Some(classes) {
                port.write_workload(*cgroup, classes)?;
                container.written = Some(classes);
            }
        }
        let levels = self.levels().iter().fold(0, |levels, level| levels << 8 | u64::from(*level));
        port.set_host(classes(tests, None), levels);
        Ok(())
    }

    /// Where containers are.
    fn levels(&self) -> BTreeSet<u8> {
        self.known.values().map(|container| container.level).collect()
    }
}

/// The classes of a container, or of the host's own processes.
fn classes<'t>(tests: impl Iterator<Item = (&'t ClassTest, u32)>, workload: Option<&Workload>) -> ClassSet {
    let mut classes = ClassSet::default();
    for (test, number) in tests {
        let ClassTest::Workload(scope) = test else { continue };
        if workload.map_or(scope.host, |workload| scope.matches(workload)) {
            classes.insert(number);
        }
    }
    classes
}
