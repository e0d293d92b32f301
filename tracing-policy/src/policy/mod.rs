//! The checked policy: right on any kernel, and with no value for an illegal state.
//!
//! It comes from `check::policy`. Spans stay with everything that a later stage may have to refuse (a symbol that
//! this kernel lacks, a filter that the verifier rejects), so that the answer still shows the line of YAML.
//!
//! Invariants, which `check` establishes: each [`ArgumentId`] of a filter is in range for its hook and names an
//! argument of the filter's family ([`ArgumentFilter::Integer`] an integer, and so on); lists of values are not
//! empty; numbers are within the argument's type. `matches` of the test types is the plain meaning of a filter, the
//! oracle against which compiled code is tested.

mod action;
mod argument;
mod capability;
mod expression;
mod found;
mod hook;
mod layout;
mod network;
#[expect(clippy::module_inception, reason = "the noun this folder is about")]
mod policy;
mod post;
mod process;
mod request;
mod resolved;
mod rewrite;
mod selector;
mod uprobe;
mod usdt;
mod workload;

pub use action::{Action, Notification, ReturnValue, SetValue, SignalNumber, Told};
pub use argument::{
    Argument, ArgumentId, ArgumentType, CapabilitySetKind, Family, Field, FieldForm, IntegerType, ObjectKind,
    Place, Signedness, Width,
};
pub use capability::{capability_names, capability_number};
pub(crate) use expression::register as expression_register;
pub use expression::{BinaryOperator, Comparison, Condition, Known, Operation, Relation, Term};
pub use found::{BufferSize, PathEnd, RegisterPart, Resolve, ReturnedSize, ValuePath};
pub use hook::{Absence, Function, Hook, HookKind, HookSection, Means, SyscallAbi, Tracepoint, Untyped};
pub use layout::{CopiedPlace, EventForm, RecordLayout, ValueKind, ValueLayout};
pub(crate) use network::{AF_INET, AF_INET6, AF_UNIX};
pub use network::{End, Network, NetworkField, NetworkSubject, NetworkTest, NetworkType};
pub use policy::{Annotation, AttachPreference, Mode, ModeRequest, OverrideMethod, Policy, PolicyName};
pub use post::{LimitScope, PostOptions, RateLimit};
pub use process::{
    CapabilityFilter, CapabilityScope, CapabilitySet, NamespaceChangeFilter, NamespaceFilter, NamespaceValue,
    ProcessFilters,
};
pub use request::{HostName, Request, Scheme, Url};
pub use resolved::{
    Absent, AbsentHook, Attachment, ClassTest, ClassUse, Convention, Exactness, HookKey, Kin, Member,
    Resolved, ResolvedHook, Role, Seat,
};
pub use rewrite::{Assigned, Assignment, Rewrite};
pub use selector::{
    ArgumentFilter, BinaryFilter, Bytes, Case, Children, ContainsTest, Descendants, FileTypeTest, Integer,
    IntegerRange, IntegerTest, Membership, PidFilter, PidNamespace, Selector, Sense, StringForm, StringTest,
};
pub use uprobe::{Digest, DigestAlgorithm, Uprobe, UserAddress};
pub use usdt::Usdt;
pub use workload::{
    ContainerScope, LabelOperator, LabelTest, Requirement, Workload, WorkloadScope, image_repository,
};
