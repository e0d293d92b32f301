//! What is attached for a hook, as `bpf_probes::attach` plans it.

use bpf_probes::attach::{self, Duty, Mechanism, Plan, PlanError};
use bpf_probes::kernel::KernelView;
use bpf_probes::spec::AttachSpec;

use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{Action, Attachment, Exactness, Function, Hook, HookKind, Place, Role, Told};
use crate::source::{Span, Spanned};

/// The first action of a hook that overrides.
fn overrides(hook: &Hook) -> Option<&Spanned<Action>> {
    let mut actions = hook.selectors.iter().flat_map(|selector| &selector.actions);
    let overrides = |action: &Action| {
        action.overrides() || matches!(action, Action::Enforce(Told::Errors | Told::ErrorsThatKill))
    };
    actions.find(|action| overrides(&action.value))
}

/// Whether a hook makes calls return what the policy says.
pub(super) fn does_override(hook: &Hook) -> bool {
    overrides(hook).is_some()
}

/// What the enforcer is told whose hook it is, if it is one's.
fn enforces(hook: &Hook) -> Option<Told> {
    let mut actions = hook.selectors.iter().flat_map(|selector| &selector.actions);
    actions.find_map(|action| if let Action::Enforce(told) = action.value { Some(told) } else { None })
}

/// Whether the hook is an enforcer's.
pub(super) fn is_enforcer(hook: &Hook) -> bool {
    enforces(hook).is_some()
}

/// What is due at a hook of an enforcer where calls cannot be made to fail, but who is to get an error is killed too; `None` where that is not so.
pub(super) fn lesser_duties(hook: &Hook) -> Option<Vec<Duty>> {
    (enforces(hook) == Some(Told::ErrorsThatKill)).then(|| vec![Duty::Report, Duty::Signal])
}

/// What is due at a hook.
pub(super) fn duties(hook: &Hook) -> Vec<Duty> {
    let mut actions =
        hook.selectors.iter().flat_map(|selector| selector.actions.iter().chain(&selector.return_actions));
    let signals = actions.any(|action| matches!(action.value, Action::Sigkill | Action::Signal(_)));
    match enforces(hook) {
        Some(Told::Signals) => return vec![Duty::Report, Duty::Signal],
        // what returns the error does the rest as well
        Some(Told::Errors | Told::ErrorsThatKill) => return vec![Duty::Override],
        None => {}
    }
    let mut due = vec![Duty::Report];
    due.extend(signals.then_some(Duty::Signal));
    due.extend(overrides(hook).is_some().then_some(Duty::Override));
    due.extend(hook.returns().then_some(Duty::ReportReturn));
    let mut places = hook.arguments.iter().map(|argument| argument.place);
    due.extend(places.any(|place| matches!(place, Place::Register(_))).then_some(Duty::ReadRegisters));
    due
}

/// The plan for a hook at a point; `None` when the report says why there is none.
pub(super) fn plan(
    hook: &Hook,
    point: &attach::Hook,
    kernel: &KernelView,
    report: &mut Report,
) -> Option<Plan> {
    let span = overrides(hook).map_or(hook.kind.span, |action| action.span);
    match attach::plan(point, kernel) {
        Ok(plan) => Some(plan),
        Err(error) => {
            report.push(refusal(&error, hook, span));
            None
        }
    }
}

/// The attachments of a hook at a point; `None` when the report says why there are none.
pub(super) fn attachments(
    hook: &Hook,
    point: &attach::Hook,
    kernel: &KernelView,
    report: &mut Report,
) -> Option<Vec<Attachment>> {
    let plan = plan(hook, point, kernel, report)?;
    if !values_can_be_returned(hook, &plan, report) {
        return None;
    }
    let attachments = translate(&plan, kernel);
    if attachments.is_none() {
        let span = overrides(hook).map_or(hook.kind.span, |action| action.span);
        let message = "this kernel needs a way of overriding that is not supported yet";
        report.push(
            Diagnostic::error(Code::NotSupportedYet, span, message)
                .help("use Sigkill, or override a security_* function"),
        );
    }
    attachments
}

/// Where the call's own return is not overridden, a hook on its way returns the value, which is an error then.
fn values_can_be_returned(hook: &Hook, plan: &Plan, report: &mut Report) -> bool {
    let injects =
        |attachment: &attach::Attachment| matches!(attachment.mechanism, Mechanism::KprobeOverride { .. });
    let is_syscall = matches!(hook.kind.value, HookKind::Kprobe(Function::Syscall { .. }));
    if !is_syscall || plan.attachments.iter().any(injects) {
        return true;
    }
    let mut can = true;
    for action in hook.selectors.iter().flat_map(|selector| &selector.actions) {
        let Action::Override(value) = action.value else { continue };
        if !value.is_errno() || value.get() == 0 {
            let message = format!(
                "on this kernel an overridden system call can return an error only, not {}",
                value.get()
            );
            let error = Diagnostic::error(Code::NotOnThisKernel, action.span, message);
            report.push(error.help("set `argError` to -1 to -4095, for example to -1 (EPERM)"));
            can = false;
        }
    }
    can
}

fn refusal(error: &PlanError, hook: &Hook, span: Span) -> Diagnostic {
    match error {
        PlanError::NoFunction { .. } => {
            Diagnostic::error(Code::NoSuchFunction, hook.kind.span, error.to_string())
        }
        PlanError::NoTracing { .. } => {
            Diagnostic::error(Code::NotOnThisKernel, hook.kind.span, error.to_string())
        }
        PlanError::NoDenial { .. } | PlanError::NoHookOnTheWay { .. } => {
            Diagnostic::error(Code::NotOnThisKernel, span, error.to_string())
        }
    }
}

