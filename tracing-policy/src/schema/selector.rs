//! Selectors.

use super::action::Action;
use super::policy::LabelSelector;
use super::word::words;
use crate::source::{Span, Spanned};

/// An entry of `selectors`, or the body of a macro.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Selector {
    /// `label`.
    pub label: Option<Spanned<String>>,
    /// `matchPIDs`.
    pub match_pids: Vec<PidMatch>,
    /// `matchBinaries`.
    pub match_binaries: Vec<BinaryMatch>,
    /// `matchParentBinaries`.
    pub match_parent_binaries: Spanned<Vec<BinaryMatch>>,
    /// `matchNamespaces`.
    pub match_namespaces: Spanned<Vec<NamespaceMatch>>,
    /// `matchNamespaceChanges`.
    pub match_namespace_changes: Spanned<Vec<NamespaceChangeMatch>>,
    /// `matchCapabilities`.
    pub match_capabilities: Spanned<Vec<CapabilityMatch>>,
    /// `matchCapabilityChanges`.
    pub match_capability_changes: Spanned<Vec<CapabilityMatch>>,
    /// `matchArgs`.
    pub match_args: Vec<ArgumentMatch>,
    /// `matchData`.
    pub match_data: Spanned<Vec<ArgumentMatch>>,
    /// `matchReturnArgs`.
    pub match_return_args: Spanned<Vec<ArgumentMatch>>,
    /// `matchWorkloads`.
    pub match_workloads: Option<WorkloadMatch>,
    /// `macros`.
    pub macros: Spanned<Vec<Spanned<String>>>,
    /// `matchActions`.
    pub match_actions: Vec<Action>,
    /// `matchReturnActions`.
    pub match_return_actions: Spanned<Vec<Action>>,
    /// The whole of it.
    pub span: Span,
}

/// An entry of `selectorsMacros`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SelectorMacro {
    /// Its name.
    pub name: Spanned<String>,
    /// Its body.
    pub selector: Selector,
}

words! {
    /// Operator of filters that take a set.
    Membership, "operator":
    /// One of the values.
    In = "In",
    /// None of the values.
    NotIn = "NotIn",
}

/// An entry of `matchPIDs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PidMatch {
    /// `operator`.
    pub operator: Spanned<Membership>,
    /// `values`.
    pub values: Vec<Spanned<u32>>,
    /// `isNamespacePID`.
    pub is_namespace_pid: Option<Spanned<bool>>,
    /// `followForks`.
    pub follow_forks: Option<Spanned<bool>>,
    /// The whole of it.
    pub span: Span,
}

/// An entry of `matchBinaries` or `matchParentBinaries`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BinaryMatch {
    /// `operator`.
    pub operator: Spanned<Operator>,
    /// `values`.
    pub values: Vec<Value>,
    /// `followChildren`.
    pub follow_children: Option<Spanned<bool>>,
    /// The whole of it.
    pub span: Span,
}

/// An entry of `matchNamespaces`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceMatch {
    /// `namespace`.
    pub namespace: Spanned<Namespace>,
    /// `operator`.
    pub operator: Spanned<Membership>,
    /// `values`: inode numbers or `host_ns`.
    pub values: Vec<Spanned<String>>,
    /// The whole of it.
    pub span: Span,
}

/// An entry of `matchNamespaceChanges`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamespaceChangeMatch {
    /// `operator`.
    pub operator: Spanned<Membership>,
    /// `values`.
    pub values: Vec<Spanned<Namespace>>,
    /// The whole of it.
    pub span: Span,
}

words! {
    /// A kind of namespace.
    Namespace, "namespace":
    /// Host and domain name.
    Uts = "Uts",
    /// System V IPC and message queues.
    Ipc = "Ipc",
    /// Mounts.
    Mnt = "Mnt",
    /// Process numbers.
    Pid = "Pid",
    /// Process numbers of children.
    PidForChildren = "PidForChildren",
    /// Network.
    Net = "Net",
    /// Clock offsets.
    Time = "Time",
    /// Clock offsets of children.
    TimeForChildren = "TimeForChildren",
    /// Control groups.
    Cgroup = "Cgroup",
    /// Users.
    User = "User",
}

