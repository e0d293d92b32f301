//! `spec.lists`, and the calls that `list:NAME` stands for.

use bpf_probes::kernel::Syscall;
use regex::RegexBuilder;

use super::hook::{function, symbol_problem};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{Absence, Function, SyscallAbi};
use crate::schema::{List, ListType};
use crate::source::{Span, Spanned};

/// How a call names a list.
const PREFIX: &str = "list:";

/// Most bytes that a pattern may take when compiled.
pub(crate) const PATTERN_BYTES: usize = 1 << 20;

/// The lists of a policy.
#[derive(Debug, Default)]
pub(super) struct Lists<'a> {
    pub(super) lists: &'a [List],
}

/// The functions that a call stands for.
#[derive(Debug)]
pub(super) struct Calls {
    /// One or more; each at its place in the text.
    pub(super) functions: Vec<Spanned<Function>>,
    /// What to do about one that a kernel lacks.
    pub(super) absence: Absence,
}

impl<'a> Lists<'a> {
    /// Checks the lists; their values are checked where they are used.
    pub(super) fn of(lists: &'a [List], report: &mut Report) -> Self {
        for (at, list) in lists.iter().enumerate() {
            let name = &list.name;
            if let Some(first) = lists.iter().take(at).find(|other| other.name.value == name.value) {
                let error = Diagnostic::error(
                    Code::DuplicateKey,
                    name.span,
                    format!("list `{}` is there twice", name.value),
                );
                report.push(error.also(first.name.span, "first here"));
            }
            let ty = list.ty.as_ref();
            let generated =
                ty.filter(|ty| matches!(ty.value, ListType::GeneratedSyscalls | ListType::GeneratedFtrace));
            match (generated, list.values.first()) {
                (Some(ty), Some(first)) => {
                    let error =
                        Diagnostic::error(Code::WrongType, first.span, "a generated list has no values");
                    report.push(error.also(ty.span, "generated").help("leave `values` or `type` out"));
                }
                (None, None) => {
                    let error = Diagnostic::error(
                        Code::NoValues,
                        list.span,
                        format!("list `{}` is empty", name.value),
                    );
                    report.push(error.help("add `values:`, or a `type:` that is generated"));
                }
                (Some(_), None) | (None, Some(_)) => {}
            }
        }
        Self { lists }
    }

    /// What `call` stands for; `None` when the report says what is wrong.
    pub(super) fn calls(
        &self,
        call: &Spanned<String>,
        syscall: &Spanned<bool>,
        report: &mut Report,
    ) -> Option<Calls> {
        let Some(name) = call.value.strip_prefix(PREFIX) else {
            let functions = vec![function(call, syscall, report)?];
            return Some(Calls { functions, absence: Absence::Refused });
        };
        let Some(list) = self.lists.iter().find(|list| list.name.value == name) else {
            let error = Diagnostic::error(Code::UnknownWord, call.span, format!("there is no list `{name}`"));
            report.push(error.help(self.describe()));
            return None;
        };
        let ty = list.ty.as_ref().map(|ty| (ty.value, ty.span));
        match ty {
            None | Some((ListType::Plain, _)) => explicit(&list.values, syscall, report),
            Some((ListType::Syscalls, span)) => {
                let values: Vec<_> =
                    list.values.iter().map(|value| system_call(value, span, report)).collect();
                let functions = values.into_iter().collect::<Option<Vec<_>>>()?;
                (!functions.is_empty()).then_some(Calls { functions, absence: Absence::Refused })
            }
            Some((ListType::GeneratedSyscalls, _)) => {
                let every = Syscall::all().iter().map(|syscall| {
                    let name = syscall.wrapper.to_owned();
                    Spanned::new(Function::Syscall { name, abi: SyscallAbi::X64 }, call.span)
                });
                Some(Calls { functions: every.collect(), absence: Absence::Expected })
            }
            Some((ListType::GeneratedFtrace, span)) => {
                let functions = vec![pattern(list, span, report)?];
                Some(Calls { functions, absence: Absence::Expected })
            }
        }
    }

    pub(super) fn describe(&self) -> String {
        let names: Vec<&str> = self.lists.iter().map(|list| list.name.value.as_str()).collect();
        if names.is_empty() {
            "the policy has no `lists:`".to_owned()
        } else {
            format!("lists: {}", names.join(", "))
        }
    }
}

fn explicit(values: &[Spanned<String>], syscall: &Spanned<bool>, report: &mut Report) -> Option<Calls> {
    let functions: Vec<_> = values.iter().map(|value| function(value, syscall, report)).collect();
    let functions = functions.into_iter().collect::<Option<Vec<_>>>()?;
    (!functions.is_empty()).then_some(Calls { functions, absence: Absence::Refused })
}

/// A value of a list of system calls: `sys_dup`, a symbol such as `__x64_sys_dup`, or one behind the name of a table, such as `i386/sys_dup`.
pub(super) fn system_call(
    value: &Spanned<String>,
    list: Span,
    report: &mut Report,
) -> Option<Spanned<Function>> {
    let Some((table, rest)) = value.value.split_once('/') else {
        return function(value, &Spanned::new(true, list), report);
    };
    let abi = match table {
        "x64" => Some(SyscallAbi::X64),
        "i386" => Some(SyscallAbi::I386),
        // 64-bit kernels of that machine serve both by one function
        "arm64" | "arm32" => Some(SyscallAbi::Arm64),
        _ => None,
    };
    let name = rest.strip_prefix("sys_").filter(|name| symbol_problem(name).is_none());
    let (Some(abi), Some(name)) = (abi, name) else {
        let message = format!("`{}` is no system call that this version knows", value.value);
        let error = Diagnostic::error(Code::BadSymbol, value.span, message);
        report.push(error.help("write sys_x, x64/sys_x, i386/sys_x, arm64/sys_x or arm32/sys_x"));
        return None;
    };
    Some(Spanned::new(Function::Syscall { name: name.to_owned(), abi }, value.span))
}

/// The functions that the pattern of a list stands for.
fn pattern(list: &List, ty: Span, report: &mut Report) -> Option<Spanned<Function>> {
    let Some(pattern) = list.pattern.as_ref().filter(|pattern| !pattern.value.is_empty()) else {
        let message = "a list of type generated_ftrace needs a `pattern`";
        report.push(
            Diagnostic::error(Code::MissingField, ty, message).help("for example `pattern: \"^ksys_\"`"),
        );
        return None;
    };
    if let Err(error) = RegexBuilder::new(&pattern.value).size_limit(PATTERN_BYTES).build() {
        // the first line shows the pattern once more
        let reason = error.to_string();
        let reason = reason.lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned();
        let message = format!("the pattern is no regular expression: {reason}");
        report.push(Diagnostic::error(Code::BadSymbol, pattern.span, message));
        return None;
    }
    Some(Spanned::new(Function::Matching(pattern.value.clone()), pattern.span))
}
