//! Processes and what they are made of.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::event::{
    BinaryProperties, Capabilities, Container, Credentials, EnvironmentVariable, FileProperties, Image,
    InodeProperties, Namespace, Namespaces, Pod, Process, ProcessRef, SharedProcess, Timestamp,
    UserNamespace,
};
use crate::name::{CapabilitySet, PrivilegesChanged, ProcessFlags, Securebits};
use crate::wire;

pub(super) fn time_to_wire(time: Timestamp) -> prost_types::Timestamp {
    let (seconds, nanos) = time.parts();
    prost_types::Timestamp { seconds, nanos: i32::try_from(nanos).unwrap_or_default() }
}

pub(super) fn time_from_wire(time: prost_types::Timestamp) -> Option<Timestamp> {
    Timestamp::from_parts(time.seconds, time.nanos)
}

type Entries = BTreeMap<Box<str>, Box<str>>;

pub(super) fn map_to_wire(map: &Entries) -> std::collections::HashMap<String, String> {
    map.iter().map(|(key, value)| (key.to_string(), value.to_string())).collect()
}

pub(super) fn map_from_wire(map: std::collections::HashMap<String, String>) -> Entries {
    map.into_iter().map(|(key, value)| (key.into(), value.into())).collect()
}

fn set_to_wire(set: CapabilitySet) -> Vec<i32> {
    set.numbers().filter_map(|number| i32::try_from(number).ok()).collect()
}

fn set_from_wire(numbers: &[i32]) -> CapabilitySet {
    let mut set = CapabilitySet::default();
    for number in numbers.iter().filter_map(|&number| u32::try_from(number).ok()) {
        set.insert(number);
    }
    set
}

/// Numbers on the wire that are bits themselves.
pub(super) fn bits_to_wire(bits: u32) -> Vec<i32> {
    (0..31)
        .map(|shift| 1 << shift)
        .filter(|bit| bits & bit != 0)
        .filter_map(|bit| i32::try_from(bit).ok())
        .collect()
}

pub(super) fn bits_from_wire(numbers: &[i32]) -> u32 {
    numbers.iter().fold(0, |bits, number| bits | u32::try_from(*number).unwrap_or_default())
}

pub(super) fn capabilities_to_wire(caps: Capabilities) -> wire::Capabilities {
    wire::Capabilities {
        permitted: set_to_wire(caps.permitted),
        effective: set_to_wire(caps.effective),
        inheritable: set_to_wire(caps.inheritable),
    }
}

pub(super) fn capabilities_from_wire(caps: &wire::Capabilities) -> Capabilities {
    Capabilities {
        permitted: set_from_wire(&caps.permitted),
        effective: set_from_wire(&caps.effective),
        inheritable: set_from_wire(&caps.inheritable),
    }
}

pub(super) fn namespace_to_wire(ns: Namespace) -> wire::Namespace {
    wire::Namespace { inum: ns.inum, is_host: ns.is_host }
}

pub(super) fn namespace_from_wire(ns: wire::Namespace) -> Namespace {
    Namespace { inum: ns.inum, is_host: ns.is_host }
}

fn namespaces_to_wire(ns: &Namespaces) -> wire::Namespaces {
    wire::Namespaces {
        uts: ns.uts.map(namespace_to_wire),
        ipc: ns.ipc.map(namespace_to_wire),
        mnt: ns.mnt.map(namespace_to_wire),
        pid: ns.pid.map(namespace_to_wire),
        pid_for_children: ns.pid_for_children.map(namespace_to_wire),
        net: ns.net.map(namespace_to_wire),
        time: ns.time.map(namespace_to_wire),
        time_for_children: ns.time_for_children.map(namespace_to_wire),
        cgroup: ns.cgroup.map(namespace_to_wire),
        user: ns.user.map(namespace_to_wire),
    }
}

