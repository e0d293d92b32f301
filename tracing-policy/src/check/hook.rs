//! Hooks.

use super::list::Lists;
use super::section::{Section, Target};
use super::{argument, returning, selector, text, untyped};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{Absence, Function, Hook, HookKind, Means, SyscallAbi};
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

/// The hooks of a kprobe: one for each function that its call stands for. `None` when the report has an error about it.
pub(super) fn kprobe(
    hook: schema::Kprobe,
    means: Means,
    lists: &Lists<'_>,
    report: &mut Report,
) -> Option<Vec<Hook>> {
    let Some((stripped, untyped)) = untyped::kprobe(&hook) else {
        return typed_kprobe(hook, means, lists, report);
    };
    let mut hooks = untyped::first(report, |own| typed_kprobe(stripped, means, lists, own))?;
    for hook in &mut hooks {
        hook.untyped = Some(Box::new(untyped.clone()));
    }
    Some(hooks)
}

/// Checks a kprobe whose types have been filled in, at one of its functions.
pub(crate) fn settled(written: schema::Kprobe, at: &Hook, report: &mut Report) -> Option<Hook> {
    let HookKind::Kprobe(function) = &at.kind.value else { return None };
    let (call, syscall) = match function {
        Function::Kernel(symbol) => (symbol.clone(), false),
        Function::Syscall { name, abi } => {
            let prefix = SYSCALL_PREFIXES.iter().find(|(_, known)| known == abi).map_or("sys_", |(it, _)| it);
            (format!("{prefix}{name}"), true)
        }
        // it has become functions
        Function::Matching(_) => return None,
    };
    let written = schema::Kprobe {
        call: Spanned::new(call, at.kind.span),
        syscall: Spanned::new(syscall, written.syscall.span),
        ..written
    };
    let hook = untyped::again(report, |own| {
        typed_kprobe(written, at.means, &Lists::default(), own).and_then(|hooks| hooks.into_iter().next())
    });
    hook.map(|hook| Hook { absence: at.absence, kind: at.kind.clone(), ..hook })
}

fn typed_kprobe(
    hook: schema::Kprobe,
    means: Means,
    lists: &Lists<'_>,
    report: &mut Report,
) -> Option<Vec<Hook>> {
    let section = match means {
        Means::Any => Section::Kprobes,
        Means::Trampoline => Section::Fentries,
    };
    let calls = lists.calls(&hook.call, &hook.syscall, report);
    let ignored =
        hook.ignore.as_ref().and_then(|ignore| ignore.call_not_found.as_ref()).is_some_and(|on| on.value);
    let kinds: Vec<Spanned<HookKind>> = calls
        .iter()
        .flat_map(|calls| &calls.functions)
        .map(|function| Spanned::new(HookKind::Kprobe(function.value.clone()), function.span))
        .collect();
    // what is asked of actions is the same for all but functions of security modules, and those ask more
    let strictest = kinds.iter().find(|kind| is_security(&kind.value)).or(kinds.first());
    let returned = returning::value(hook.returns.as_ref(), hook.return_arg.as_ref(), section, report);
    let on_return = returning::tracking(&hook, returned.as_ref(), report);
    let arguments = argument::arguments(&hook.args, section, report);
    let arguments = arguments.with_data(&hook.data, report).with_return(returned);
    let target = Target { section, kind: strictest.map(|kind| &kind.value) };
    let selectors = selector::selectors(hook.selectors, &arguments, target, report);
    let message = text::message(hook.message, report);
    let tags = text::tags(hook.tags, report);
    let arguments = arguments.complete_with_return();
    let (calls, (arguments, returned), selectors) = (calls?, arguments?, selectors?);
    let warned = ignored && calls.absence == Absence::Refused;
    let absence = if warned { Absence::Warned } else { calls.absence };
    let hook = |kind| Hook {
        kind,
        absence,
        means,
        arguments: arguments.clone(),
        returned: returned.clone(),
        on_return,
        selectors: selectors.clone(),
        message: message.clone(),
        tags: tags.clone(),
        untyped: None,
        entry: 0,
        span: hook.span,
    };
    Some(kinds.into_iter().map(hook).collect())
}

fn is_security(kind: &HookKind) -> bool {
    matches!(kind, HookKind::Kprobe(Function::Kernel(symbol)) if symbol.starts_with("security_"))
}

/// An LSM hook. `None` when the report has an error about it.
pub(super) fn lsm(hook: schema::LsmHook, report: &mut Report) -> Option<Hook> {
    let Some((stripped, untyped)) = untyped::lsm(&hook) else { return typed_lsm(hook, report) };
    let hook = untyped::first(report, |own| typed_lsm(stripped, own))?;
    Some(Hook { untyped: Some(Box::new(untyped)), ..hook })
}

/// Checks an LSM hook whose types have been filled in.
pub(crate) fn settled_lsm(written: schema::LsmHook, report: &mut Report) -> Option<Hook> {
    untyped::again(report, |own| typed_lsm(written, own))
}

fn typed_lsm(hook: schema::LsmHook, report: &mut Report) -> Option<Hook> {
    let name = lsm_name(&hook.hook, report);
    let arguments = argument::arguments(&hook.args, Section::LsmHooks, report);
    let target = Target { section: Section::LsmHooks, kind: name.as_ref().map(|name| &name.value) };
    let selectors = selector::selectors(hook.selectors, &arguments, target, report);
    let message = text::message(hook.message, report);
    let tags = text::tags(hook.tags, report);
    let arguments = arguments.complete();
    Some(Hook {
        kind: name?,
        absence: Absence::Refused,
        means: Means::Any,
        arguments: arguments?,
        returned: None,
        on_return: None,
        selectors: selectors?,
        message,
        tags,
        untyped: None,
        entry: 0,
        span: hook.span,
    })
}

fn lsm_name(hook: &Spanned<String>, report: &mut Report) -> Option<Spanned<HookKind>> {
    if let Some(problem) = symbol_problem(&hook.value) {
        report.push(Diagnostic::error(Code::BadSymbol, hook.span, problem));
        return None;
    }
    for prefix in ["security_", "bpf_lsm_"] {
        if let Some(name) = hook.value.strip_prefix(prefix) {
            let message = format!("an LSM hook is written without `{prefix}`");
            report
                .push(Diagnostic::error(Code::BadSymbol, hook.span, message).help(format!("write `{name}`")));
            return None;
        }
    }
    Some(Spanned::new(HookKind::Lsm(hook.value.clone()), hook.span))
}

/// The function that a call names.
pub(super) fn function(
    call: &Spanned<String>,
    syscall: &Spanned<bool>,
    report: &mut Report,
) -> Option<Spanned<Function>> {
    let symbol = call.value.as_str();
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
pub(super) fn symbol_problem(symbol: &str) -> Option<String> {
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
