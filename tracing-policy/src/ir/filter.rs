//! Tests.

use bpf_probes::asm::Origin;
use bpf_probes::kernel::Namespace;

use super::expression::ExpressionTest;
use super::hook::ReadId;
use super::search::ContainsTest;
use super::table::TableId;
use crate::policy::{CapabilitySet, End, FileTypeTest, Kin, Network, NetworkField, Sense, StringForm};

/// One test and where it was written.
#[derive(Clone, Debug)]
pub struct Test {
    /// What is tested.
    pub check: Check,
    /// The filter in the text.
    pub origin: Origin,
}

/// What a test looks at.
#[derive(Clone, Debug)]
pub enum Check {
    /// The policy enforces (is not in monitor mode).
    Enforcing,
    /// The process, or its parent, is in the class or is not.
    Class {
        /// Number of the class.
        number: u32,
        /// Whose class it is.
        of: Kin,
        /// Which of the two passes.
        sense: Sense,
        /// Whether it passes when the kernel side does not know the one whose class it is.
        unknown_passes: bool,
    },
    /// A number.
    Number(NumberTest),
    /// The last component of a path, looked at before the path is formed. Only rules out: what it lets pass is tested again.
    Leaf {
        /// The path.
        read: ReadId,
        /// What may match, one of them.
        leaves: Vec<Leaf>,
    },
    /// A path or string.
    Bytes(BytesTest),
    /// The type of a file, looked at before its path is formed.
    FileType {
        /// The file.
        read: ReadId,
        /// The test.
        test: FileTypeTest,
    },
    /// A set of capabilities has one that another has not; neither that cannot be read passes.
    Gained {
        /// The set before.
        before: ReadId,
        /// The set after.
        after: ReadId,
    },
    /// A text anywhere in a path or string.
    Contains(ContainsTest),
    /// The argument could be read.
    Readable(ReadId),
    /// An address.
    Address(AddressTest),
    /// At a return: it was this selector that matched at the entry of the call.
    Entered {
        /// Position of the rider in the hook.
        rider: u16,
        /// Position of the selector in the policy's hook.
        selector: u16,
    },
    /// Several arguments at once.
    Expression(ExpressionTest),
}

impl Check {
    /// The tests inside an expression.
    pub fn atoms(&self) -> &[Self] {
        if let Self::Expression(test) = self { &test.atoms } else { &[] }
    }

    /// The tests inside an expression, or this one alone.
    pub(crate) fn parts_mut(&mut self) -> &mut [Self] {
        if !matches!(self, Self::Expression(_)) {
            return std::slice::from_mut(self);
        }
        if let Self::Expression(test) = self { &mut test.atoms } else { &mut [] }
    }
}

/// A number that can be tested.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Subject {
    /// Thread group id in the host's pid namespace; an unsigned number of 32 bits.
    HostPid,
    /// Thread group id in the process's own pid namespace, 0 in the host's; an unsigned number of 32 bits.
    OwnPid,
    /// An argument.
    Read(ReadId),
    /// Number of a namespace that the calling thread is in; an unsigned number of 32 bits, zero where there is none.
    Namespace(Namespace),
    /// A set of capabilities of the calling thread; 64 bits.
    Capabilities(CapabilitySet),
    /// Bit n: the namespace of index n is another than was recorded. Zero when nothing was.
    NamespacesChanged,
    /// Capabilities that are in the set or were recorded in it, and not both. Zero when nothing was recorded.
    CapabilitiesChanged(CapabilitySet),
    /// What describes an argument that is something of the network; an unsigned number of 16 bits.
    Field(ReadId, NetworkField),
}

impl Subject {
    /// Whether it is read from what the kernel keeps with the calling thread.
    pub fn is_of_task(self) -> bool {
        match self {
            Self::HostPid | Self::OwnPid | Self::Read(_) | Self::Field(..) => false,
            Self::Namespace(_)
            | Self::Capabilities(_)
            | Self::NamespacesChanged
            | Self::CapabilitiesChanged(_) => true,
        }
    }

    /// Whether it is what changed since the process's image began.
    pub fn is_change(self) -> bool {
        match self {
            Self::NamespacesChanged | Self::CapabilitiesChanged(_) => true,
            Self::HostPid
            | Self::OwnPid
            | Self::Read(_)
            | Self::Field(..)
            | Self::Namespace(_)
            | Self::Capabilities(_) => false,
        }
    }
}

/// A test of a number. A subject hits when it is in an interval, in the table, or has a bit of the mask; the sense says whether a hit passes.
#[derive(Clone, Debug)]
pub struct NumberTest {
    /// What is tested.
    pub subject: Subject,
    /// Whether its type has a sign.
    pub signed: bool,
    /// Which answer passes.
    pub sense: Sense,
    /// Numbers that hit.
    pub intervals: Vec<Interval>,
    /// Bits of which one hits.
    pub mask: u64,
    /// More numbers that hit.
    pub table: Option<TableBit>,
}

/// Numbers from `min` to `max`, both included.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Interval {
    /// Smallest.
    pub min: i128,
    /// Largest.
    pub max: i128,
}

/// A test of a path or string. A subject hits when one value fits; the sense says whether a hit passes. What could not be read, and an object without a
/// path, never passes.
#[derive(Clone, Debug)]
pub struct BytesTest {
    /// What is tested.
    pub read: ReadId,
    /// How values are compared.
    pub form: StringForm,
    /// Which answer passes.
    pub sense: Sense,
    /// Values compared one by one.
    pub values: Vec<Vec<u8>>,
    /// More values.
    pub table: Option<TableBit>,
}

/// A test of an address. A subject hits when a network holds it; the sense says whether a hit passes. What has no addresses never passes.
#[derive(Clone, Debug)]
pub struct AddressTest {
    /// What is tested.
    pub read: ReadId,
    /// Which of its addresses.
    pub end: End,
    /// Which answer passes.
    pub sense: Sense,
    /// Networks compared one by one.
    pub networks: Vec<Network>,
    /// More networks.
    pub table: Option<TableBit>,
}

/// The bit that a table's answer has for one filter.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TableBit {
    /// The table.
    pub table: TableId,
    /// The bit.
    pub bit: u32,
}

/// A last component that may match.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub enum Leaf {
    /// The whole component.
    Whole(Vec<u8>),
    /// Its end.
    End(Vec<u8>),
}