fn namespaces_from_wire(ns: wire::Namespaces) -> Namespaces {
    Namespaces {
        uts: ns.uts.map(namespace_from_wire),
        ipc: ns.ipc.map(namespace_from_wire),
        mnt: ns.mnt.map(namespace_from_wire),
        pid: ns.pid.map(namespace_from_wire),
        pid_for_children: ns.pid_for_children.map(namespace_from_wire),
        net: ns.net.map(namespace_from_wire),
        time: ns.time.map(namespace_from_wire),
        time_for_children: ns.time_for_children.map(namespace_from_wire),
        cgroup: ns.cgroup.map(namespace_from_wire),
        user: ns.user.map(namespace_from_wire),
    }
}

pub(super) fn user_namespace_to_wire(ns: &UserNamespace) -> wire::UserNamespace {
    wire::UserNamespace { level: ns.level, uid: ns.uid, gid: ns.gid, ns: ns.ns.map(namespace_to_wire) }
}

pub(super) fn user_namespace_from_wire(ns: &wire::UserNamespace) -> UserNamespace {
    UserNamespace { level: ns.level, uid: ns.uid, gid: ns.gid, ns: ns.ns.map(namespace_from_wire) }
}

pub(super) fn credentials_to_wire(credentials: &Credentials) -> wire::ProcessCredentials {
    wire::ProcessCredentials {
        uid: credentials.uid,
        gid: credentials.gid,
        euid: credentials.euid,
        egid: credentials.egid,
        suid: credentials.suid,
        sgid: credentials.sgid,
        fsuid: credentials.fsuid,
        fsgid: credentials.fsgid,
        securebits: bits_to_wire(credentials.securebits.bits()),
        caps: credentials.caps.map(capabilities_to_wire),
        user_ns: credentials.user_ns.as_ref().map(user_namespace_to_wire),
    }
}

pub(super) fn credentials_from_wire(credentials: &wire::ProcessCredentials) -> Credentials {
    Credentials {
        uid: credentials.uid,
        gid: credentials.gid,
        euid: credentials.euid,
        egid: credentials.egid,
        suid: credentials.suid,
        sgid: credentials.sgid,
        fsuid: credentials.fsuid,
        fsgid: credentials.fsgid,
        securebits: Securebits::from_bits(bits_from_wire(&credentials.securebits)),
        caps: credentials.caps.as_ref().map(capabilities_from_wire),
        user_ns: credentials.user_ns.as_ref().map(user_namespace_from_wire),
    }
}

pub(super) fn binary_properties_to_wire(binary: &BinaryProperties) -> wire::BinaryProperties {
    let changed = binary.privileges_changed.bits();
    wire::BinaryProperties {
        setuid: binary.setuid,
        setgid: binary.setgid,
        privileges_changed: (0..3).filter(|bit| changed >> bit & 1 == 1).map(|bit| bit + 1).collect(),
        file: binary.file.as_ref().map(|file| wire::FileProperties {
            inode: file.inode.map(|inode| wire::InodeProperties { number: inode.number, links: inode.links }),
            path: file.path.to_string(),
        }),
    }
}

pub(super) fn binary_properties_from_wire(binary: wire::BinaryProperties) -> BinaryProperties {
    let numbers = binary.privileges_changed.iter().filter(|number| (1..=3).contains(*number));
    BinaryProperties {
        setuid: binary.setuid,
        setgid: binary.setgid,
        privileges_changed: PrivilegesChanged::from_bits(
            numbers.fold(0, |bits, number| bits | 1 << (number - 1)),
        ),
        file: binary.file.map(|file| FileProperties {
            inode: file.inode.map(|inode| InodeProperties { number: inode.number, links: inode.links }),
            path: file.path.into(),
        }),
    }
}

