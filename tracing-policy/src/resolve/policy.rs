//! The stage: each hook of the policy, fitted.

use bpf_probes::kernel::KernelView;

use super::{argument, class, layout, mechanism, process};
use crate::diagnostic::{Diagnostic, Report};
use crate::policy::{Kprobe, Policy, ProcessFilters, Resolved, ResolvedHook, Selector};

/// Fits a policy to a kernel.
///
/// # Errors
/// Everything that this kernel lacks for the policy, each at its place in the text.
pub fn policy(policy: Policy, kernel: &KernelView) -> Result<Resolved, Vec<Diagnostic>> {
    let mut report = Report::default();
    let mut hooks = Vec::with_capacity(policy.kprobes.len());
    for kprobe in &policy.kprobes {
        hooks.extend(hook(&policy, kprobe, kernel, &mut report));
    }
    let mode = policy.initial_mode();
    report.finish(Some(Resolved { policy, mode, hooks })).map(|(resolved, _warnings)| resolved)
}

fn hook(policy: &Policy, kprobe: &Kprobe, kernel: &KernelView, report: &mut Report) -> Option<ResolvedHook> {
    let key = mechanism::key(kprobe, report)?;
    let arguments_fit = argument::fit(kprobe, &key, kernel, report);
    let attachments = mechanism::attachments(kprobe, kernel, report);
    let classes = class::classes(&kprobe.selectors, report);
    let mut selectors = selectors(kprobe);
    let mut process_fits = true;
    for selector in &mut selectors {
        process_fits &= process::fit(&mut selector.process, kernel, report);
    }
    let (attachments, classes) = (attachments?, classes?);
    if !(arguments_fit && process_fits) {
        return None;
    }
    Some(ResolvedHook {
        layout: layout::layout(policy, kprobe, &key),
        key,
        attachments,
        arguments: kprobe.arguments.clone(),
        selectors,
        classes: classes.tests,
        class_uses: classes.uses,
        span: kprobe.span,
    })
}

/// The selectors without what became class tests; a hook without selectors gets one that always matches.
fn selectors(kprobe: &Kprobe) -> Vec<Selector> {
    if kprobe.selectors.is_empty() {
        return vec![Selector {
            label: None,
            pids: Vec::new(),
            binaries: Vec::new(),
            process: ProcessFilters::default(),
            arguments: Vec::new(),
            actions: Vec::new(),
            span: kprobe.span,
        }];
    }
    let mut selectors = kprobe.selectors.clone();
    for selector in &mut selectors {
        selector.binaries.clear();
        selector.process.parents.clear();
        selector.pids.retain(|filter| !class::is_class(filter));
    }
    selectors
}
