//! Lists as values of filters: `InMap` of a tracepoint's system call number takes `list:NAME`.
//!
//! The list is put in its place as numbers, before the filter is looked at: those of 32-bit programs have bit 31 set, as in arguments of type `syscall64`.

use bpf_probes::kernel::{I386Call, Syscall};

use super::list::{Lists, system_call};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{Function, SyscallAbi};
use crate::schema::{ArgumentMatch, List, ListType, Operator, Tracepoint};
use crate::source::Spanned;

/// How a value names a list.
const PREFIX: &[u8] = b"list:";

/// Replaces the lists that filters of tracepoints name by the numbers of their system calls.
pub(super) fn expand(tracepoints: &mut [Tracepoint], lists: &Lists<'_>, report: &mut Report) {
    let selectors = tracepoints.iter_mut().flat_map(|tracepoint| &mut tracepoint.selectors);
    for filter in selectors.flat_map(|selector| &mut selector.match_args) {
        if matches!(filter.operator.value, Operator::InMap | Operator::NotInMap) {
            replace(filter, lists, report);
        }
    }
}

fn replace(filter: &mut ArgumentMatch, lists: &Lists<'_>, report: &mut Report) {
    let mut values = Vec::with_capacity(filter.values.len());
    for value in std::mem::take(&mut filter.values) {
        let Some(name) = value.value.strip_prefix(PREFIX) else {
            values.push(value);
            continue;
        };
        let Some(list) = lists.lists.iter().find(|list| list.name.value.as_bytes() == name) else {
            let message = format!("there is no list `{}`", String::from_utf8_lossy(name));
            report.push(Diagnostic::error(Code::UnknownWord, value.span, message).help(lists.describe()));
            values.push(Spanned::new(b"0".to_vec(), value.span));
            continue;
        };
        let numbers = numbers(list, &value, report);
        values.extend(numbers.iter().map(|number| Spanned::new(number.to_string().into_bytes(), value.span)));
        if numbers.is_empty() {
            // what is wrong with the list has been said; the filter is not blamed too
            values.push(Spanned::new(b"0".to_vec(), value.span));
        }
    }
    filter.values = values;
}

/// The numbers of a list's system calls; empty when the report says why there are none.
fn numbers(list: &List, value: &Spanned<Vec<u8>>, report: &mut Report) -> Vec<u32> {
    match list.ty.as_ref().map(|ty| (ty.value, ty.span)) {
        Some((ListType::Syscalls, span)) => {
            let calls = list.values.iter().filter_map(|value| system_call(value, span, report));
            let calls: Vec<_> = calls.collect();
            calls.iter().filter_map(|call| number(call, report)).collect()
        }
        Some((ListType::GeneratedSyscalls, _)) => Syscall::all().iter().map(|call| call.number).collect(),
        None | Some((ListType::Plain | ListType::GeneratedFtrace, _)) => {
            let message = format!("list `{}` has functions, not numbers of system calls", list.name.value);
            let error = Diagnostic::error(Code::WrongType, value.span, message);
            report.push(error.help("give the list `type: syscalls`"));
            Vec::new()
        }
    }
}

fn number(call: &Spanned<Function>, report: &mut Report) -> Option<u32> {
    let Function::Syscall { name, abi } = &call.value else { return None };
    let number = match abi {
        SyscallAbi::Native | SyscallAbi::X64 => Syscall::named(name).map(|call| call.number),
        SyscallAbi::I386 => I386Call::named(name).map(I386Call::marked_number),
        SyscallAbi::Ia32 | SyscallAbi::Ia32Compat => I386Call::served_by(name).map(I386Call::marked_number),
        SyscallAbi::Arm64 => None,
    };
    if number.is_none() {
        let message = format!("`{name}` is no system call of this machine");
        report.push(Diagnostic::error(Code::BadSymbol, call.span, message));
    }
    number
}