/// The plan in the compiler's terms; `None` for roles that are not emitted yet.
pub(super) fn translate(plan: &Plan, kernel: &KernelView) -> Option<Vec<Attachment>> {
    let reason = reason(plan);
    let mut attachments = Vec::new();
    for attachment in &plan.attachments {
        let mechanism = &attachment.mechanism;
        let exactness = exactness(attachment, plan);
        let new = |target: AttachSpec, role: Role| Attachment {
            target,
            role,
            reason: reason.clone(),
            exactness: exactness.clone(),
        };
        match attachment.role {
            attach::Role::Decide => attachments.push(new(target(mechanism), Role::Report)),
            attach::Role::Deny => attachments.push(new(target(mechanism), Role::Deny)),
            attach::Role::DecideAndDeny => match mechanism {
                // the one that overrides first: of kprobes on one function the latest runs first
                Mechanism::KprobeOverride { .. } => {
                    attachments.push(new(target(mechanism), Role::Override));
                    attachments.push(new(target(mechanism), Role::ReportAndOverride));
                }
                // a kprobe reports every attempt, and its working memory cannot be shared with a trampoline
                Mechanism::FmodRet { function, .. } if kernel.has(bpf_probes::kernel::Feature::Kprobe) => {
                    let kprobe = AttachSpec::Kprobe { symbol: function.clone() };
                    attachments.push(Attachment { exactness: Exactness::Exact, ..new(kprobe, Role::Report) });
                    attachments.push(new(target(mechanism), Role::Deny));
                }
                // likewise
                Mechanism::Uprobe { .. } | Mechanism::UprobeMulti { .. } => {
                    attachments.push(new(target(mechanism), Role::Override));
                    attachments.push(new(target(mechanism), Role::ReportAndOverride));
                }
                Mechanism::FmodRet { .. }
                | Mechanism::Kprobe { .. }
                | Mechanism::Kretprobe { .. }
                | Mechanism::Fentry { .. }
                | Mechanism::Fexit { .. }
                | Mechanism::Lsm { .. }
                | Mechanism::RawTracepoint { .. }
                | Mechanism::Tracepoint { .. } => return None,
            },
            attach::Role::NoteDenial => attachments.push(new(target(mechanism), Role::ReportAndNote)),
            attach::Role::ReturnNoted => attachments.push(new(target(mechanism), Role::DenyNoted)),
            attach::Role::ClearNoted => attachments.push(new(target(mechanism), Role::Forget)),
            attach::Role::KillEscaped => attachments.push(new(target(mechanism), Role::ForgetAndKill)),
            // which arguments, the hook says
            attach::Role::FaultIn => attachments.push(new(target(mechanism), Role::FaultIn { arguments: 0 })),
            attach::Role::ReportReturn => attachments.push(new(target(mechanism), Role::Return)),
        }
    }
    Some(attachments)
}

/// Why the plan is what it is.
pub(super) fn reason(plan: &Plan) -> String {
    let reasons: Vec<String> = plan.reasons.iter().map(ToString::to_string).collect();
    reasons.join("; ")
}

fn exactness(attachment: &attach::Attachment, plan: &Plan) -> Exactness {
    let mechanism = &attachment.mechanism;
    let is_bounded = attachment.role == attach::Role::ReportReturn
        && matches!(
            mechanism,
            Mechanism::Kretprobe { .. } | Mechanism::Uprobe { .. } | Mechanism::UprobeMulti { .. }
        );
    let is_tracepoint = matches!(mechanism, Mechanism::RawTracepoint { .. } | Mechanism::Tracepoint { .. });
    let can_miss = mechanism.is_trampoline() || is_tracepoint || is_bounded;
    if plan.exactness == attach::Exactness::MayMiss && can_miss {
        let reasons = plan.reasons.iter().map(ToString::to_string);
        return Exactness::CanMiss(reasons.collect::<Vec<_>>().join("; "));
    }
    Exactness::Exact
}

fn target(mechanism: &Mechanism) -> AttachSpec {
    match mechanism {
        Mechanism::Kprobe { function } | Mechanism::KprobeOverride { function } => {
            AttachSpec::Kprobe { symbol: function.clone() }
        }
        Mechanism::Kretprobe { function } => AttachSpec::Kretprobe { symbol: function.clone() },
        Mechanism::Fentry { function, .. } => AttachSpec::Fentry { function: function.clone() },
        Mechanism::Fexit { function, .. } => AttachSpec::Fexit { function: function.clone() },
        Mechanism::FmodRet { function, .. } => AttachSpec::FmodRet { function: function.clone() },
        Mechanism::Lsm { hook, .. } => AttachSpec::Lsm { hook: hook.clone() },
        Mechanism::Tracepoint { event, raw: true, .. } => AttachSpec::RawTracepoint { name: event.clone() },
        Mechanism::Tracepoint { subsystem, event, raw: false } => {
            AttachSpec::Tracepoint { category: subsystem.clone(), name: event.clone() }
        }
        Mechanism::RawTracepoint { name } => AttachSpec::RawTracepoint { name: (*name).to_owned() },
        Mechanism::Uprobe { place, end } => AttachSpec::Uprobe { place: Box::new(place.clone()), end: *end },
        Mechanism::UprobeMulti { place, end } => {
            AttachSpec::UprobeMulti { place: Box::new(place.clone()), further: Vec::new(), end: *end }
        }
    }
}
