//! `spec.lists`, and the calls that `list:NAME` stands for.

use bpf_probes::kernel::Syscall;

use super::hook::function;
use super::unsupported;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{Absence, Function, SyscallAbi};
use crate::schema::{List, ListType};
use crate::source::Spanned;

/// How a call names a list.
const PREFIX: &str = "list:";

/// What the system call tables before `/` are called in symbols.
const ABIS: [(&str, &str); 3] = [("x64/", "__x64_"), ("i386/", "__ia32_"), ("arm64/", "__arm64_")];

/// The lists of a policy.
#[derive(Debug, Default)]
pub(super) struct Lists<'a> {
    lists: &'a [List],
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
                let values: Vec<_> = list.values.iter().map(|value| symbol(value, report)).collect();
                explicit(&values.into_iter().collect::<Option<Vec<_>>>()?, &Spanned::new(true, span), report)
            }
            Some((ListType::GeneratedSyscalls, _)) => {
                let every = Syscall::all().iter().map(|syscall| {
                    let name = syscall.wrapper.to_owned();
                    Spanned::new(Function::Syscall { name, abi: SyscallAbi::X64 }, call.span)
                });
                Some(Calls { functions: every.collect(), absence: Absence::Expected })
            }
            Some((ListType::GeneratedFtrace, span)) => {
                unsupported::refuse("a list of type generated_ftrace", span, report);
                None
            }
        }
    }

    fn describe(&self) -> String {
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

/// A value of a list of system calls as a symbol: `x64/sys_dup` is `__x64_sys_dup`.
fn symbol(value: &Spanned<String>, report: &mut Report) -> Option<Spanned<String>> {
    if !value.value.contains('/') {
        return Some(value.clone());
    }
    let found = ABIS.iter().find_map(|(abi, prefix)| Some((prefix, value.value.strip_prefix(abi)?)));
    let Some((prefix, rest)) = found else {
        let message = format!("`{}` is no system call that this version knows", value.value);
        let error = Diagnostic::error(Code::BadSymbol, value.span, message);
        report.push(error.help("write sys_x, x64/sys_x, i386/sys_x or arm64/sys_x"));
        return None;
    };
    Some(Spanned::new(format!("{prefix}{rest}"), value.span))
}
