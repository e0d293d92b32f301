//! Linux capabilities.

/// How many capabilities have a name (Linux 5.9 and later: 41).
pub const CAPABILITY_COUNT: u32 = 41;

/// Names by number, as the API spells them: number 1 has no `CAP_` prefix there, and clients rely on it.
const NAMES: [&str; CAPABILITY_COUNT as usize] = [
    "CAP_CHOWN",
    "DAC_OVERRIDE",
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

/// Name of capability `number`, as the API spells it.
pub fn capability_name(number: u32) -> Option<&'static str> {
    NAMES.get(usize::try_from(number).ok()?).copied()
}

/// Number of the capability the API calls `name`; `CAP_DAC_OVERRIDE` is taken too.
pub fn capability_number(name: &str) -> Option<u32> {
    let name = if name == "CAP_DAC_OVERRIDE" { "DAC_OVERRIDE" } else { name };
    NAMES.iter().position(|known| *known == name).and_then(|index| u32::try_from(index).ok())
}

/// A set of capabilities, one bit a number, as in `kernel_cap_t`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct CapabilitySet(u64);

impl CapabilitySet {
    /// `CAP_SYS_ADMIN`
    pub const SYS_ADMIN: u32 = 21;

    /// The set with these bits; bits without a name are kept and not listed.
    pub const fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    /// The bits.
    pub const fn bits(self) -> u64 {
        self.0
    }

    /// Whether no capability is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether capability `number` is in the set.
    pub const fn contains(self, number: u32) -> bool {
        number < 64 && self.0 >> number & 1 == 1
    }

    /// Adds capability `number`, below 64.
    pub const fn insert(&mut self, number: u32) {
        if number < 64 {
            self.0 |= 1 << number;
        }
    }

    /// Numbers in the set that have a name, ascending.
    pub fn numbers(self) -> impl Iterator<Item = u32> {
        (0..CAPABILITY_COUNT).filter(move |&number| self.contains(number))
    }

    /// Names in the set, by ascending number.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        self.numbers().filter_map(capability_name)
    }
}

#[cfg(test)]
mod tests {
    use super::{CAPABILITY_COUNT, CapabilitySet, capability_name, capability_number};

    #[test]
    fn each_number_has_its_name() {
        for number in 0..CAPABILITY_COUNT {
            assert_eq!(capability_name(number).and_then(capability_number), Some(number));
        }
        assert_eq!(capability_name(CAPABILITY_COUNT), None);
        assert_eq!(capability_number("CAP_SYS_ADMIN"), Some(CapabilitySet::SYS_ADMIN));
        assert_eq!(capability_number("CAP_DAC_OVERRIDE"), Some(1));
    }

    #[test]
    fn a_set_lists_by_number_and_hides_bits_without_a_name() {
        let set = CapabilitySet::from_bits(1 << 63 | 1 << 39 | 0b10);
        assert_eq!(set.names().collect::<Vec<_>>(), ["DAC_OVERRIDE", "CAP_BPF"]);
        assert!(set.contains(63) && !set.contains(64) && !set.contains(0));
    }
}
