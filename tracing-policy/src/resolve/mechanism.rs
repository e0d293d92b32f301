//! Where and how a hook attaches, as `bpf_probes::attach` plans it.

use bpf_probes::attach::{self, Duty, Hook, Mechanism, Plan, PlanError};
use bpf_probes::kernel::{KernelView, SyscallName};
use bpf_probes::spec::AttachSpec;

use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{Action, Attachment, Convention, Exactness, Function, HookKey, Kprobe, Role, SyscallAbi};

/// The hooked system call as the kernel's tables name it; `None` for a function.
pub(super) fn syscall_name(kprobe: &Kprobe) -> Option<SyscallName> {
    let Function::Syscall { name, abi } = &kprobe.function.value else {
        return None;
    };
    let written = match abi {
        SyscallAbi::Native => format!("sys_{name}"),
        SyscallAbi::X64 => format!("__x64_sys_{name}"),
        SyscallAbi::Ia32 | SyscallAbi::Ia32Compat => format!("__ia32_sys_{name}"),
        SyscallAbi::Arm64 => format!("__arm64_sys_{name}"),
    };
    SyscallName::parse(&written).ok()
}

/// What the hook shares with those of other policies.
pub(super) fn key(kprobe: &Kprobe, report: &mut Report) -> Option<HookKey> {
    let span = kprobe.function.span;
    match &kprobe.function.value {
        Function::Kernel(symbol) => {
            Some(HookKey { function: symbol.clone(), convention: Convention::Function })
        }
        Function::Syscall { abi: SyscallAbi::Ia32 | SyscallAbi::Ia32Compat, .. } => {
            let message = "system calls of 32-bit programs are not supported yet";
            report.push(Diagnostic::error(Code::NotSupportedYet, span, message));
            None
        }
        Function::Syscall { name, .. } => {
            let known = syscall_name(kprobe);
            let number = known.as_ref().and_then(SyscallName::known).map(|call| call.number);
            let (Some(known), Some(number)) = (known, number) else {
                let message = format!("`{name}` is no system call of this machine");
                report.push(Diagnostic::error(Code::NoSuchFunction, span, message));
                return None;
            };
            Some(HookKey { function: known.symbol(), convention: Convention::Syscall { number } })
        }
    }
}

/// The attachments of a hook; `None` when the report says why there are none.
pub(super) fn attachments(
    kprobe: &Kprobe,
    kernel: &KernelView,
    report: &mut Report,
) -> Option<Vec<Attachment>> {
    let actions = || kprobe.selectors.iter().flat_map(|selector| &selector.actions);
    let overrides = actions().find(|action| matches!(action.value, Action::Override(_)));
    let signals = actions().any(|action| matches!(action.value, Action::Sigkill | Action::Signal(_)));
    let mut due = vec![Duty::Report];
    due.extend(signals.then_some(Duty::Signal));
    due.extend(overrides.is_some().then_some(Duty::Override));
    let hook = match (&kprobe.function.value, syscall_name(kprobe)) {
        (_, Some(name)) => Hook::syscall(name, &due),
        (Function::Kernel(symbol), _) => Hook::function(symbol.clone(), &due),
        (Function::Syscall { name, .. }, None) => Hook::function(name.clone(), &due),
    };
    let span = overrides.map_or(kprobe.function.span, |action| action.span);
    match attach::plan(&hook, kernel) {
        Ok(plan) => {
            if !values_can_be_returned(kprobe, &plan, report) {
                return None;
            }
            translate(&plan, kernel).or_else(|| {
                let message = "this kernel needs a way of overriding that is not supported yet";
                report.push(
                    Diagnostic::error(Code::NotSupportedYet, span, message)
                        .help("use Sigkill, or override a security_* function"),
                );
                None
            })
        }
        Err(error) => {
            report.push(refusal(&error, kprobe, span));
            None
        }
    }
}

/// Where the call's own return is not overridden, a hook on its way returns the value, which is an error then.
fn values_can_be_returned(kprobe: &Kprobe, plan: &Plan, report: &mut Report) -> bool {
    let injects =
        |attachment: &attach::Attachment| matches!(attachment.mechanism, Mechanism::KprobeOverride { .. });
    if matches!(kprobe.function.value, Function::Kernel(_)) || plan.attachments.iter().any(injects) {
        return true;
    }
    let mut can = true;
    for action in kprobe.selectors.iter().flat_map(|selector| &selector.actions) {
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

fn refusal(error: &PlanError, kprobe: &Kprobe, span: crate::source::Span) -> Diagnostic {
    match error {
        PlanError::NoFunction { .. } => {
            Diagnostic::error(Code::NoSuchFunction, kprobe.function.span, error.to_string())
        }
        PlanError::NoTracing { .. } => {
            Diagnostic::error(Code::NotOnThisKernel, kprobe.function.span, error.to_string())
        }
        PlanError::NoDenial { .. } | PlanError::NoHookOnTheWay { .. } => {
            Diagnostic::error(Code::NotOnThisKernel, span, error.to_string())
        }
    }
}

/// The plan in the compiler's terms; `None` for roles that are not emitted yet.
fn translate(plan: &Plan, kernel: &KernelView) -> Option<Vec<Attachment>> {
    let reason: Vec<String> = plan.reasons.iter().map(ToString::to_string).collect();
    let reason = reason.join("; ");
    let mut attachments = Vec::new();
    for attachment in &plan.attachments {
        let mechanism = &attachment.mechanism;
        let exactness = exactness(mechanism, plan);
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
                Mechanism::FmodRet { .. }
                | Mechanism::Kprobe { .. }
                | Mechanism::Kretprobe { .. }
                | Mechanism::Fentry { .. }
                | Mechanism::Fexit { .. }
                | Mechanism::Lsm { .. }
                | Mechanism::RawTracepoint { .. } => return None,
            },
            attach::Role::NoteDenial => attachments.push(new(target(mechanism), Role::ReportAndNote)),
            attach::Role::ReturnNoted => attachments.push(new(target(mechanism), Role::DenyNoted)),
            attach::Role::ClearNoted => attachments.push(new(target(mechanism), Role::Forget)),
            attach::Role::KillEscaped => attachments.push(new(target(mechanism), Role::ForgetAndKill)),
            attach::Role::ReportReturn => return None,
        }
    }
    Some(attachments)
}

fn exactness(mechanism: &Mechanism, plan: &Plan) -> Exactness {
    let can_miss = mechanism.is_trampoline() || matches!(mechanism, Mechanism::RawTracepoint { .. });
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
        Mechanism::RawTracepoint { name } => AttachSpec::RawTracepoint { name: (*name).to_owned() },
    }
}
