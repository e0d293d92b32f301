//! Where the sizes of buffers are.

use bpf_probes::btf::{Btf, Type};
use bpf_probes::kernel::{KernelView, SyscallName};

use super::function::syscall_name;
use super::reach::{Base, parameter};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{
    Argument, ArgumentType, BufferSize, Family, Function, Hook, HookKind, PathEnd, ReturnedSize, Signedness,
};

/// Finds the sizes of the buffers among a hook's arguments and of what it returns; `None` when the report says of which there is none.
pub(super) fn fill(
    hook: &Hook,
    arguments: &mut [Argument],
    returned: Option<&mut Argument>,
    kernel: &KernelView,
    report: &mut Report,
) -> Option<()> {
    let mut all = Some(());
    for argument in arguments.iter_mut().chain(returned) {
        if !argument.ty.value.is_buffer() || argument.size.is_some() {
            continue;
        }
        argument.size = size(hook, argument, kernel, report);
        if argument.size.is_none() {
            all = None;
        }
    }
    all
}

/// Where the size of a buffer is; `None` when the report says that nothing tells it.
fn size(
    hook: &Hook,
    argument: &mut Argument,
    kernel: &KernelView,
    report: &mut Report,
) -> Option<BufferSize> {
    if argument.at_return.is_some() {
        match returned_size(hook, kernel) {
            Ok(size) => argument.at_return = Some(size),
            Err(problem) => {
                report.push(
                    Diagnostic::error(Code::PrototypeMismatch, argument.ty.span, problem)
                        .help("returnCopy needs a call that returns how much it has filled"),
                );
                return None;
            }
        }
        if argument.ty.value == ArgumentType::CharBuf {
            return Some(BufferSize::Returned);
        }
    }
    if argument.ty.value == ArgumentType::IovIter {
        return Some(BufferSize::Inside);
    }
    let Some(index) = &argument.size_index else { return array(argument, report) };
    match type_of(hook, index.value, kernel) {
        Ok((bits, signed)) => Some(BufferSize::Parameter { index: index.value, bits, signed }),
        Err(problem) => {
            report.push(Diagnostic::error(Code::PrototypeMismatch, index.span, problem));
            None
        }
    }
}

/// The size of an array that a path leads to.
fn array(argument: &Argument, report: &mut Report) -> Option<BufferSize> {
    let end = argument.path.as_ref().map(|path| path.end);
    if let (Some(PathEnd::Inside { bytes: bytes @ 1.. }), ArgumentType::CharBuf) = (end, argument.ty.value) {
        return Some(BufferSize::Fixed(bytes));
    }
    report.push(missing(argument));
    None
}

/// Nothing says how large a buffer is.
pub(super) fn missing(argument: &Argument) -> Diagnostic {
    let message = "nothing says how large this buffer is";
    let error = Diagnostic::error(Code::ArgumentType, argument.ty.span, message);
    error.help("add `sizeArgIndex:` with the position of its size among the parameters, from 1")
}

/// The bits of a parameter that is a number, and whether it has a sign.
fn type_of(hook: &Hook, index: u8, kernel: &KernelView) -> Result<(u8, bool), String> {
    if let HookKind::Kprobe(function @ Function::Syscall { .. }) = &hook.kind.value {
        return of_syscall(function, index, kernel);
    }
    if let Some(Base { btf, id }) = parameter(hook, index, kernel) {
        return number(btf, id)
            .ok_or_else(|| format!("parameter {index}, `{}`, is no size", btf.describe(id)));
    }
    // a function whose types are not known: as the policy says, or whole
    let declared = hook.arguments.iter().find(|it| !it.is_data && it.index.value == index);
    Ok(declared.map_or((64, false), |declared| match declared.ty.value.family() {
        Family::Number(ty) => {
            (u8::try_from(ty.width.bits()).unwrap_or(64), ty.signedness == Signedness::Signed)
        }
        Family::String | Family::Path | Family::Object(_) | Family::Nothing => (64, false),
    }))
}

/// How a function says with what it returns how much it has filled.
fn returned_size(hook: &Hook, kernel: &KernelView) -> Result<ReturnedSize, String> {
    let HookKind::Kprobe(Function::Kernel(symbol)) = &hook.kind.value else { return Ok(ReturnedSize::LONG) };
    let prototype = kernel.function_types(symbol).and_then(|(btf, id)| Some((btf, btf.prototype(id).ok()?)));
    let Some((btf, prototype)) = prototype else { return Ok(ReturnedSize::LONG) };
    let (bits, signed) = number(btf, prototype.returns)
        .ok_or_else(|| format!("{symbol} returns `{}`, which is no size", btf.describe(prototype.returns)))?;
    Ok(ReturnedSize { bits, signed })
}

fn number(btf: &Btf, id: bpf_probes::btf::TypeId) -> Option<(u8, bool)> {
    let Type::Int(int) = btf.get(btf.peel(id).ok()?).ok()? else { return None };
    let signed = btf.resolve(id, "").ok()?.leaf.signed;
    Some((u8::try_from(int.size.checked_mul(8)?).ok()?, signed))
}

/// The same of a system call, of which only the text of its prototype says it.
fn of_syscall(function: &Function, index: u8, kernel: &KernelView) -> Result<(u8, bool), String> {
    let name = syscall_name(function, kernel);
    let Some(known) = name.as_ref().and_then(SyscallName::known) else { return Ok((64, false)) };
    let shown = || format!("sys_{}({})", known.name, known.parameters().collect::<Vec<_>>().join(", "));
    match known.parameters().nth(usize::from(index)) {
        None => Err(format!("there is no parameter {}: {}", index + 1, shown())),
        Some(text) if text.contains('*') => Err(format!("parameter {} is no size: {}", index + 1, shown())),
        Some("int" | "pid_t" | "key_t" | "s32") => Ok((32, true)),
        Some("unsigned int" | "unsigned" | "u32" | "__u32" | "uint32_t") => Ok((32, false)),
        Some(_) => Ok((64, false)),
    }
}
