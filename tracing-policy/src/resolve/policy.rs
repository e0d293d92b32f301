//! The stage: each hook of the policy, fitted.

use bpf_probes::btf::Btf;
use bpf_probes::kernel::KernelView;

use super::{
    buffer, class, function, layout, lsm, many, pattern, process, program_types, reach, register, settle,
    tracepoint, uprobe, usdt,
};
use crate::diagnostic::{Code, Diagnostic, Report, Severity};
use crate::files::{Binaries, Hold};
use crate::policy::{
    Absence, Absent, AbsentHook, Argument, Attachment, Function, Hook, HookKey, HookKind, Policy, Resolved,
    ResolvedHook, Selector,
};

/// Where a hook is on this kernel, and what is attached there.
#[derive(Debug)]
pub(super) struct Placed {
    /// What it shares with hooks of other policies.
    pub(super) key: HookKey,
    /// What is attached.
    pub(super) attachments: Vec<Attachment>,
    /// The arguments as they are found there.
    pub(super) arguments: Vec<Argument>,
}

/// Whose types values may have.
#[derive(Clone, Copy, Debug)]
pub(super) struct Types<'a> {
    /// The kernel's.
    pub(super) kernel: &'a KernelView,
    /// Those of the program that is hooked.
    pub(super) program: Option<&'a Btf>,
}

/// What a policy is fitted to.
#[derive(Clone, Copy, Debug)]
pub(super) struct Facts<'a> {
    /// The kernel.
    pub(super) kernel: &'a KernelView,
    /// The files that the policy names.
    pub(super) binaries: &'a Binaries,
}

/// Fits a policy to a kernel, and to the files that it hooks.
///
/// # Errors
/// Everything that this kernel lacks for the policy, each at its place in the text.
pub fn policy(
    mut policy: Policy,
    kernel: &KernelView,
    binaries: &Binaries,
) -> Result<Resolved, Vec<Diagnostic>> {
    let facts = Facts { kernel, binaries };
    let mut report = Report::default();
    pattern::expand(&mut policy.hooks, kernel, &mut report);
    let mut absent_hooks = Vec::new();
    let mut hooks = Vec::with_capacity(policy.hooks.len());
    let is_here = |hook: &&Hook| is_here(hook, facts);
    let here: Vec<&Hook> = policy.hooks.iter().filter(is_here).collect();
    // what one entry of the policy stands for has its place in the text
    for entry in here.chunk_by(|left, right| left.span == right.span) {
        let (gathered, rest) = many::gather(&policy, entry, facts);
        for many in gathered {
            let first = hook(&policy, many.first(), facts, &mut report);
            let first = first.and_then(|hooks| hooks.into_iter().next());
            hooks.extend(first.and_then(|first| many.unite(first, kernel, &mut report)));
        }
        hooks.extend(rest.into_iter().filter_map(|one| hook(&policy, one, facts, &mut report)).flatten());
    }
    for absent in policy.hooks.iter().filter(|hook| !is_here(hook)) {
        if let (Absence::Warned, HookKind::Kprobe(function)) = (absent.absence, &absent.kind.value) {
            let message =
                format!("kernel {} has no {function}: the policy goes on without it", kernel.release());
            report.push(Diagnostic::warning(Code::NoSuchFunction, absent.kind.span, message));
            let function = function.to_string();
            absent_hooks.push(absent_hook(absent, function, Absent::NoFunction));
        }
    }
    for one in &policy.hooks {
        let HookKind::Uprobe(uprobe) = &one.kind.value else { continue };
        let Ok(file) = binaries.get(&uprobe.path) else { continue };
        if uprobe::is_skipped(uprobe, binaries) {
            let error = uprobe::other_file(uprobe, file);
            report.push(
                Diagnostic { severity: Severity::Warning, ..error }.labelled("the policy goes on without it"),
            );
            let function = format!("{}:{}", file.path, uprobe.address);
            absent_hooks.push(absent_hook(one, function, Absent::OtherFile));
        }
    }
    let mode = policy.initial_mode();
    let resolved = Resolved { policy, mode, hooks, absent: absent_hooks, warnings: Vec::new() };
    report.finish(Some(resolved)).map(|(resolved, warnings)| Resolved { warnings, ..resolved })
}

fn absent_hook(hook: &Hook, function: String, why: Absent) -> AbsentHook {
    AbsentHook { function, why, section: hook.section(), entry: hook.entry }
}

