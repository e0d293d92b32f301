//! Filters of the process: namespaces, capabilities, parent binaries, and what changed.

use bpf_probes::kernel::Namespace;

use super::filter::{binary, no_values};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{
    BinaryFilter, CapabilityFilter, CapabilityScope, CapabilitySet, Membership, NamespaceChangeFilter,
    NamespaceFilter, NamespaceValue, ProcessFilters, capability_names, capability_number,
};
use crate::schema;
use crate::source::Spanned;

/// The word for the host's namespace.
const HOST: &str = "host_ns";

/// The filters of the process in a selector. `None` when the report has an error about one.
pub(super) fn filters(written: &mut schema::Selector, report: &mut Report) -> Option<ProcessFilters> {
    let parents: Vec<Option<BinaryFilter>> = std::mem::take(&mut written.match_parent_binaries.value)
        .into_iter()
        .map(|entry| binary(entry, "matchParentBinaries", report))
        .collect();
    let namespaces: Vec<_> =
        written.match_namespaces.value.iter().map(|entry| namespace(entry, report)).collect();
    let capabilities: Vec<_> =
        written.match_capabilities.value.iter().map(|entry| capability(entry, report)).collect();
    let namespace_changes: Vec<_> =
        written.match_namespace_changes.value.iter().map(|entry| namespace_change(entry, report)).collect();
    let capability_changes: Vec<_> =
        written.match_capability_changes.value.iter().map(|entry| capability(entry, report)).collect();
    Some(ProcessFilters {
        parents: parents.into_iter().collect::<Option<_>>()?,
        namespaces: namespaces.into_iter().collect::<Option<_>>()?,
        capabilities: capabilities.into_iter().collect::<Option<_>>()?,
        namespace_changes: namespace_changes.into_iter().collect::<Option<_>>()?,
        capability_changes: capability_changes.into_iter().collect::<Option<_>>()?,
    })
}

/// Whether one must be found, or none.
pub(super) fn membership(written: &Spanned<schema::Membership>) -> Membership {
    match written.value {
        schema::Membership::In => Membership::In,
        schema::Membership::NotIn => Membership::NotIn,
    }
}

fn kind(written: schema::Namespace) -> Namespace {
    match written {
        schema::Namespace::Uts => Namespace::Uts,
        schema::Namespace::Ipc => Namespace::Ipc,
        schema::Namespace::Mnt => Namespace::Mnt,
        schema::Namespace::Pid => Namespace::Pid,
        schema::Namespace::PidForChildren => Namespace::PidForChildren,
        schema::Namespace::Net => Namespace::Net,
        schema::Namespace::Time => Namespace::Time,
        schema::Namespace::TimeForChildren => Namespace::TimeForChildren,
        schema::Namespace::Cgroup => Namespace::Cgroup,
        schema::Namespace::User => Namespace::User,
    }
}

fn namespace(written: &schema::NamespaceMatch, report: &mut Report) -> Option<NamespaceFilter> {
    if written.values.is_empty() {
        no_values(written.span, report);
        return None;
    }
    let values: Vec<_> = written.values.iter().map(|value| namespace_value(value, report)).collect();
    Some(NamespaceFilter {
        namespace: kind(written.namespace.value),
        membership: membership(&written.operator),
        values: values.into_iter().collect::<Option<_>>()?,
        span: written.span,
    })
}

fn namespace_value(written: &Spanned<String>, report: &mut Report) -> Option<NamespaceValue> {
    if written.value == HOST {
        return Some(NamespaceValue::Host);
    }
    if let Ok(number) = written.value.parse() {
        return Some(NamespaceValue::Number(number));
    }
    let message = "this is not a namespace";
    let help = format!("write the number that `ls -l /proc/PID/ns` shows in brackets, or `{HOST}`");
    report.push(Diagnostic::error(Code::BadNumber, written.span, message).help(help));
    None
}

fn namespace_change(
    written: &schema::NamespaceChangeMatch,
    report: &mut Report,
) -> Option<NamespaceChangeFilter> {
    if written.values.is_empty() {
        no_values(written.span, report);
        return None;
    }
    Some(NamespaceChangeFilter {
        membership: membership(&written.operator),
        namespaces: written.values.iter().map(|value| kind(value.value)).collect(),
        span: written.span,
    })
}

fn capability(written: &schema::CapabilityMatch, report: &mut Report) -> Option<CapabilityFilter> {
    if written.values.is_empty() {
        no_values(written.span, report);
        return None;
    }
    let mut mask = 0;
    let mut known = true;
    for value in &written.values {
        if let Some(number) = capability_number(&value.value) {
            mask |= 1 << number;
            continue;
        }
        known = false;
        let message = format!("`{}` is not a capability", crate::parse::shortened(&value.value));
        let help = crate::parse::suggestion(&value.value, capability_names(), "capabilities");
        report.push(Diagnostic::error(Code::UnknownWord, value.span, message).help(help));
    }
    let own = written.is_namespace_capability.as_ref().is_some_and(|own| own.value);
    known.then(|| CapabilityFilter {
        set: match written.ty.as_ref().map(|ty| ty.value) {
            None | Some(schema::CapabilitySet::Effective) => CapabilitySet::Effective,
            Some(schema::CapabilitySet::Inheritable) => CapabilitySet::Inheritable,
            Some(schema::CapabilitySet::Permitted) => CapabilitySet::Permitted,
        },
        membership: membership(&written.operator),
        mask,
        scope: if own { CapabilityScope::BelowHost } else { CapabilityScope::Any },
        span: written.span,
    })
}