/// An entry of `matchCapabilities` or `matchCapabilityChanges`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CapabilityMatch {
    /// `type`; absent means effective.
    pub ty: Option<Spanned<CapabilitySet>>,
    /// `operator`.
    pub operator: Spanned<Membership>,
    /// `isNamespaceCapability`.
    pub is_namespace_capability: Option<Spanned<bool>>,
    /// `values`: names of capabilities.
    pub values: Vec<Spanned<String>>,
    /// The whole of it.
    pub span: Span,
}

words! {
    /// A set of capabilities.
    CapabilitySet, "capability set":
    /// Those in effect.
    Effective = "Effective",
    /// Those kept over exec.
    Inheritable = "Inheritable",
    /// Those that may be put into effect.
    Permitted = "Permitted",
}

/// An entry of `matchArgs`, `matchData` or `matchReturnArgs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ArgumentMatch {
    /// `index`: position in the prototype.
    pub index: Option<Spanned<u32>>,
    /// `args`: positions in the list `args`, which go before `index`.
    pub args: Vec<Spanned<u32>>,
    /// `operator`.
    pub operator: Spanned<Operator>,
    /// `values`.
    pub values: Vec<Value>,
    /// The whole of it.
    pub span: Span,
}

/// A value to compare with: text, or any bytes when written as `!!binary`.
pub type Value = Spanned<Vec<u8>>;

words! {
    /// Operator of an argument or binary filter.
    Operator, "operator":
    /// Is a value.
    Equal = "Equal",
    /// Is no value.
    NotEqual = "NotEqual",
    /// Starts with a value.
    Prefix = "Prefix",
    /// Starts with no value.
    NotPrefix = "NotPrefix",
    /// Ends with a value.
    Postfix = "Postfix",
    /// Ends with no value.
    NotPostfix = "NotPostfix",
    /// Is greater.
    GreaterThan = "GreaterThan" | "GT",
    /// Is less.
    LessThan = "LessThan" | "LT",
    /// Has a bit in common.
    Mask = "Mask",
    /// Source port.
    SPort = "SPort",
    /// Not this source port.
    NotSPort = "NotSPort",
    /// Privileged source port.
    SPortPriv = "SPortPriv",
    /// No privileged source port.
    NotSPortPriv = "NotSportPriv",
    /// Destination port.
    DPort = "DPort",
    /// Not this destination port.
    NotDPort = "NotDPort",
    /// Privileged destination port.
    DPortPriv = "DPortPriv",
    /// No privileged destination port.
    NotDPortPriv = "NotDPortPriv",
    /// Source address.
    SAddr = "SAddr",
    /// Not this source address.
    NotSAddr = "NotSAddr",
    /// Destination address.
    DAddr = "DAddr",
    /// Not this destination address.
    NotDAddr = "NotDAddr",
    /// Protocol.
    Protocol = "Protocol",
    /// Address family.
    Family = "Family",
    /// State of a connection.
    State = "State",
    /// Is in a map.
    InMap = "InMap",
    /// Is not in a map.
    NotInMap = "NotInMap",
    /// Has gained a capability.
    CapabilitiesGained = "CapabilitiesGained",
    /// Is in a range.
    InRange = "InRange",
    /// Is in no range.
    NotInRange = "NotInRange",
    /// Contains a value.
    SubString = "SubString",
    /// Contains a value, whatever the case.
    SubStringIgnCase = "SubStringIgnCase",
    /// Satisfies an expression.
    CelExpr = "CelExpr",
    /// Is a file of a type.
    FileType = "FileType",
    /// Is not a file of a type.
    NotFileType = "NotFileType",
    /// One of the values (binaries).
    In = "In",
    /// None of the values (binaries).
    NotIn = "NotIn",
}

/// `matchWorkloads`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WorkloadMatch {
    /// `podSelector`.
    pub pod_selector: Option<LabelSelector>,
    /// `containerSelector`.
    pub container_selector: Option<LabelSelector>,
    /// `hostSelector`.
    pub host_selector: Option<LabelSelector>,
    /// The whole of it.
    pub span: Span,
}
