//! What users write, with spans: the whole language, also the parts that this version does not compile.
//!
//! `parse` makes these values, `check` reads them. They have the shape of the text and nothing more: a field that
//! may be absent is an `Option` unless the CRD gives it a default, a list that is absent is empty, a word is an
//! enum of all words the CRD knows. Whether the parts fit together is not known yet.

mod action;
mod argument;
mod hook;
mod list;
mod policy;
mod selector;
mod shape;
mod word;

pub use action::{Action, ActionKind, RateLimitScope};
pub use argument::{Argument, ArgumentSource, ArgumentType};
pub use hook::{Kprobe, KprobeIgnore, LsmHook, Tracepoint, Uprobe, UprobeIgnore, Usdt};
pub use list::{Enforcer, List, ListType, PolicyOption};
pub use policy::{
    LabelExpression, LabelOperator, LabelSelector, Labels, Metadata, PolicyKind, Spec, TracingPolicy,
};
pub use selector::{
    ArgumentMatch, BinaryMatch, CapabilityMatch, CapabilitySet, Membership, Namespace, NamespaceChangeMatch,
    NamespaceMatch, Operator, PidMatch, Selector, SelectorMacro, Value, WorkloadMatch,
};
pub use shape::{FieldShape, ObjectShape, Shape};
pub use word::Word;
