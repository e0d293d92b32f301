//! The eleven registers of the BPF machine.

use std::fmt;

/// A BPF register. `R0` carries results, `R1`–`R5` arguments (lost at every call), `R6`–`R9` survive calls,
/// `R10` is the read-only frame pointer (`Documentation/bpf/standardization/instruction-set.rst`).
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[repr(u8)]
#[expect(missing_docs, reason = "the names are the kernel's")]
pub enum Register {
    R0 = 0,
    R1 = 1,
    R2 = 2,
    R3 = 3,
    R4 = 4,
    R5 = 5,
    R6 = 6,
    R7 = 7,
    R8 = 8,
    R9 = 9,
    R10 = 10,
}

impl Register {
    /// All registers in order of number.
    pub const ALL: [Self; 11] = [
        Self::R0,
        Self::R1,
        Self::R2,
        Self::R3,
        Self::R4,
        Self::R5,
        Self::R6,
        Self::R7,
        Self::R8,
        Self::R9,
        Self::R10,
    ];

    /// The register with this number, `None` above 10.
    pub fn from_number(number: u8) -> Option<Self> {
        Self::ALL.get(usize::from(number)).copied()
    }

    /// The number that an instruction encodes.
    pub const fn number(self) -> u8 {
        self as u8
    }

    /// Whether a call leaves the register as it was.
    pub const fn survives_calls(self) -> bool {
        matches!(self, Self::R6 | Self::R7 | Self::R8 | Self::R9 | Self::R10)
    }
}

impl fmt::Display for Register {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "r{}", self.number())
    }
}
