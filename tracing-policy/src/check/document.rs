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
    hooks.extend(spec.kprobes.value.into_iter().map(|one| hook::kprobe(one, Means::Any, &lists, report)));
    let fentries = spec.fentries.value.into_iter();
    hooks.extend(fentries.map(|one| hook::kprobe(one, Means::Trampoline, &lists, report)));
    hooks.extend(
        spec.tracepoints
            .value
            .into_iter()
            .map(|one| tracepoint::tracepoint(one, report).map(|hook| vec![hook])),
    );
    hooks.extend(spec.uprobes.value.into_iter().map(|one| uprobe::uprobe(one, report)));
    hooks.extend(spec.usdts.value.into_iter().map(|one| usdt::usdt(one, report).map(|hook| vec![hook])));
    hooks.extend(spec.lsmhooks.value.into_iter().map(|one| hook::lsm(one, report).map(|hook| vec![hook])));
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
