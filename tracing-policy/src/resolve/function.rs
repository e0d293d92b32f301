//! Kprobes: which function it is on this kernel, and how its arguments are passed.

use bpf_probes::attach::{self, Duty};
use bpf_probes::kernel::{I386Call, KernelView, SyscallName, Traceable};
use bpf_probes::spec::AttachSpec;

use super::policy::Placed;
use super::{argument, mechanism};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{
    Absence, Attachment, Convention, Function, Hook, HookKey, Means, OverrideMethod, Policy, Role, SyscallAbi,
};

/// Where a kprobe attaches; `None` when the report says why it cannot.
pub(super) fn place(
    policy: &Policy,
    hook: &Hook,
    function: &Function,
    kernel: &KernelView,
    report: &mut Report,
) -> Option<Placed> {
    let key = key(hook, function, kernel, report)?;
    let fits = fits(hook, function, &key, kernel, report) & argument::fit_return(hook, &key, kernel, report);
    let point = |due: &[Duty]| match syscall_name(function, kernel) {
        call if hook.means == Means::Trampoline => attach::Hook::fentry(key.function.clone(), call, due),
        Some(name) => attach::Hook::syscall(name, due),
        None => attach::Hook::function(key.function.clone(), due),
    };
    let mut duties = mechanism::duties(hook);
    if policy.override_method.as_ref().is_some_and(|method| method.value == OverrideMethod::OnTheWay) {
        duties.push(Duty::AvoidErrorInjection);
    }
    let due = point(&duties);
    let attachments = match mechanism::lesser_duties(hook) {
        None => mechanism::attachments(hook, &due, kernel, report)?,
        Some(lesser) => {
            // what stands in the way of the error does not matter then
            let best = mechanism::attachments(hook, &due, kernel, &mut Report::default());
            if best.is_none() {
                let message = format!(
                    "{function} cannot be made to fail on this kernel: its caller is killed when it returns"
                );
                report.push(Diagnostic::warning(Code::NotOnThisKernel, hook.kind.span, message));
            }
            best.or_else(|| mechanism::attachments(hook, &point(&lesser), kernel, report))?
        }
    };
    if mechanism::is_enforcer(hook)
        && attachments.iter().any(|one| matches!(one.target, AttachSpec::RawTracepoint { .. }))
    {
        let message =
            format!("an enforcer of {function} needs kprobes, which this kernel does not let us use");
        report.push(Diagnostic::error(Code::NotOnThisKernel, hook.kind.span, message));
        return None;
    }
    tell_of_other_method(policy, hook, function, &attachments, report);
    fits.then(|| Placed { key, attachments, arguments: hook.arguments.clone() })
}

/// Warns where a system call is overridden otherwise than the policy asks for.
fn tell_of_other_method(
    policy: &Policy,
    hook: &Hook,
    function: &Function,
    attachments: &[Attachment],
    report: &mut Report,
) {
    let Some(asked) = policy.override_method.as_ref() else { return };
    if !matches!(function, Function::Syscall { .. }) || !mechanism::does_override(hook) {
        return;
    }
    let injects = attachments.iter().any(|attachment| attachment.role == Role::Override);
    let message = match (asked.value, injects) {
        (OverrideMethod::OnTheWay, true) => "this kernel can deny it only by replacing what it returns",
        (OverrideMethod::ReturnValue, false) => {
            "this kernel cannot replace what it returns, and denies it on its way"
        }
        (OverrideMethod::OnTheWay, false) | (OverrideMethod::ReturnValue, true) => return,
    };
    let warning = Diagnostic::warning(Code::NotOnThisKernel, asked.span, format!("{function}: {message}"));
    report.push(warning.labelled("has no effect here"));
}

/// Whether the arguments fit. Where functions come from a list of whatever there is, those with fewer parameters show what their registers hold.
pub(super) fn fits(
    hook: &Hook,
    function: &Function,
    key: &HookKey,
    kernel: &KernelView,
    report: &mut Report,
) -> bool {
    hook.absence == Absence::Expected || argument::fit(hook, function, key, kernel, report)
}

/// Whether this kernel has the function.
pub(super) fn exists(function: &Function, kernel: &KernelView) -> bool {
    let symbol = match function {
        Function::Kernel(symbol) => Some(symbol.clone()),
        Function::Syscall { .. } => syscall_name(function, kernel)
            .filter(|name| name.known().is_some() || is_32_bit(function))
            .map(|name| name.symbol()),
        // it has become functions, or nothing
        Function::Matching(_) => None,
    };
    symbol.is_some_and(|symbol| kernel.traceable(&symbol) != Traceable::Absent)
}

const fn is_32_bit(function: &Function) -> bool {
    matches!(
        function,
        Function::Syscall { abi: SyscallAbi::I386 | SyscallAbi::Ia32 | SyscallAbi::Ia32Compat, .. }
    )
}

/// The call of 32-bit programs that is meant.
fn i386_call(name: &str, abi: SyscallAbi) -> Option<I386Call> {
    match abi {
        SyscallAbi::I386 => I386Call::named(name),
        SyscallAbi::Ia32 | SyscallAbi::Ia32Compat => I386Call::served_by(name),
        SyscallAbi::Native | SyscallAbi::X64 | SyscallAbi::Arm64 => None,
    }
}

/// The system call as the kernel's tables name it; `None` for a function, and for a call of 32-bit programs that the kernel does not serve.
pub(super) fn syscall_name(function: &Function, kernel: &KernelView) -> Option<SyscallName> {
    let Function::Syscall { name, abi } = function else {
        return None;
    };
    let written = match abi {
        SyscallAbi::Native => format!("sys_{name}"),
        SyscallAbi::X64 => format!("__x64_sys_{name}"),
        SyscallAbi::Arm64 => format!("__arm64_sys_{name}"),
        SyscallAbi::I386 | SyscallAbi::Ia32 | SyscallAbi::Ia32Compat => {
            return SyscallName::of_i386(i386_call(name, *abi)?, kernel);
        }
    };
    SyscallName::parse(&written).ok()
}

/// What the hook shares with those of other policies.
pub(super) fn key(
    hook: &Hook,
    function: &Function,
    kernel: &KernelView,
    report: &mut Report,
) -> Option<HookKey> {
    let (name, abi) = match function {
        Function::Kernel(symbol) | Function::Matching(symbol) => {
            return Some(HookKey { function: symbol.clone(), convention: Convention::Function });
        }
        Function::Syscall { name, abi } => (name, *abi),
    };
    let known = syscall_name(function, kernel);
    let convention = if is_32_bit(function) {
        i386_call(name, abi).map(|call| Convention::Syscall32 { number: call.number })
    } else {
        known.as_ref().and_then(SyscallName::known).map(|call| Convention::Syscall { number: call.number })
    };
    match (known, convention) {
        (Some(known), Some(convention)) => Some(HookKey { function: known.symbol(), convention }),
        (None, Some(Convention::Syscall32 { .. })) => {
            let message = format!("kernel {} does not serve `{name}` to 32-bit programs", kernel.release());
            report.push(Diagnostic::error(Code::NoSuchFunction, hook.kind.span, message));
            None
        }
        _ => {
            let message = format!("`{name}` is no system call of this machine");
            report.push(Diagnostic::error(Code::NoSuchFunction, hook.kind.span, message));
            None
        }
    }
}
