//! The containers of pods that are known, and which classes each has: what a watcher of pods says, for programs that look at the caller's cgroup.
//!
//! What belongs to no known container is the host's, and so is everything while there is no watcher.

use std::collections::BTreeMap;

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
    known: BTreeMap<u64, (u32, Workload)>,
}

impl Workloads {
    /// Learns of a container, or that another one has its cgroup now.
    pub(super) fn add(&mut self, cgroup: ContainerCgroup, workload: Workload) -> Result<(), Refused> {
        if cgroup.level >= WORKLOAD_LEVELS {
            let most = WORKLOAD_LEVELS - 1;
            return Err(Refused::new(format_args!(
                "the cgroup of container {} is on level {}, at most {most} can be told",
                workload.container, cgroup.level
            )));
        }
        if self.known.len() >= usize::try_from(WORKLOADS).unwrap_or(usize::MAX) {
            return Err(Refused::new(format_args!("more than {WORKLOADS} containers are known")));
        }
        self.known.insert(cgroup.id, (cgroup.level, workload));
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

    /// Writes everything anew for these classes.
    pub(super) fn write<'t>(
        &self,
        tests: impl Iterator<Item = (&'t ClassTest, u32)> + Clone,
        port: &impl ClassPort,
    ) -> Result<(), Refused> {
        for (cgroup, (_, workload)) in &self.known {
            port.write_workload(*cgroup, classes(tests.clone(), Some(workload)))?;
        }
        let levels = self.known.values().fold(0, |levels, (level, _)| levels | 1 << level);
        port.set_host(classes(tests, None), levels);
        Ok(())
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
