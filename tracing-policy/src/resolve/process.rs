//! Filters of the process, fitted: the host's namespaces have numbers, and this kernel has the namespaces that are tested.

use bpf_probes::builder::Facts;
use bpf_probes::kernel::{KernelView, Namespace};
use bpf_probes::routine::{NamespaceSource, namespace_source};

use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{CapabilityScope, Membership, NamespaceFilter, NamespaceValue, ProcessFilters};
use crate::source::Span;

/// Fits the filters of one selector; says whether they fit.
pub(super) fn fit(filters: &mut ProcessFilters, kernel: &KernelView, report: &mut Report) -> bool {
    let below_host: Vec<Span> = filters
        .capabilities
        .iter()
        .chain(&filters.capability_changes)
        .filter(|filter| filter.scope == CapabilityScope::BelowHost)
        .map(|filter| filter.span)
        .collect();
    filters.namespaces.extend(below_host.into_iter().map(|span| NamespaceFilter {
        namespace: Namespace::User,
        membership: Membership::NotIn,
        values: vec![NamespaceValue::Host],
        span,
    }));
    let mut fits = true;
    for filter in &mut filters.namespaces {
        fits &= exists(filter.namespace, filter.span, kernel, report);
        for value in filter.values.iter_mut().filter(|value| **value == NamespaceValue::Host) {
            if let Some(number) = kernel.facts().namespaces.number(filter.namespace) {
                *value = NamespaceValue::Number(number);
                continue;
            }
            fits = false;
            let name = filter.namespace.proc_name();
            let message = format!("the host's namespace {name} is not known");
            let help = format!(
                "`/proc/1/ns/{name}` must be readable: run as root on the host, with the host's /proc (`--procfs`)"
            );
            report.push(Diagnostic::error(Code::NotOnThisKernel, filter.span, message).help(help));
        }
    }
    for filter in &filters.namespace_changes {
        for kind in &filter.namespaces {
            fits &= exists(*kind, filter.span, kernel, report);
        }
    }
    fits
}

/// Whether this kernel has namespaces of that kind.
fn exists(kind: Namespace, span: Span, kernel: &KernelView, report: &mut Report) -> bool {
    let facts = Facts::of(kernel);
    let there = match namespace_source(kind) {
        NamespaceSource::Proxy { member, container } => {
            facts.has_field("nsproxy", member) && facts.has_field(container, "ns.inum")
        }
        NamespaceSource::Pid => facts.has_field("pid_namespace", "ns.inum"),
        NamespaceSource::User => facts.has_field("user_namespace", "ns.inum"),
    };
    if !there {
        let message = format!("this kernel has no namespaces of the kind {}", kind.proc_name());
        report.push(
            Diagnostic::error(Code::NotOnThisKernel, span, message).help("time namespaces came with 5.6"),
        );
    }
    there
}
