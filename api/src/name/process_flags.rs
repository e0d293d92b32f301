//! The `flags` string of a process.

use std::fmt;

/// Flag words in the order the API prints them, with their bits.
const WORDS: [(u32, &str); 21] = [
    (ProcessFlags::EXECVE, "execve"),
    (ProcessFlags::PROC_FS, "procFS"),
    (ProcessFlags::ERROR_ENVS, "errorEnvs"),
    (ProcessFlags::TRUNC_ARGS, "truncArgs"),
    (ProcessFlags::MISS, "miss"),
    (ProcessFlags::ERROR_FILENAME, "errorFilename"),
    (ProcessFlags::ERROR_ARGS, "errorArgs"),
    (ProcessFlags::NO_CWD, "nocwd"),
    (ProcessFlags::ROOT_CWD, "rootcwd"),
    (ProcessFlags::ERROR_CWD, "errorCWD"),
    (ProcessFlags::CLONE, "clone"),
    (ProcessFlags::ERROR_CGROUP_NAME, "errorCgroupName"),
    (ProcessFlags::ERROR_CGROUP_ID, "errorCgroupID"),
    (ProcessFlags::ERROR_CGROUP_SUBSYS_CGRP, "errorCgroupSubsysCgrp"),
    (ProcessFlags::ERROR_CGROUP_SUBSYS, "errorCgroupSubsys"),
    (ProcessFlags::ERROR_CGROUPS, "errorCgroups"),
    (ProcessFlags::ERROR_PATH_COMPONENTS, "errorPathResolutionCwd"),
    (ProcessFlags::DATA_FILENAME, "dataFilename"),
    (ProcessFlags::DATA_ARGS, "dataArgs"),
    (ProcessFlags::IN_INIT_TREE, "inInitTree"),
    (ProcessFlags::UNKNOWN, "unknown"),
];

/// What is special about the record of a process: bits, and words of a newer agent that have no bit here.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Default)]
pub struct ProcessFlags {
    bits: u32,
    foreign: Option<Box<str>>,
}

impl ProcessFlags {
    /// Every bit that has a word, with it.
    pub fn all() -> impl Iterator<Item = (u32, &'static str)> {
        WORDS.into_iter()
    }

    /// Seen at exec.
    pub const EXECVE: u32 = 0x1;
    /// The environment came out of band. Not printed.
    pub const DATA_ENVS: u32 = 0x2;
    /// Found in /proc at start.
    pub const PROC_FS: u32 = 0x4;
    /// The environment could not be read.
    pub const ERROR_ENVS: u32 = 0x8;
    /// The arguments were cut.
    pub const TRUNC_ARGS: u32 = 0x10;
    /// The parent was not known to the kernel side.
    pub const MISS: u32 = 0x40;
    /// The file name could not be read.
    pub const ERROR_FILENAME: u32 = 0x100;
    /// The arguments could not be read.
    pub const ERROR_ARGS: u32 = 0x200;
    /// The working directory has still to be read. Not printed.
    pub const NEEDS_CWD: u32 = 0x400;
    /// There is no working directory.
    pub const NO_CWD: u32 = 0x800;
    /// The working directory is the root.
    pub const ROOT_CWD: u32 = 0x1000;
    /// The working directory could not be read.
    pub const ERROR_CWD: u32 = 0x2000;
    /// The process was forked since the last exec of its pid.
    pub const CLONE: u32 = 0x4000;
    /// The name of the cgroup could not be read.
    pub const ERROR_CGROUP_NAME: u32 = 0x1_0000;
    /// The kernfs node of the cgroup could not be read. Not printed.
    pub const ERROR_CGROUP_KN: u32 = 0x2_0000;
    /// The cgroup of the subsystem could not be read.
    pub const ERROR_CGROUP_SUBSYS_CGRP: u32 = 0x4_0000;
    /// The subsystem of the cgroup could not be read.
    pub const ERROR_CGROUP_SUBSYS: u32 = 0x8_0000;
    /// The cgroups could not be read.
    pub const ERROR_CGROUPS: u32 = 0x10_0000;
    /// The id of the cgroup could not be read.
    pub const ERROR_CGROUP_ID: u32 = 0x20_0000;
    /// The walk of the working directory did not reach the root.
    pub const ERROR_PATH_COMPONENTS: u32 = 0x40_0000;
    /// The file name came out of band.
    pub const DATA_FILENAME: u32 = 0x80_0000;
    /// The arguments came out of band.
    pub const DATA_ARGS: u32 = 0x100_0000;
    /// The process descends from a container's first process.
    pub const IN_INIT_TREE: u32 = 0x200_0000;
    /// The process was in no table; set by the daemon only.
    pub const UNKNOWN: u32 = 0x8000_0000;

    /// Flags from the bits above; others are kept and not printed.
    pub const fn from_bits(bits: u32) -> Self {
        Self { bits, foreign: None }
    }

    /// Flags from the printed form. A word without a bit is kept and printed last.
    pub fn parse(text: &str) -> Self {
        let mut flags = Self::default();
        let mut foreign = String::new();
        for word in text.split_ascii_whitespace() {
            if let Some((bit, _)) = WORDS.iter().find(|(_, known)| *known == word) {
                flags.bits |= bit;
            } else {
                if !foreign.is_empty() {
                    foreign.push(' ');
                }
                foreign.push_str(word);
            }
        }
        flags.foreign = (!foreign.is_empty()).then(|| foreign.into());
        flags
    }

    /// The bits.
    pub const fn bits(&self) -> u32 {
        self.bits
    }

    /// Whether all bits of `bits` are set.
    pub const fn contains(&self, bits: u32) -> bool {
        self.bits & bits == bits
    }

    /// The same with `bits` set too.
    #[must_use]
    pub fn with(mut self, bits: u32) -> Self {
        self.bits |= bits;
        self
    }

    /// The same with `bits` cleared.
    #[must_use]
    pub fn without(mut self, bits: u32) -> Self {
        self.bits &= !bits;
        self
    }

    /// The words, in the order the API prints them.
    pub fn words(&self) -> impl Iterator<Item = &str> {
        let known = WORDS.iter().filter(|(bit, _)| self.bits & bit != 0).map(|&(_, word)| word);
        known.chain(self.foreign.as_deref())
    }
}

impl fmt::Display for ProcessFlags {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, word) in self.words().enumerate() {
            if index > 0 {
                formatter.write_str(" ")?;
            }
            formatter.write_str(word)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::{ProcessFlags, WORDS};

    // proves: EVT-15 (flags)
    #[test]
    fn flags_print_in_their_fixed_order() {
        let flags = ProcessFlags::from_bits(
            ProcessFlags::CLONE | ProcessFlags::ROOT_CWD | ProcessFlags::EXECVE | ProcessFlags::UNKNOWN,
        );
        assert_eq!(flags.to_string(), "execve rootcwd clone unknown");
    }

    #[test]
    fn internal_bits_are_not_printed() {
        let bits = ProcessFlags::NEEDS_CWD | ProcessFlags::DATA_ENVS | ProcessFlags::ERROR_CGROUP_KN;
        assert_eq!(ProcessFlags::from_bits(bits).to_string(), "");
    }

    #[test]
    fn every_word_leads_back_to_its_bit() {
        for (bit, word) in WORDS {
            assert_eq!(ProcessFlags::parse(word), ProcessFlags::from_bits(bit), "{word}");
        }
    }

    #[test]
    fn a_word_of_a_newer_agent_is_kept() {
        assert_eq!(ProcessFlags::parse("novel execve x").to_string(), "execve novel x");
    }
}
