//! Hooks on all functions that match a pattern become one hook for each.

use bpf_probes::kernel::KernelView;
use regex::RegexBuilder;

use crate::check::PATTERN_BYTES;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{Function, Hook, HookKind, SyscallAbi};
use crate::source::Spanned;

/// Most functions that one pattern may stand for.
const MAX_FUNCTIONS: usize = 8192;

/// The wrappers of system calls, whose arguments lie in the registers of user space.
const WRAPPERS: [(&str, SyscallAbi); 3] = [
    ("__x64_sys_", SyscallAbi::X64),
    ("__ia32_compat_sys_", SyscallAbi::Ia32Compat),
    ("__ia32_sys_", SyscallAbi::Ia32),
];

/// Puts the functions of this kernel in the place of patterns.
pub(super) fn expand(hooks: &mut Vec<Hook>, kernel: &KernelView, report: &mut Report) {
    let is_pattern = |hook: &Hook| matches!(hook.kind.value, HookKind::Kprobe(Function::Matching(_)));
    if !hooks.iter().any(is_pattern) {
        return;
    }
    for hook in std::mem::take(hooks) {
        let HookKind::Kprobe(Function::Matching(pattern)) = &hook.kind.value else {
            hooks.push(hook);
            continue;
        };
        for function in functions(pattern, &hook, kernel, report) {
            let kind = Spanned::new(HookKind::Kprobe(function), hook.kind.span);
            hooks.push(Hook { kind, ..hook.clone() });
        }
    }
}

fn functions(pattern: &str, hook: &Hook, kernel: &KernelView, report: &mut Report) -> Vec<Function> {
    let span = hook.kind.span;
    // it was compiled once when the policy was checked
    let Ok(regex) = RegexBuilder::new(pattern).size_limit(PATTERN_BYTES).build() else {
        report.push(Diagnostic::error(Code::BadSymbol, span, "the pattern is no regular expression"));
        return Vec::new();
    };
    let names = kernel.functions_where(|name| regex.is_match(name));
    if names.is_empty() {
        let message = format!("no function of kernel {} matches `{pattern}`", kernel.release());
        report.push(Diagnostic::error(Code::NoSuchFunction, span, message));
    }
    if names.len() > MAX_FUNCTIONS {
        let message =
            format!("{} functions match `{pattern}`, at most {MAX_FUNCTIONS} can be hooked", names.len());
        report
            .push(Diagnostic::error(Code::NotOnThisKernel, span, message).help("make the pattern narrower"));
        return Vec::new();
    }
    names.into_iter().map(function).collect()
}

fn function(symbol: String) -> Function {
    let call = WRAPPERS.iter().find_map(|(prefix, abi)| Some((symbol.strip_prefix(prefix)?, *abi)));
    match call {
        Some((name, abi)) => Function::Syscall { name: name.to_owned(), abi },
        None => Function::Kernel(symbol),
    }
}
