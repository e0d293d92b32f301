//! Commands of upstream that look into maps or programs which are not here: what they were for, and what serves in their place.

/// A command without a meaning here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("`tetra {command}` has no meaning here: {reason}; {instead}")]
pub(crate) struct Foreign {
    command: &'static str,
    /// Why there is nothing to look at.
    reason: &'static str,
    /// What to do.
    instead: &'static str,
}

pub(super) const EXECVE: Foreign = Foreign {
    command: "debug dump execve",
    reason: "the kernel's table of processes has a layout of its own, which changes between versions",
    instead: "use `tetra debug dump processcache`",
};
pub(super) const POLICYFILTER: Foreign = Foreign {
    command: "policyfilter dump",
    reason: "which policies are for a container is compiled into bits of its control group, not kept in maps by policy",
    instead: "use `tetra tracingpolicy list` for the policies and `tetra getevents --policy-names NAME` for whom they see",
};
pub(super) const POLICYFILTER_ADD: Foreign = Foreign {
    command: "policyfilter add",
    reason: "nobody may add a control group to a policy behind the daemon's back",
    instead: "give the policy a podSelector, containerSelector or hostSelector",
};
pub(super) const POLICYFILTER_LIST: Foreign = Foreign {
    command: "policyfilter listpolicies",
    reason: "there is no map from control groups to policies",
    instead: "use `tetra tracingpolicy list` for the policies and `tetra getevents --policy-names NAME` for whom they see",
};
pub(super) const CGTRACKER: Foreign = Foreign {
    command: "cgtracker",
    reason: "a process in a control group below that of its container is told by the names above it, so none is tracked",
    instead: "use `tetra getevents` and look at `docker` of a process, or `tetra cri cgroup_path CONTAINER`",
};
pub(super) const CRI_VERSION: Foreign = Foreign {
    command: "cri version",
    reason: "containers are known by the names of their control groups; no container runtime is asked",
    instead: "use `crictl version`",
};
