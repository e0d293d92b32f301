//! Small bit sets that JSON shows as lists of names.

/// Declares a set of bits with the names the API gives them, in the order it lists them.
macro_rules! named_bits {
    ($(#[$meta:meta])* $name:ident { $($number:literal, $text:literal;)+ }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
        pub struct $name(u32);

        impl $name {
            const NAMES: &'static [(u32, &'static str)] = &[$(($number, $text),)+];

            /// The set with these bits; bits without a name are kept and not listed.
            pub const fn from_bits(bits: u32) -> Self {
                Self(bits)
            }

            /// The bits.
            pub const fn bits(self) -> u32 {
                self.0
            }

            /// Whether no bit is set.
            pub const fn is_empty(self) -> bool {
                self.0 == 0
            }

            /// Names of the bits set, lowest first.
            pub fn names(self) -> impl Iterator<Item = &'static str> {
                Self::NAMES.iter().filter(move |(bit, _)| self.0 & bit != 0).map(|&(_, name)| name)
            }

            /// Adds the bit of this name; says whether there is one.
            pub fn insert_name(&mut self, name: &str) -> bool {
                let found = Self::NAMES.iter().find(|(_, known)| *known == name);
                self.0 |= found.map_or(0, |&(bit, _)| bit);
                found.is_some()
            }
        }
    };
}

named_bits! {
    /// `securebits` of a process (include/uapi/linux/securebits.h); the number on the wire is the bit.
    Securebits {
        1, "SecBitNoRoot";
        2, "SecBitNoRootLocked";
        4, "SecBitNoSetUidFixup";
        8, "SecBitNoSetUidFixupLocked";
        16, "SecBitKeepCaps";
        32, "SecBitKeepCapsLocked";
        64, "SecBitNoCapAmbientRaise";
        128, "SecBitNoCapAmbientRaiseLocked";
    }
}

named_bits! {
    /// How a module taints the kernel (include/linux/panic.h); the number on the wire is the bit.
    TaintedBits {
        1, "TAINT_PROPRIETARY_MODULE";
        2, "TAINT_FORCED_MODULE";
        4, "TAINT_FORCED_UNLOAD_MODULE";
        1024, "TAINT_STAGED_MODULE";
        4096, "TAINT_OUT_OF_TREE_MODULE";
        8192, "TAINT_UNSIGNED_MODULE";
        32768, "TAINT_KERNEL_LIVE_PATCH_MODULE";
        262_144, "TAINT_TEST_MODULE";
    }
}

named_bits! {
    /// How an exec raised privileges. Bit `n - 1` stands for number `n` on the wire.
    PrivilegesChanged {
        1, "PRIVILEGES_RAISED_EXEC_FILE_CAP";
        2, "PRIVILEGES_RAISED_EXEC_FILE_SETUID";
        4, "PRIVILEGES_RAISED_EXEC_FILE_SETGID";
    }
}

impl PrivilegesChanged {
    /// The file's capabilities raised the process's.
    pub const FILE_CAPABILITIES: Self = Self(1);
    /// Set-user-id made it root.
    pub const SETUID: Self = Self(2);
    /// Set-group-id made it root's group.
    pub const SETGID: Self = Self(4);

    /// Both sets together.
    #[must_use]
    pub const fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

#[cfg(test)]
mod tests {
    use super::{PrivilegesChanged, Securebits, TaintedBits};

    #[test]
    fn names_come_lowest_bit_first() {
        let names: Vec<_> = Securebits::from_bits(0b1010_0001).names().collect();
        assert_eq!(names, ["SecBitNoRoot", "SecBitKeepCapsLocked", "SecBitNoCapAmbientRaiseLocked"]);
    }

    #[test]
    fn a_name_sets_its_bit_and_an_unknown_name_none() {
        let mut tainted = TaintedBits::default();
        assert!(tainted.insert_name("TAINT_UNSIGNED_MODULE"));
        assert!(!tainted.insert_name("TAINT_WITH_INK"));
        assert_eq!(tainted.bits(), 8192);
    }

    #[test]
    fn raised_privileges_join() {
        let both = PrivilegesChanged::SETUID.union(PrivilegesChanged::FILE_CAPABILITIES);
        assert_eq!(both.names().count(), 2);
        assert!(!both.is_empty());
    }
}
