//! Ids, capabilities and namespaces.

use super::object::Object;
use crate::event::{Capabilities, Credentials, Namespace, Namespaces, UserNamespace};

pub(super) fn capabilities(caps: &Capabilities, object: &mut Object<'_>) {
    object.strings("permitted", caps.permitted.names());
    object.strings("effective", caps.effective.names());
    object.strings("inheritable", caps.inheritable.names());
}

pub(super) fn namespace(ns: Namespace, object: &mut Object<'_>) {
    object.u32("inum", ns.inum);
    object.bool("is_host", ns.is_host);
}

pub(super) fn namespaces(ns: &Namespaces, object: &mut Object<'_>) {
    for (name, one) in [
        ("uts", ns.uts),
        ("ipc", ns.ipc),
        ("mnt", ns.mnt),
        ("pid", ns.pid),
        ("pid_for_children", ns.pid_for_children),
        ("net", ns.net),
        ("time", ns.time),
        ("time_for_children", ns.time_for_children),
        ("cgroup", ns.cgroup),
        ("user", ns.user),
    ] {
        object.message(name, one, namespace);
    }
}

pub(super) fn user_namespace(ns: &UserNamespace, object: &mut Object<'_>) {
    object.optional_i32("level", ns.level);
    object.optional_u32("uid", ns.uid);
    object.optional_u32("gid", ns.gid);
    object.message("ns", ns.ns, namespace);
}

pub(super) fn credentials(credentials: &Credentials, object: &mut Object<'_>) {
    object.optional_u32("uid", credentials.uid);
    object.optional_u32("gid", credentials.gid);
    object.optional_u32("euid", credentials.euid);
    object.optional_u32("egid", credentials.egid);
    object.optional_u32("suid", credentials.suid);
    object.optional_u32("sgid", credentials.sgid);
    object.optional_u32("fsuid", credentials.fsuid);
    object.optional_u32("fsgid", credentials.fsgid);
    object.strings("securebits", credentials.securebits.names());
    object.message("caps", credentials.caps.as_ref(), capabilities);
    object.message("user_ns", credentials.user_ns.as_ref(), user_namespace);
}