/// Whether a hook that may be absent is not; others are reported where they are looked up.
fn is_here(hook: &Hook, Facts { kernel, binaries }: Facts<'_>) -> bool {
    match (hook.absence, &hook.kind.value) {
        (_, HookKind::Uprobe(uprobe)) => !uprobe::is_skipped(uprobe, binaries),
        (Absence::Refused, _)
        | (_, HookKind::Lsm(_) | HookKind::Tracepoint(_) | HookKind::Usdt(_) | HookKind::Loader) => true,
        (Absence::Warned | Absence::Expected, HookKind::Kprobe(function)) => {
            function::exists(function, kernel)
        }
    }
}

/// The hooks that one of the policy becomes: a static probe is one at each of its places.
fn hook(policy: &Policy, hook: &Hook, facts: Facts<'_>, report: &mut Report) -> Option<Vec<ResolvedHook>> {
    let kernel = facts.kernel;
    let program = match program_types::of(hook, facts.binaries) {
        Ok(program) => program,
        Err(error) => {
            report.push(*error);
            return None;
        }
    };
    let types = Types { kernel, program: program.as_ref() };
    // of a function that is not there nothing has a type, which is said when it is looked for
    let is_there =
        !matches!(&hook.kind.value, HookKind::Kprobe(function) if !function::exists(function, kernel));
    let untyped = hook.untyped.as_deref().filter(|_| is_there);
    let settled = untyped.map(|written| settle::settle(hook, written, types, report));
    let settled = settled.map_or(Some(None), |settled| settled.map(Some))?;
    let hook = settled.as_ref().unwrap_or(hook);
    let placed = match &hook.kind.value {
        HookKind::Kprobe(function) => function::place(policy, hook, function, kernel, report),
        HookKind::Loader => {
            // every mapping of a file passes it, at exec too
            let function = Function::Kernel("security_mmap_file".to_owned());
            function::place(policy, hook, &function, kernel, report)
        }
        HookKind::Lsm(name) => lsm::place(hook, name, kernel, report),
        HookKind::Tracepoint(one) => tracepoint::place(hook, one, kernel, report),
        HookKind::Uprobe(one) => {
            let (hook, placed) = uprobe::place(policy, hook, one, facts, report)?;
            return fitted(policy, &hook, Some(placed), (facts, types), report).map(|hook| vec![hook]);
        }
        HookKind::Usdt(one) => {
            let places = usdt::places(policy, hook, one, facts, report)?;
            return places
                .into_iter()
                .map(|(hook, placed)| fitted(policy, &hook, Some(placed), (facts, types), report))
                .collect();
        }
    };
    fitted(policy, hook, placed, (facts, types), report).map(|hook| vec![hook])
}

/// A hook that has its place, with all that does not depend on it.
fn fitted(
    policy: &Policy,
    hook: &Hook,
    placed: Option<Placed>,
    (facts, types): (Facts<'_>, Types<'_>),
    report: &mut Report,
) -> Option<ResolvedHook> {
    let kernel = facts.kernel;
    let classes = class::classes(&hook.selectors, policy.workload.as_ref(), report);
    let mut selectors = selectors(hook);
    let mut process_fits = true;
    for selector in &mut selectors {
        process_fits &= process::fit(&mut selector.process, kernel, report);
    }
    let (Placed { key, attachments, mut arguments }, classes) = (placed?, classes?);
    let mut returned = hook.returned.clone();
    reach::fill(hook, &mut arguments, returned.as_mut(), types, report)?;
    buffer::fill(hook, &mut arguments, returned.as_mut(), kernel, report)?;
    register::can_be_read(hook, &attachments, report)?;
    if !process_fits {
        return None;
    }
    Some(ResolvedHook {
        layout: layout::layout(policy, hook, &key),
        members: Vec::new(),
        key,
        attachments,
        arguments,
        returned,
        on_return: hook.on_return,
        selectors,
        classes: classes.tests,
        class_uses: classes.uses,
        section: hook.section(),
        entry: hook.entry,
        span: hook.span,
        hold: hold(hook, facts.binaries),
    })
}

/// What keeps the hooked file open.
fn hold(hook: &Hook, binaries: &Binaries) -> Option<Hold> {
    let path = match &hook.kind.value {
        HookKind::Uprobe(one) => &one.path,
        HookKind::Usdt(one) => &one.path,
        HookKind::Kprobe(_) | HookKind::Lsm(_) | HookKind::Tracepoint(_) | HookKind::Loader => return None,
    };
    binaries.get(path).ok().and_then(|file| file.hold.clone())
}

/// The selectors without what became class tests; a hook without selectors gets one that always matches.
fn selectors(hook: &Hook) -> Vec<Selector> {
    if hook.selectors.is_empty() {
        return vec![Selector::always(hook.span)];
    }
    let mut selectors = hook.selectors.clone();
    for selector in &mut selectors {
        selector.binaries.clear();
        selector.process.parents.clear();
        selector.workload = None;
        selector.pids.retain(|filter| !class::is_class(filter));
    }
    selectors
}
