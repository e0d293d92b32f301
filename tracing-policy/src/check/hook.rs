//! Hooks.

use super::{argument, selector, text, unsupported};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{Function, Kprobe, SyscallAbi};
use crate::schema;
use crate::source::Spanned;

/// Longest symbol of a kernel (include/linux/kallsyms.h: `KSYM_NAME_LEN`, 6.1).
const MAX_SYMBOL: usize = 511;

/// The entry names of system calls, by the door they belong to.
const SYSCALL_PREFIXES: [(&str, SyscallAbi); 5] = [
    ("sys_", SyscallAbi::Native),
    ("__x64_sys_", SyscallAbi::X64),
    ("__ia32_sys_", SyscallAbi::Ia32),
    ("__ia32_compat_sys_", SyscallAbi::Ia32Compat),
    ("__arm64_sys_", SyscallAbi::Arm64),
];

/// A kprobe. `None` when the report has an error about it.
pub(super) fn kprobe(hook: schema::Kprobe, report: &mut Report) -> Option<Kprobe> {
    unsupported::kprobe(&hook, report);
    let function = function(&hook.call, &hook.syscall, report);
    let arguments = argument::arguments(&hook.args, report);
    let target = function.as_ref().map(|function| &function.value);
    let selectors = selector::selectors(hook.selectors, &arguments, target, report);
    let message = text::message(hook.message, report);
    let tags = text::tags(hook.tags, report);
    let arguments = arguments.complete();
    let (function, arguments, selectors) = (function?, arguments?, selectors?);
    Some(Kprobe { function, arguments, selectors, message, tags, span: hook.span })
}

fn function(
    call: &Spanned<String>,
    syscall: &Spanned<bool>,
    report: &mut Report,
) -> Option<Spanned<Function>> {
    let symbol = call.value.as_str();
    if symbol.starts_with("list:") {
        unsupported::refuse("a list as `call`", call.span, report);
        return None;
    }
    if let Some(problem) = symbol_problem(symbol) {
        report.push(Diagnostic::error(Code::BadSymbol, call.span, problem));
        return None;
    }
    if !syscall.value {
        return Some(Spanned::new(Function::Kernel(symbol.to_owned()), call.span));
    }
    let found = SYSCALL_PREFIXES
        .iter()
        .find_map(|(prefix, abi)| Some((symbol.strip_prefix(prefix).filter(|name| !name.is_empty())?, *abi)));
    let Some((name, abi)) = found else {
        let message = format!("`{symbol}` is not the name of a system call");
        let mut error = Diagnostic::error(Code::NotASyscall, call.span, message);
        error = if syscall.span.is_empty() {
            error.help(format!(
                "`syscall` is true unless it is set: add `syscall: false` for a kernel function, or write `sys_{symbol}`"
            ))
        } else {
            error.also(syscall.span, "set here").help(format!("set it to false, or write `sys_{symbol}`"))
        };
        report.push(error);
        return None;
    };
    Some(Spanned::new(Function::Syscall { name: name.to_owned(), abi }, call.span))
}

/// What is wrong with a symbol, if anything.
fn symbol_problem(symbol: &str) -> Option<String> {
    // Compilers add suffixes such as `.isra.0` and `.constprop.0`, LLVM `$hash`.
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '$');
    if symbol.is_empty() {
        return Some("a symbol is missing".to_owned());
    }
    if symbol.len() > MAX_SYMBOL {
        return Some(format!("a symbol has at most {MAX_SYMBOL} characters, this one has {}", symbol.len()));
    }
    let bad = symbol.chars().find(|&c| !legal(c));
    if let Some(bad) = bad {
        return Some(format!("{bad:?} cannot be part of a symbol"));
    }
    symbol
        .starts_with(|c: char| c.is_ascii_digit())
        .then(|| "a symbol does not start with a digit".to_owned())
}
