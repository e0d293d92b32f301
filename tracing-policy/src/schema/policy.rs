//! The document.

use super::hook::{Kprobe, LsmHook, Tracepoint, Uprobe, Usdt};
use super::list::{Enforcer, List, PolicyOption};
use super::selector::SelectorMacro;
use super::word::words;
use crate::source::{Span, Spanned};

/// A policy document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TracingPolicy {
    /// Cluster-wide or namespaced.
    pub kind: Spanned<PolicyKind>,
    /// `metadata`.
    pub metadata: Metadata,
    /// `spec`.
    pub spec: Spec,
    /// Kinds of other documents in the same text, which are not read further.
    pub foreign: Vec<Spanned<String>>,
}

words! {
    /// The kind of the resource.
    PolicyKind, "kind":
    /// Applies to the whole node.
    Cluster = "TracingPolicy",
    /// Applies to the pods of its namespace.
    Namespaced = "TracingPolicyNamespaced",
}

/// What of the object's metadata has a meaning here. The bookkeeping of an API server (uid, generation …) is
/// accepted and not kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Metadata {
    /// `name`.
    pub name: Spanned<String>,
    /// `namespace`.
    pub namespace: Option<Spanned<String>>,
    /// `labels`.
    pub labels: Labels,
    /// `annotations`.
    pub annotations: Labels,
    /// The whole of it.
    pub span: Span,
}

/// Keys and values, in the order of the text.
pub type Labels = Vec<(Spanned<String>, Spanned<String>)>;

/// `spec`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spec {
    /// Kernel functions and system calls.
    pub kprobes: Spanned<Vec<Kprobe>>,
    /// Kernel functions through fentry.
    pub fentries: Spanned<Vec<Kprobe>>,
    /// Tracepoints.
    pub tracepoints: Spanned<Vec<Tracepoint>>,
    /// Functions of programs.
    pub uprobes: Spanned<Vec<Uprobe>>,
    /// Static probes of programs.
    pub usdts: Spanned<Vec<Usdt>>,
    /// LSM hooks.
    pub lsmhooks: Spanned<Vec<LsmHook>>,
    /// Events of loaded binaries.
    pub loader: Option<Spanned<bool>>,
    /// Functions that `NotifyEnforcer` acts on.
    pub enforcers: Spanned<Vec<Enforcer>>,
    /// Named lists of symbols.
    pub lists: Spanned<Vec<List>>,
    /// Options.
    pub options: Vec<PolicyOption>,
    /// Pods it applies to.
    pub pod_selector: Option<LabelSelector>,
    /// Containers it applies to.
    pub container_selector: Option<LabelSelector>,
    /// Whether it applies to host processes.
    pub host_selector: Option<LabelSelector>,
    /// Nodes it applies to.
    pub node_selector: Option<LabelSelector>,
    /// Named pieces of selectors.
    pub selectors_macros: Spanned<Vec<SelectorMacro>>,
    /// The whole of it.
    pub span: Span,
}

/// A Kubernetes label selector.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelSelector {
    /// `matchLabels`, if it is there; it may be there and empty.
    pub match_labels: Option<Labels>,
    /// `matchExpressions`, if it is there.
    pub match_expressions: Option<Vec<LabelExpression>>,
    /// The whole of it.
    pub span: Span,
}

/// An entry of `matchExpressions`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LabelExpression {
    /// `key`.
    pub key: Spanned<String>,
    /// `operator`.
    pub operator: Spanned<LabelOperator>,
    /// `values`.
    pub values: Vec<Spanned<String>>,
}

words! {
    /// Operator of a label expression.
    LabelOperator, "label operator":
    /// One of the values.
    In = "In",
    /// None of the values.
    NotIn = "NotIn",
    /// The label is there.
    Exists = "Exists",
    /// The label is not there.
    DoesNotExist = "DoesNotExist",
}
