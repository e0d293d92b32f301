//! The pod and container a process belongs to.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::Timestamp;

/// A container image.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// Digest or id of the image.
    pub id: Box<str>,
    /// Name with tag, as the pod names it.
    pub name: Box<str>,
}

/// A container of a pod.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Container {
    /// `runtime://` and the full id.
    pub id: Box<str>,
    /// Name in the pod.
    pub name: Box<str>,
    /// Image it runs.
    pub image: Option<Image>,
    /// When it started.
    pub start_time: Option<Timestamp>,
    /// The process id inside the container's pid namespace.
    pub pid: Option<u32>,
    /// Whether the process may be an exec probe of the kubelet.
    pub maybe_exec_probe: bool,
    /// `security_context.privileged`; `None` where the pod states no security context.
    pub privileged: Option<bool>,
}

/// A pod, as Kubernetes knows it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pod {
    /// Namespace.
    pub namespace: Box<str>,
    /// Name.
    pub name: Box<str>,
    /// Unique id.
    pub uid: Box<str>,
    /// The container of the process.
    pub container: Option<Container>,
    /// Labels, shared by all processes of the pod.
    pub labels: Arc<BTreeMap<Box<str>, Box<str>>>,
    /// Name of the workload that owns the pod.
    pub workload: Box<str>,
    /// Kind of that workload, such as `Deployment`.
    pub workload_kind: Box<str>,
    /// Annotations, where asked for.
    pub annotations: Arc<BTreeMap<Box<str>, Box<str>>>,
}