fn pod_to_wire(pod: &Pod) -> wire::Pod {
    wire::Pod {
        namespace: pod.namespace.to_string(),
        name: pod.name.to_string(),
        uid: pod.uid.to_string(),
        container: pod.container.as_ref().map(|container| wire::Container {
            id: container.id.to_string(),
            name: container.name.to_string(),
            image: container
                .image
                .as_ref()
                .map(|image| wire::Image { id: image.id.to_string(), name: image.name.to_string() }),
            start_time: container.start_time.map(time_to_wire),
            pid: container.pid,
            maybe_exec_probe: container.maybe_exec_probe,
            security_context: container.privileged.map(|privileged| wire::SecurityContext { privileged }),
        }),
        pod_labels: map_to_wire(&pod.labels),
        workload: pod.workload.to_string(),
        workload_kind: pod.workload_kind.to_string(),
        pod_annotations: map_to_wire(&pod.annotations),
    }
}

fn pod_from_wire(pod: wire::Pod) -> Pod {
    Pod {
        namespace: pod.namespace.into(),
        name: pod.name.into(),
        uid: pod.uid.into(),
        container: pod.container.map(|container| Container {
            id: container.id.into(),
            name: container.name.into(),
            image: container.image.map(|image| Image { id: image.id.into(), name: image.name.into() }),
            start_time: container.start_time.and_then(time_from_wire),
            pid: container.pid,
            maybe_exec_probe: container.maybe_exec_probe,
            privileged: container.security_context.map(|context| context.privileged),
        }),
        labels: Arc::new(map_from_wire(pod.pod_labels)),
        workload: pod.workload.into(),
        workload_kind: pod.workload_kind.into(),
        annotations: Arc::new(map_from_wire(pod.pod_annotations)),
    }
}

/// A process as messages show it.
pub fn process_to_wire(who: &ProcessRef) -> wire::Process {
    wire::Process { refcnt: who.refcnt, tid: who.tid, ..fields_to_wire(&who.process) }
}

/// What all events of a process show of it.
pub(super) fn fields_to_wire(who: &Process) -> wire::Process {
    wire::Process {
        exec_id: who.exec_id.to_string(),
        pid: who.pid,
        uid: who.uid,
        cwd: who.cwd.to_string(),
        binary: who.binary.to_string(),
        arguments: who.arguments.to_string(),
        flags: who.flags.to_string(),
        start_time: who.start_time.map(time_to_wire),
        auid: who.auid,
        pod: who.pod.as_deref().map(pod_to_wire),
        docker: who.docker.to_string(),
        parent_exec_id: who.parent_exec_id.to_string(),
        refcnt: 0,
        cap: who.cap.map(capabilities_to_wire),
        ns: who.ns.as_ref().map(namespaces_to_wire),
        tid: None,
        process_credentials: who.credentials.as_deref().map(credentials_to_wire),
        binary_properties: None,
        user: who.user.as_ref().map(|name| wire::UserRecord { name: name.to_string() }),
        in_init_tree: who.in_init_tree,
        environment_variables: who
            .environment
            .iter()
            .map(|variable| wire::EnvVar { key: variable.key.to_string(), value: variable.value.to_string() })
            .collect(),
    }
}

pub(super) fn process_from_wire(process: wire::Process) -> ProcessRef {
    let shared = Process {
        exec_id: process.exec_id.into(),
        pid: process.pid,
        uid: process.uid,
        cwd: process.cwd.into(),
        binary: process.binary.into(),
        arguments: process.arguments.into(),
        flags: ProcessFlags::parse(&process.flags),
        start_time: process.start_time.and_then(time_from_wire),
        auid: process.auid,
        pod: process.pod.map(|pod| Arc::new(pod_from_wire(pod))),
        docker: process.docker.into(),
        parent_exec_id: process.parent_exec_id.into(),
        cap: process.cap.as_ref().map(capabilities_from_wire),
        ns: process.ns.map(namespaces_from_wire),
        credentials: process
            .process_credentials
            .map(|credentials| Box::new(credentials_from_wire(&credentials))),
        user: process.user.map(|user| user.name.into()),
        in_init_tree: process.in_init_tree,
        environment: process
            .environment_variables
            .into_iter()
            .map(|variable| EnvironmentVariable { key: variable.key.into(), value: variable.value.into() })
            .collect(),
    };
    ProcessRef { process: SharedProcess::new(shared), refcnt: process.refcnt, tid: process.tid }
}
