//! What the hooks of container runtimes tell, before the first process of a container runs.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use api::wire::runtime_hook_request::Event;
use api::wire::{CreateContainer, RuntimeHookRequest};
use tonic::Status;
use tracing_policy::policy::{Workload, image_repository};

use crate::host::{CgroupError, Cgroups};
use crate::policy::{Policies, PolicyError};

/// Longest text of a container that is kept, in bytes: names of Kubernetes have 253 at most.
const LONGEST: usize = 1024;

/// The containers of pods that hooks told of.
#[derive(Debug)]
pub struct Containers {
    cgroups: Cgroups,
    /// Their directories, by the ids of their cgroups. As many as policies can tell apart.
    known: Mutex<BTreeMap<u64, PathBuf>>,
}

impl Containers {
    /// None yet, on a machine with these cgroups.
    pub const fn new(cgroups: Cgroups) -> Self {
        Self { cgroups, known: Mutex::new(BTreeMap::new()) }
    }

    /// Does what a hook asks for. When this returns, policies know the container.
    pub(super) async fn hook(&self, request: RuntimeHookRequest, policies: &Policies) -> Result<(), Status> {
        let Some(Event::CreateContainer(container)) = request.event else {
            return Err(Status::invalid_argument("the request names no event of a container"));
        };
        if container.pod_namespace.is_empty() {
            tracing::debug!(
                id = container.container_id,
                "a container outside pods is the host's for policies"
            );
            return Ok(());
        }
        let workload = workload(container.clone())?;
        let (directory, cgroup) = self.cgroups.container(&container.cgroups_path).map_err(refused)?;
        for gone in self.take_gone() {
            policies.remove_workload(gone).await.map_err(failed)?;
        }
        policies.add_workload(cgroup, workload).await.map_err(failed)?;
        tracing::debug!(
            cgroup = %directory.display(), namespace = container.pod_namespace, pod = container.pod_name,
            container = container.container_name, "a container of a pod is known"
        );
        self.known.lock().unwrap_or_else(PoisonError::into_inner).insert(cgroup.id, directory);
        Ok(())
    }

    /// Those whose cgroups are not there any more.
    fn take_gone(&self) -> Vec<u64> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        known.extract_if(.., |_, directory| !directory.is_dir()).map(|(id, _)| id).collect()
    }
}

/// What policies choose by. The labels of the pod are not told.
fn workload(container: CreateContainer) -> Result<Workload, Status> {
    let texts = [&container.pod_namespace, &container.container_name, &container.container_image];
    if texts.into_iter().any(|text| text.len() > LONGEST) {
        return Err(Status::invalid_argument(format!("a name of a container has at most {LONGEST} bytes")));
    }
    let repository = image_repository(&container.container_image).to_owned();
    let (namespace, container) = (container.pod_namespace, container.container_name);
    Ok(Workload { namespace, labels: BTreeMap::new(), container, repository })
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn refused(error: CgroupError) -> Status {
    let text = error.to_string();
    match error {
        CgroupError::Legacy => Status::failed_precondition(text),
        CgroupError::NotBelow { .. } => Status::invalid_argument(text),
        CgroupError::NotThere { .. } => Status::not_found(text),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "for map_err")]
fn failed(error: PolicyError) -> Status {
    Status::resource_exhausted(error.to_string())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::*;

    #[test]
    fn a_container_is_known_by_its_pod_its_name_and_the_repository_of_its_image() {
        let container = CreateContainer {
            pod_namespace: "shop".to_owned(),
            container_name: "cart".to_owned(),
            container_image: "registry.example/cart:1.2".to_owned(),
            ..CreateContainer::default()
        };
        let found = workload(container.clone()).unwrap();
        assert_eq!((found.namespace.as_str(), found.container.as_str()), ("shop", "cart"));
        assert_eq!(found.repository, "registry.example/cart");
        let long = CreateContainer { container_name: "x".repeat(LONGEST + 1), ..container };
        assert_eq!(workload(long).unwrap_err().code(), tonic::Code::InvalidArgument);
    }

    #[test]
    fn a_container_whose_cgroup_is_gone_is_forgotten_once() {
        let folder = tempfile::tempdir().unwrap();
        let containers = Containers::new(Cgroups::Legacy);
        let mut known = containers.known.lock().unwrap();
        known.insert(1, folder.path().to_owned());
        known.insert(2, folder.path().join("gone"));
        drop(known);
        assert_eq!(containers.take_gone(), [2]);
        assert!(containers.take_gone().is_empty());
    }
}
