//! Credentials, capabilities, namespaces and what an exec did to them.

use api::event::{self, BinaryProperties, Capabilities, FileProperties, InodeProperties, Namespace, text};
use api::name::{CapabilitySet, PrivilegesChanged, Securebits};
use bpf_probes::abi::{self, gained};

/// The namespaces of the host's init.
pub(crate) type HostNamespaces = abi::Namespaces;

pub(crate) fn capabilities(from: &abi::Credentials) -> Capabilities {
    Capabilities {
        permitted: CapabilitySet::from_bits(from.permitted),
        effective: CapabilitySet::from_bits(from.effective),
        inheritable: CapabilitySet::from_bits(from.inheritable),
    }
}

/// Credentials as a process shows them: its capabilities and user namespace are shown elsewhere.
pub(crate) fn credentials(from: &abi::Credentials) -> event::Credentials {
    event::Credentials {
        uid: Some(from.uid),
        gid: Some(from.gid),
        euid: Some(from.euid),
        egid: Some(from.egid),
        suid: Some(from.suid),
        sgid: Some(from.sgid),
        fsuid: Some(from.fsuid),
        fsgid: Some(from.fsgid),
        securebits: Securebits::from_bits(from.securebits),
        caps: None,
        user_ns: None,
    }
}

/// Namespaces; those that this kernel has not got are left out.
pub(crate) fn namespaces(from: &abi::Namespaces, host: &HostNamespaces) -> event::Namespaces {
    let namespace = |inum: u32, host: u32| (inum != 0).then_some(Namespace { inum, is_host: inum == host });
    event::Namespaces {
        uts: namespace(from.uts, host.uts),
        ipc: namespace(from.ipc, host.ipc),
        mnt: namespace(from.mnt, host.mnt),
        pid: namespace(from.pid, host.pid),
        pid_for_children: namespace(from.pid_for_children, host.pid),
        net: namespace(from.net, host.net),
        time: namespace(from.time, host.time),
        time_for_children: namespace(from.time_for_children, host.time),
        cgroup: namespace(from.cgroup, host.cgroup),
        user: namespace(from.user, host.user),
    }
}

/// What an exec event says about its file, if that has no name any more: deleted, or never had one (`memfd_create`). How privileges were raised is shown on
/// request only.
pub(crate) fn binary_properties(
    path: &[u8],
    inode: u64,
    links: u32,
    privileges: Option<(&abi::Credentials, u32)>,
) -> BinaryProperties {
    let file = (inode != 0 && links == 0).then(|| FileProperties {
        inode: Some(InodeProperties { number: inode, links: Some(links) }),
        path: text(path).into(),
    });
    let Some((credentials, bits)) = privileges else {
        return BinaryProperties { file, ..BinaryProperties::default() };
    };
    BinaryProperties {
        setuid: (bits & gained::SETUID != 0).then_some(credentials.euid),
        setgid: (bits & gained::SETGID != 0).then_some(credentials.egid),
        privileges_changed: privileges_changed(bits),
        file,
    }
}

fn privileges_changed(bits: u32) -> PrivilegesChanged {
    [
        (gained::FILE_CAPABILITIES, PrivilegesChanged::FILE_CAPABILITIES),
        (gained::SETUID, PrivilegesChanged::SETUID),
        (gained::SETGID, PrivilegesChanged::SETGID),
    ]
    .into_iter()
    .filter(|(bit, _)| bits & bit != 0)
    .fold(PrivilegesChanged::default(), |all, (_, changed)| all.union(changed))
}

#[cfg(test)]
mod tests {
    use bpf_probes::abi::{Credentials, Namespaces, gained};

    use super::{binary_properties, namespaces};

    // proves: ENR-02, SEC-08 (is_host)
    #[test]
    fn a_namespace_that_the_kernel_has_not_got_is_left_out_and_the_hosts_is_marked() {
        let host = Namespaces { uts: 1, pid: 2, ..Namespaces::default() };
        let process = Namespaces { uts: 1, pid: 9, pid_for_children: 2, ..Namespaces::default() };
        let shown = namespaces(&process, &host);
        assert_eq!(shown.uts.map(|ns| (ns.inum, ns.is_host)), Some((1, true)));
        assert_eq!(shown.pid.map(|ns| (ns.inum, ns.is_host)), Some((9, false)));
        assert_eq!(shown.pid_for_children.map(|ns| ns.is_host), Some(true));
        assert_eq!(shown.time, None);
    }

    // proves: EVT-01 (binary_properties)
    #[test]
    fn a_set_uid_exec_shows_the_new_uid_only_on_request() {
        let root = Credentials { euid: 0, egid: 5, ..Credentials::default() };
        let shown = binary_properties(b"/bin/su", 12, 1, Some((&root, gained::SETUID)));
        assert_eq!((shown.setuid, shown.setgid), (Some(0), None));
        assert_eq!(
            shown.privileges_changed.names().collect::<Vec<_>>(),
            ["PRIVILEGES_RAISED_EXEC_FILE_SETUID"]
        );
        let plain = binary_properties(b"/bin/su", 12, 1, None);
        assert_eq!((plain.setuid, plain.privileges_changed.is_empty()), (None, true));
        assert_eq!(plain.file, None);
        let deleted = binary_properties(b"/bin/su", 12, 0, None);
        assert_eq!(deleted.file.map(|file| file.path), Some("/bin/su".into()));
    }
}
