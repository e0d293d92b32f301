//! The document: which of a text's documents is the policy, and its outermost fields.

use super::fields::{Fields, FromNode, shortened};
use super::node::{Node, NodeValue};
use super::scalar::FromScalar;
use super::yaml;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::schema::{Metadata, PolicyKind, Shape, Spec, TracingPolicy, Word};
use crate::source::{SourceText, Span, Spanned};

/// The only version of the language.
const API_VERSION: &str = "cilium.io/v1alpha1";

/// The bookkeeping of an API server, which `kubectl get -o yaml` prints; it has no meaning here.
const BOOKKEEPING: [&str; 11] = [
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "finalizers",
    "generateName",
    "generation",
    "managedFields",
    "ownerReferences",
    "resourceVersion",
    "selfLink",
    "uid",
];

/// The policy that a text holds.
///
/// The text may hold documents of other kinds as well (a file for `kubectl apply`); they are named in
/// [`TracingPolicy::foreign`] and `check` warns of them.
///
/// # Errors
/// Everything that is wrong with the shape of the text, in its order; just the first problem when it is not YAML.
pub fn policy(source: &SourceText) -> Result<TracingPolicy, Vec<Diagnostic>> {
    let documents = yaml::documents(source).map_err(|error| vec![error])?;
    let mut report = Report::default();
    let policy = only_policy(&documents, &mut report).and_then(|(node, foreign)| {
        let mut policy = document(node, &mut report)?;
        policy.foreign = foreign;
        Some(policy)
    });
    report.finish(policy).map(|(policy, _no_warnings)| policy)
}

/// What `spec` takes: what the parser asks for.
pub fn spec_shape() -> Shape {
    Spec::shape()
}

/// The one document that is a policy, and the kinds of the others.
fn only_policy<'d>(documents: &'d [Node], report: &mut Report) -> Option<(&'d Node, Vec<Spanned<String>>)> {
    let mut documents = documents.iter().filter(|node| !node.is_null());
    let (Some(first), rest) = (documents.next(), documents.collect::<Vec<_>>()) else {
        report.push(
            Diagnostic::error(Code::NotOnePolicy, Span::default(), "there is no policy in this text")
                .help(format!("start with `apiVersion: {API_VERSION}` and `kind: TracingPolicy`")),
        );
        return None;
    };
    if rest.is_empty() {
        return Some((first, Vec::new()));
    }
    let mut foreign = Vec::new();
    let mut policies = Vec::new();
    for node in std::iter::once(first).chain(rest) {
        match kind(node) {
            Some(kind) if PolicyKind::from_word(&kind.value).is_none() => foreign.push(kind),
            _ => policies.push(node),
        }
    }
    match *policies.as_slice() {
        [policy] => Some((policy, foreign)),
        [] => {
            let message = "none of these documents is a policy";
            report.push(Diagnostic::error(Code::NotOnePolicy, first.span, message));
            None
        }
        [_, second, ..] => {
            let message = format!("this text holds {} policies", policies.len());
            let error = Diagnostic::error(Code::NotOnePolicy, start_of(second), message);
            report.push(
                error.labelled("the second starts here").help("put each policy into a file of its own"),
            );
            None
        }
    }
}

fn start_of(node: &Node) -> Span {
    let NodeValue::Mapping(entries) = &node.value else { return node.span };
    entries.first().map_or(node.span, |entry| entry.key_span)
}

/// The `kind` a document states.
fn kind(node: &Node) -> Option<Spanned<String>> {
    let NodeValue::Mapping(entries) = &node.value else { return None };
    let entry = entries.iter().find(|entry| entry.key == "kind")?;
    let kind = String::read(&entry.value, "kind").ok()?;
    Some(Spanned::new(kind, entry.value.span))
}

fn document(node: &Node, report: &mut Report) -> Option<TracingPolicy> {
    let mut fields = Fields::of(node, "a policy", report)?;
    let version: Option<Spanned<String>> = fields.required("apiVersion");
    let kind: Option<Spanned<String>> = fields.required("kind");
    let metadata = fields.required("metadata");
    let spec: Option<Spec> = fields.required("spec");
    let complete = fields.finish();
    let version = version.and_then(|version| resource_version(&version, report));
    let kind = kind.and_then(|kind| resource_kind(&kind, report));
    complete?;
    version?;
    Some(TracingPolicy { kind: kind?, metadata: metadata?, spec: spec?, foreign: Vec::new() })
}

fn resource_version(version: &Spanned<String>, report: &mut Report) -> Option<()> {
    if version.value == API_VERSION {
        return Some(());
    }
    let message = format!("there is no policy language `{}`", shortened(&version.value));
    let help = format!("write `{API_VERSION}`");
    report.push(Diagnostic::error(Code::NotAPolicy, version.span, message).help(help));
    None
}

fn resource_kind(kind: &Spanned<String>, report: &mut Report) -> Option<Spanned<PolicyKind>> {
    if let Some(known) = PolicyKind::from_word(&kind.value) {
        return Some(Spanned::new(known, kind.span));
    }
    let message = format!("`{}` is not a kind of policy", shortened(&kind.value));
    let help = "kinds of policies: TracingPolicy, TracingPolicyNamespaced";
    report.push(Diagnostic::error(Code::NotAPolicy, kind.span, message).help(help));
    None
}

impl FromNode for Metadata {
    fn from_node(node: &Node, _: &str, report: &mut Report) -> Option<Self> {
        let mut fields = Fields::of(node, "`metadata`", report)?;
        let span = fields.span();
        let name = fields.required("name");
        let namespace = fields.optional("namespace");
        let labels = fields.map("labels").unwrap_or_default();
        let annotations = fields.map("annotations").unwrap_or_default();
        for name in BOOKKEEPING {
            fields.accept(name);
        }
        fields.finish()?;
        Some(Self { name: name?, namespace, labels, annotations, span })
    }
}
