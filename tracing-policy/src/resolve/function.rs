//! Kprobes: which function it is on this kernel, and how its arguments are passed.

use bpf_probes::attach;
use bpf_probes::kernel::{KernelView, SyscallName, Traceable};

use super::policy::Placed;
use super::{argument, mechanism};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{Convention, Function, Hook, HookKey, SyscallAbi};

/// Where a kprobe attaches; `None` when the report says why it cannot.
pub(super) fn place(
    hook: &Hook,
    function: &Function,
    kernel: &KernelView,
    report: &mut Report,
) -> Option<Placed> {
    let key = key(hook, function, report)?;
    let fits = argument::fit(hook, function, &key, kernel, report)
        & argument::fit_return(hook, &key, kernel, report);
    let due = mechanism::duties(hook);
    let point = match (function, syscall_name(function)) {
        (_, Some(name)) => attach::Hook::syscall(name, &due),
        (Function::Kernel(symbol), _) => attach::Hook::function(symbol.clone(), &due),
        (Function::Syscall { name, .. }, None) => attach::Hook::function(name.clone(), &due),
    };
    let attachments = mechanism::attachments(hook, &point, kernel, report)?;
    fits.then(|| Placed { key, attachments, arguments: hook.arguments.clone() })
}

/// Whether this kernel has the function.
pub(super) fn exists(function: &Function, kernel: &KernelView) -> bool {
    let symbol = match function {
        Function::Kernel(symbol) => Some(symbol.clone()),
        Function::Syscall { .. } => {
            syscall_name(function).filter(|name| name.known().is_some()).map(|name| name.symbol())
        }
    };
    symbol.is_some_and(|symbol| kernel.traceable(&symbol) != Traceable::Absent)
}

/// The system call as the kernel's tables name it; `None` for a function.
pub(super) fn syscall_name(function: &Function) -> Option<SyscallName> {
    let Function::Syscall { name, abi } = function else {
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
fn key(hook: &Hook, function: &Function, report: &mut Report) -> Option<HookKey> {
    let span = hook.kind.span;
    match function {
        Function::Kernel(symbol) => {
            Some(HookKey { function: symbol.clone(), convention: Convention::Function })
        }
        Function::Syscall { abi: SyscallAbi::Ia32 | SyscallAbi::Ia32Compat, .. } => {
            let message = "system calls of 32-bit programs are not supported yet";
            report.push(Diagnostic::error(Code::NotSupportedYet, span, message));
            None
        }
        Function::Syscall { name, .. } => {
            let known = syscall_name(function);
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
