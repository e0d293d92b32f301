//! What selectors test of the process itself: its namespaces, its capabilities, and whether they changed.

use bpf_probes::kernel::Namespace;

use super::selector::{BinaryFilter, Membership};
use crate::source::Span;

/// Tests of the process; all must hold.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct ProcessFilters {
    /// The parent, by its binary.
    pub parents: Vec<BinaryFilter>,
    /// Namespaces.
    pub namespaces: Vec<NamespaceFilter>,
    /// Capabilities.
    pub capabilities: Vec<CapabilityFilter>,
    /// Namespaces that are other than at exec.
    pub namespace_changes: Vec<NamespaceChangeFilter>,
    /// Capabilities that are other than at exec.
    pub capability_changes: Vec<CapabilityFilter>,
}

impl ProcessFilters {
    /// Whether one asks what changed.
    pub fn looks_at_changes(&self) -> bool {
        !(self.namespace_changes.is_empty() && self.capability_changes.is_empty())
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.parents.is_empty()
            && self.namespaces.is_empty()
            && self.capabilities.is_empty()
            && self.namespace_changes.is_empty()
            && self.capability_changes.is_empty()
    }
}

/// A test of one of the namespaces that the calling thread is in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceFilter {
    /// Which kind.
    pub namespace: Namespace,
    /// One of them, or none.
    pub membership: Membership,
    /// The namespaces; at least one, as many as you like.
    pub values: Vec<NamespaceValue>,
    /// The entry in the text.
    pub span: Span,
}

/// A namespace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NamespaceValue {
    /// By its number (inode).
    Number(u32),
    /// The one that the host's first process is in (`host_ns`); has become a number when the policy is resolved.
    Host,
}

/// A test for namespaces that are other than when the process's image began. A process of which that is not known never passes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceChangeFilter {
    /// Whether one of the listed kinds must have changed, or one of those not listed.
    pub membership: Membership,
    /// Kinds; at least one.
    pub namespaces: Vec<Namespace>,
    /// The entry in the text.
    pub span: Span,
}

/// A test of a set of capabilities, or of what changed in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapabilityFilter {
    /// Which of the thread's sets.
    pub set: CapabilitySet,
    /// One of them, or none.
    pub membership: Membership,
    /// The capabilities, one bit a number; at least one.
    pub mask: u64,
    /// In which user namespaces a thread may pass.
    pub scope: CapabilityScope,
    /// The entry in the text.
    pub span: Span,
}

/// A set of capabilities that a thread has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[repr(u8)]
pub enum CapabilitySet {
    /// Those in effect.
    Effective,
    /// Those kept over exec.
    Inheritable,
    /// Those that may be put into effect.
    Permitted,
}

/// In which user namespaces a thread may pass a test of capabilities (`isNamespaceCapability`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CapabilityScope {
    /// In any.
    Any,
    /// In any but the host's.
    BelowHost,
}
