//! Capabilities of a process.

/// Names by number (`include/uapi/linux/capability.h`, 5.9).
const NAMES: [&str; 41] = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
];

/// The names of all capabilities, by number.
pub fn capability_names() -> impl Iterator<Item = &'static str> + Clone {
    NAMES.into_iter()
}

/// The number of a capability. `DAC_OVERRIDE`, as events spell that one, is taken too.
pub fn capability_number(name: &str) -> Option<u32> {
    let name = if name == "DAC_OVERRIDE" { "CAP_DAC_OVERRIDE" } else { name };
    NAMES.iter().position(|known| *known == name).and_then(|index| u32::try_from(index).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn capabilities_are_numbered_as_the_kernel_does() {
        for (name, number) in [
            ("CAP_CHOWN", Some(0)),
            ("DAC_OVERRIDE", Some(1)),
            ("CAP_SYS_ADMIN", Some(21)),
            ("CAP_CHECKPOINT_RESTORE", Some(40)),
            ("SYS_ADMIN", None),
        ] {
            assert_eq!(capability_number(name), number, "{name}");
        }
    }
}
