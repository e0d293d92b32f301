//! Whom a policy or selector is for.

use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{ContainerScope, LabelOperator, LabelTest, Requirement, WorkloadScope};
use crate::schema::{self, LabelSelector, PolicyKind, Spec, TracingPolicy};
use crate::source::{Span, Spanned};

/// The three selectors that say it together.
#[derive(Clone, Copy)]
struct Selectors<'a> {
    pod: Option<&'a LabelSelector>,
    container: Option<&'a LabelSelector>,
    host: Option<&'a LabelSelector>,
}

/// The namespace of a policy that has one.
pub(super) fn namespace(document: &TracingPolicy, report: &mut Report) -> Option<Spanned<String>> {
    let written = &document.metadata.namespace;
    match (document.kind.value, written) {
        (PolicyKind::Namespaced, Some(namespace)) if !namespace.value.is_empty() => Some(namespace.clone()),
        (PolicyKind::Namespaced, _) => {
            let message = "a TracingPolicyNamespaced has a namespace";
            let error = Diagnostic::error(Code::MissingField, document.metadata.span, message);
            report.push(error.help("add `namespace:` to its metadata"));
            None
        }
        (PolicyKind::Cluster, Some(namespace)) => {
            let message = "a TracingPolicy applies to the whole node and has no namespace";
            let error = Diagnostic::error(Code::BadName, namespace.span, message);
            report.push(error.help("leave it out, or use TracingPolicyNamespaced"));
            None
        }
        (PolicyKind::Cluster, None) => None,
    }
}

/// Whom a policy is for; `None` for everybody.
pub(super) fn of_policy(
    spec: &Spec,
    kind: PolicyKind,
    namespace: Option<&Spanned<String>>,
    report: &mut Report,
) -> Option<WorkloadScope> {
    let selectors = Selectors {
        pod: spec.pod_selector.as_ref(),
        container: spec.container_selector.as_ref(),
        host: spec.host_selector.as_ref(),
    };
    if let (PolicyKind::Namespaced, Some(host)) = (kind, selectors.host) {
        let message = "a TracingPolicyNamespaced is never for the host's processes";
        report.push(Diagnostic::error(Code::BadScope, host.span, message).help("leave `hostSelector` out"));
    }
    if let Some(nodes) = &spec.node_selector {
        // it is checked, and means something to policies that come from a cluster only
        let test = labels(nodes, report);
        if !test.requirements.is_empty() {
            let message = "nodeSelector counts for policies that come from a Kubernetes cluster only";
            let warning = Diagnostic::warning(Code::BadScope, nodes.span, message);
            report.push(warning.help("a policy from a file or the API loads where it is given"));
        }
    }
    let scope = scope(selectors, report);
    let Some(namespace) = namespace else { return scope };
    let containers = scope.and_then(|scope| scope.containers).unwrap_or_default();
    Some(WorkloadScope {
        namespace: Some(namespace.value.clone()),
        containers: Some(containers),
        host: false,
    })
}

/// Whom a selector is for; `None` for everybody.
pub(super) fn of_selector(written: &schema::WorkloadMatch, report: &mut Report) -> Option<WorkloadScope> {
    let selectors = Selectors {
        pod: written.pod_selector.as_ref(),
        container: written.container_selector.as_ref(),
        host: written.host_selector.as_ref(),
    };
    scope(selectors, report)
}

/// None of them, and all of them without a requirement, mean everybody. One of pod and container alone means all of the other.
fn scope(selectors: Selectors<'_>, report: &mut Report) -> Option<WorkloadScope> {
    let Selectors { pod, container, host } = selectors;
    if let Some(host) = host.filter(|host| host.match_labels.is_some() || host.match_expressions.is_some()) {
        let message = "hostSelector has no labels to choose by";
        report.push(Diagnostic::error(Code::BadScope, host.span, message).help("write `hostSelector: {}`"));
    }
    let all = [pod, container, host];
    let pods = pod.map(|pod| labels(pod, report));
    let containers = container.map(|container| labels(container, report));
    if all.iter().all(Option::is_none) || all.iter().all(|one| one.is_some_and(is_empty)) {
        return None;
    }
    let named = pods.is_some() || containers.is_some();
    Some(WorkloadScope {
        namespace: None,
        containers: named.then(|| ContainerScope {
            pod: pods.unwrap_or_default(),
            container: containers.unwrap_or_default(),
        }),
        host: host.is_some(),
    })
}

fn is_empty(selector: &LabelSelector) -> bool {
    selector.match_labels.as_ref().is_none_or(Vec::is_empty)
        && selector.match_expressions.as_ref().is_none_or(Vec::is_empty)
}

fn labels(written: &LabelSelector, report: &mut Report) -> LabelTest {
    let equal = written.match_labels.iter().flatten().map(|(key, value)| Requirement {
        key: key.value.clone(),
        operator: LabelOperator::In,
        values: vec![value.value.clone()],
    });
    let mut requirements: Vec<Requirement> = equal.collect();
    for expression in written.match_expressions.iter().flatten() {
        let (operator, takes_values) = match expression.operator.value {
            schema::LabelOperator::In => (LabelOperator::In, true),
            schema::LabelOperator::NotIn => (LabelOperator::NotIn, true),
            schema::LabelOperator::Exists => (LabelOperator::Exists, false),
            schema::LabelOperator::DoesNotExist => (LabelOperator::DoesNotExist, false),
        };
        if takes_values == expression.values.is_empty() {
            refuse_values(expression.operator.span, takes_values, report);
        }
        requirements.push(Requirement {
            key: expression.key.value.clone(),
            operator,
            values: expression.values.iter().map(|value| value.value.clone()).collect(),
        });
    }
    LabelTest { requirements }
}

fn refuse_values(span: Span, takes_values: bool, report: &mut Report) {
    let message = if takes_values { "this operator needs values" } else { "this operator has no values" };
    report.push(Diagnostic::error(Code::BadScope, span, message));
}
