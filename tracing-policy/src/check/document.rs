//! The policy as a whole: name, kind, scope.

use super::list::Lists;
use super::{enforcer, hook, list_value, loader, macros, options, tracepoint, uprobe, usdt, workload};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{Hook, Means, Policy, PolicyName};
use crate::schema::{Spec, TracingPolicy};
use crate::source::Spanned;

/// The checked policy and what there is to warn of.
///
/// # Errors
/// Everything that is wrong with the policy on any kernel, warnings too, in the order of the text.
pub fn policy(document: TracingPolicy) -> Result<(Policy, Vec<Diagnostic>), Vec<Diagnostic>> {
    let mut report = Report::default();
    let policy = whole(document, &mut report);
    report.finish(policy)
}

fn whole(document: TracingPolicy, report: &mut Report) -> Option<Policy> {
    for kind in &document.foreign {
        let message = format!("the document of kind `{}` beside the policy is not read", kind.value);
        report.push(Diagnostic::warning(Code::ForeignDocument, kind.span, message));
    }
    let name = name(&document.metadata.name, report);
    let namespace = workload::namespace(&document, report);
    let kind = document.kind.value;
    let mut spec = document.spec;
    macros::expand(&mut spec, report);
    let workload = workload::of_policy(&spec, kind, namespace.as_ref(), report);
    kinds(&spec, report);
    let options = options::options(&spec.options, report);
    let lists = Lists::of(&spec.lists.value, report);
    list_value::expand(&mut spec.tracepoints.value, &lists, report);
    let mut hooks: Vec<Option<Vec<Hook>>> = Vec::new();
    hooks.extend(section(spec.kprobes, |one| hook::kprobe(one, Means::Any, &lists, report)));
    hooks.extend(section(spec.fentries, |one| hook::kprobe(one, Means::Trampoline, &lists, report)));
    hooks.extend(section(spec.tracepoints, |one| Some(vec![tracepoint::tracepoint(one, report)?])));
    hooks.extend(section(spec.uprobes, |one| uprobe::uprobe(one, report)));
    hooks.extend(section(spec.usdts, |one| Some(vec![usdt::usdt(one, report)?])));
    hooks.extend(section(spec.lsmhooks, |one| Some(vec![hook::lsm(one, report)?])));
    let hooks = hooks.into_iter().collect::<Option<Vec<_>>>();
    let (name, mut hooks): (_, Vec<Hook>) = (name?, hooks?.into_iter().flatten().collect());
    if let (Some(on), true) = (spec.loader.as_ref().filter(|on| on.value), workload.is_some()) {
        let message = "loader does not go with a scope";
        let error = Diagnostic::error(Code::BadScope, on.span, message);
        report.push(error.help("put it into a policy for everybody"));
    }
    hooks.extend(spec.loader.as_ref().filter(|on| on.value).and_then(|on| loader::hook(on.span)));
    hooks.extend(enforcer::enforcers(&spec.enforcers, &hooks, &lists, report)?);
    let policy = Policy {
        name,
        namespace,
        mode_requested: options.mode,
        attach: options.attach,
        attach_user: options.attach_user,
        override_method: options.override_method,
        workload,
        hooks,
    };
    if let Some(mode) = policy.mode_requested.as_ref().filter(|_| !policy.enforces()) {
        let message = "policy-mode has no effect: nothing in this policy enforces";
        let warning = Diagnostic::warning(Code::ModeWithoutEffect, mode.span, message);
        report.push(warning.help("the policy is monitor-only; its mode cannot be changed later either"));
    }
    Some(policy)
}

/// The hooks of each entry of a section, with its number.
fn section<T>(
    entries: Spanned<Vec<T>>,
    mut hooks: impl FnMut(T) -> Option<Vec<Hook>>,
) -> impl Iterator<Item = Option<Vec<Hook>>> {
    (0..).zip(entries.value).map(move |(entry, one)| {
        let hooks = hooks(one)?;
        Some(hooks.into_iter().map(|hook| Hook { entry, ..hook }).collect())
    })
}

fn name(name: &Spanned<String>, report: &mut Report) -> Option<Spanned<PolicyName>> {
    let checked = PolicyName::new(&name.value);
    if checked.is_none() {
        let message = "this is no name for a policy";
        let help = "use 1 to 253 of a-z, 0-9, '-' and '.'; each part between dots starts and ends with a letter or digit";
        report.push(Diagnostic::error(Code::BadName, name.span, message).help(help));
    }
    Some(Spanned::new(checked?, name.span))
}

/// Warns of a policy without a hook, and of one with hooks of several kinds, which Tetragon refuses.
fn kinds(spec: &Spec, report: &mut Report) {
    let kinds = [
        ("kprobes", spec.kprobes.value.len(), spec.kprobes.span),
        ("fentries", spec.fentries.value.len(), spec.fentries.span),
        ("tracepoints", spec.tracepoints.value.len(), spec.tracepoints.span),
        ("uprobes", spec.uprobes.value.len(), spec.uprobes.span),
        ("usdts", spec.usdts.value.len(), spec.usdts.span),
        ("lsmhooks", spec.lsmhooks.value.len(), spec.lsmhooks.span),
    ];
    let mut used = kinds.into_iter().filter(|(_, hooks, _)| *hooks > 0);
    let Some((first, _, first_span)) = used.next() else {
        if spec.loader.is_none() && spec.enforcers.value.is_empty() {
            let warning =
                Diagnostic::warning(Code::NoHook, spec.span, "this policy has no hook and does nothing");
            report.push(warning.help("add `kprobes:`"));
        }
        return;
    };
    for (other, _, span) in used {
        let message = format!("{other} beside {first}: Tetragon refuses such a policy");
        let warning =
            Diagnostic::warning(Code::SeveralHookKinds, span, message).also(first_span, "the first kind");
        report.push(warning.help("put each kind into a policy of its own if Tetragon is to read it too"));
    }
}
