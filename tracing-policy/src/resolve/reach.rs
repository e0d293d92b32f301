//! Values that are reached from an argument: the path that the text names, through this kernel's types.

use bpf_probes::btf::{Btf, FieldPath, LeafKind, PathError, Step, Type, TypeId};
use bpf_probes::kernel::{KernelView, SyscallName};

use super::function::syscall_name;
use super::policy::Types;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{
    Argument, ArgumentType, Family, Function, Hook, HookKind, PathEnd, Place, Resolve, Tracepoint, Uprobe,
    UserAddress, ValuePath,
};
use crate::schema::ArgumentType as Written;

/// A type, and the types it is one of.
#[derive(Clone, Copy)]
pub(super) struct Base<'k> {
    pub(super) btf: &'k Btf,
    pub(super) id: TypeId,
}

/// Where the path of an argument starts, where the policy names no type.
#[derive(Clone, Copy, Debug)]
pub(super) enum Start {
    /// At the parameter of that index.
    Parameter(u8),
    /// At what the call returns.
    Return,
    /// At the current task.
    Task,
}

/// What the path of an argument starts at; `None` when the report says why nothing.
pub(super) fn base<'k>(
    hook: &Hook,
    start: Start,
    resolve: &Resolve,
    types: Types<'k>,
    report: &mut Report,
) -> Option<Base<'k>> {
    let kernel = types.kernel;
    if is_of_program(hook, start) {
        // without them the policy has been refused
        return types.program.and_then(|btf| base_in_program(hook, start, resolve, btf, report));
    }
    if let Some(name) = &resolve.btf_type {
        let module = resolve.module.as_ref();
        let btf = module.map_or(Some(kernel.btf()), |module| kernel.module_btf(&module.value));
        let Some(btf) = btf else {
            let module = resolve.module.as_ref().unwrap_or(name);
            let message = format!("there are no types of a module `{}`", module.value);
            let error = Diagnostic::error(Code::NotOnThisKernel, module.span, message);
            report.push(error.help("it must be loaded, with its types in /sys/kernel/btf"));
            return None;
        };
        let found = btf.struct_named(&name.value).or_else(|_| btf.union_named(&name.value));
        if found.is_err() {
            let message = format!("kernel {} has no struct `{}`", kernel.release(), name.value);
            let mut error = Diagnostic::error(Code::NotOnThisKernel, name.span, message);
            if resolve.module.is_none() {
                error = error.help("if it is one of a module, say which: `btfTypeModule:`");
            }
            report.push(error);
        }
        return found.ok().map(|id| Base { btf, id });
    }
    let found = match start {
        Start::Task => kernel.btf().struct_named("task_struct").ok().map(|id| Base { btf: kernel.btf(), id }),
        Start::Parameter(index) => pointer(hook, index, kernel),
        Start::Return => returned(hook, kernel).filter(|found| is_pointer(found.btf, found.id)),
    };
    if found.is_none() {
        let message = "the kernel's types do not say what this argument points to";
        let error = Diagnostic::error(Code::PrototypeMismatch, resolve.path.span, message);
        report.push(error.help("add `btfType:` with the struct that it points to"));
    }
    found
}

/// Whether the path starts in the memory of a program.
pub(super) fn is_of_program(hook: &Hook, start: Start) -> bool {
    matches!(hook.kind.value, HookKind::Uprobe(_) | HookKind::Usdt(_)) && !matches!(start, Start::Task)
}

/// The same with the types of a program: at the type that the policy names, or at what a function of that name takes and returns.
fn base_in_program<'k>(
    hook: &Hook,
    start: Start,
    resolve: &Resolve,
    btf: &'k Btf,
    report: &mut Report,
) -> Option<Base<'k>> {
    if let Some(name) = &resolve.btf_type {
        let found = btf.struct_named(&name.value).or_else(|_| btf.union_named(&name.value));
        if found.is_err() {
            let message = format!("the program's types have no struct `{}`", name.value);
            report.push(Diagnostic::error(Code::PrototypeMismatch, name.span, message));
        }
        return found.ok().map(|id| Base { btf, id });
    }
    let function = match &hook.kind.value {
        HookKind::Uprobe(Uprobe { address: UserAddress::Symbol { name, offset: 0 }, .. }) => Some(name),
        HookKind::Uprobe(_)
        | HookKind::Usdt(_)
        | HookKind::Kprobe(_)
        | HookKind::Lsm(_)
        | HookKind::Tracepoint(_)
        | HookKind::Loader => None,
    };
    let prototype = function.and_then(|name| btf.prototype(btf.func_named(name).ok()?).ok());
    let id = prototype.and_then(|prototype| match start {
        Start::Parameter(index) => Some(prototype.parameters().nth(usize::from(index))?.type_id),
        Start::Return => Some(prototype.returns),
        Start::Task => None,
    });
    let found = id.map(|id| Base { btf, id }).filter(|found| is_pointer(found.btf, found.id));
    if found.is_none() {
        let message = "the program's types do not say what this argument points to";
        let error = Diagnostic::error(Code::PrototypeMismatch, resolve.path.span, message);
        report.push(error.help("add `btfType:` with the struct that it points to"));
    }
    found
}

/// The type of a hook's parameter.
pub(super) fn parameter<'k>(hook: &Hook, index: u8, kernel: &'k KernelView) -> Option<Base<'k>> {
    let index = usize::from(index);
    let btf: &Btf = kernel.btf();
    let (btf, prototype) = match &hook.kind.value {
        HookKind::Kprobe(Function::Syscall { .. }) => return None,
        HookKind::Kprobe(Function::Kernel(symbol)) => {
            let (btf, id) = kernel.function_types(symbol)?;
            (&**btf, id)
        }
        HookKind::Lsm(name) => {
            let function = bpf_probes::kernel::function_of_hook(name);
            (btf, kernel.lsm_hook(name).or_else(|| kernel.function_btf(&function))?)
        }
        HookKind::Tracepoint(Tracepoint { raw: false, .. })
        | HookKind::Uprobe(_)
        | HookKind::Usdt(_)
        | HookKind::Kprobe(Function::Matching(_))
        | HookKind::Loader => return None,
        HookKind::Tracepoint(Tracepoint { event, .. }) => {
            let id = btf.typedef_named(&format!("btf_trace_{event}")).ok()?;
            // the first is the tracepoint's own
            let found = btf.prototype(id).ok()?.parameters().nth(index + 1)?;
            return Some(Base { btf, id: found.type_id });
        }
    };
    let found = btf.prototype(prototype).ok()?.parameters().nth(index)?;
    Some(Base { btf, id: found.type_id })
}

/// The type of what a hooked function returns, as far as the kernel's types tell it.
pub(super) fn returned<'k>(hook: &Hook, kernel: &'k KernelView) -> Option<Base<'k>> {
    let HookKind::Kprobe(Function::Kernel(symbol)) = &hook.kind.value else { return None };
    let (btf, id) = kernel.function_types(symbol)?;
    Some(Base { btf, id: btf.prototype(id).ok()?.returns })
}

/// The type of a hook's parameter that is a pointer, or what it points to.
fn pointer<'k>(hook: &Hook, index: u8, kernel: &'k KernelView) -> Option<Base<'k>> {
    if let HookKind::Kprobe(function @ Function::Syscall { .. }) = &hook.kind.value {
        return syscall_parameter(function, usize::from(index), kernel);
    }
    parameter(hook, index, kernel).filter(|found| is_pointer(found.btf, found.id))
}

fn is_pointer(btf: &Btf, id: TypeId) -> bool {
    matches!(btf.peel(id).and_then(|id| btf.get(id)), Ok(Type::Ptr(_)))
}

/// What a pointer among a system call's parameters points to, which only the text of its prototype says.
fn syscall_parameter<'k>(function: &Function, index: usize, kernel: &'k KernelView) -> Option<Base<'k>> {
    let btf: &Btf = kernel.btf();
    let name = syscall_name(function, kernel)?;
    let text = SyscallName::known(&name)?.parameters().nth(index)?;
    let (pointee, _) = text.split_once('*')?;
    let word = pointee.split_ascii_whitespace().skip_while(|word| *word != "struct").nth(1)?;
    btf.struct_named(word).ok().map(|id| Base { btf, id })
}

/// Follows the path through the types.
pub(super) fn walk(base: Base<'_>, resolve: &Resolve, report: &mut Report) -> Option<FieldPath> {
    match base.btf.resolve(base.id, &resolve.path.value) {
        Ok(found) => Some(found),
        Err(error) => {
            let code = match error {
                PathError::Syntax { .. } => Code::BadSymbol,
                PathError::NoField { .. }
                | PathError::NotAStruct { .. }
                | PathError::Incomplete { .. }
                | PathError::NotAPointer { .. }
                | PathError::NotAnArray { .. }
                | PathError::Index { .. }
                | PathError::InBitfield { .. }
                | PathError::TooFar { .. }
                | PathError::Lookup(_) => Code::PrototypeMismatch,
            };
            report.push(Diagnostic::error(code, resolve.path.span, error.to_string()));
            None
        }
    }
}

/// The type that the value has, if it is one that the language knows; it goes before what the text says.
pub(super) fn recognised(btf: &Btf, found: &FieldPath, written: Option<Written>) -> Option<Written> {
    let leaf = found.leaf;
    let is_one_byte = leaf.size == 1 && leaf.bitfield.is_none();
    match leaf.kind {
        // one byte is what policies call an `int`, too
        LeafKind::Int if is_one_byte && written.is_some() => None,
        LeafKind::Int | LeafKind::Enum => Some(number(leaf.size, leaf.signed)),
        LeafKind::Bool if written.is_none() => Some(Written::Uint8),
        LeafKind::Struct => named(btf, leaf.type_id),
        LeafKind::Pointer { to } => {
            let to = btf.peel(to).ok()?;
            let pointee = btf.get(to).ok()?;
            if matches!(pointee, Type::Struct(_) | Type::Fwd(_)) {
                return named(btf, to);
            }
            if matches!(pointee, Type::Int(int) if int.name == "char") && written.is_none() {
                return Some(Written::String);
            }
            behind(btf, to).map(|(bytes, signed)| number(bytes, signed))
        }
        LeafKind::Array { element, .. } if written.is_none() => {
            let is_text = matches!(btf.peel(element).and_then(|id| btf.get(id)), Ok(Type::Int(int)) if int.name == "char");
            is_text.then_some(Written::String)
        }
        LeafKind::Char if written.is_none() => Some(Written::Uint8),
        LeafKind::Char | LeafKind::Bool | LeafKind::Float | LeafKind::Union | LeafKind::Array { .. } => None,
    }
}

/// The number behind a pointer: its bytes, and whether it has a sign. One byte is text, or the beginning of a buffer.
fn behind(btf: &Btf, to: TypeId) -> Option<(u32, bool)> {
    let leaf = btf.resolve(to, "").ok()?.leaf;
    let is_number = matches!(leaf.kind, LeafKind::Int | LeafKind::Enum) && leaf.size > 1;
    is_number.then_some((leaf.size, leaf.signed))
}

fn number(bytes: u32, signed: bool) -> Written {
    match (bytes, signed) {
        (1, true) => Written::Int8,
        (1, false) => Written::Uint8,
        (2, true) => Written::Int16,
        (2, false) => Written::Uint16,
        (..=4, true) => Written::Int32,
        (..=4, false) => Written::Uint32,
        (_, true) => Written::Int64,
        (_, false) => Written::Uint64,
    }
}

fn named(btf: &Btf, id: TypeId) -> Option<Written> {
    let shown = btf.describe(id);
    Some(match shown.strip_prefix("struct ").unwrap_or(&shown) {
        "file" => Written::File,
        "path" => Written::Path,
        "dentry" => Written::Dentry,
        "kiocb" => Written::Kiocb,
        "linux_binprm" => Written::LinuxBinprm,
        "filename" => Written::Filename,
        "net_device" => Written::NetDevice,
        "cred" => Written::Cred,
        "user_namespace" => Written::UserNamespace,
        "bpf_prog" => Written::BpfProg,
        "bpf_map" => Written::BpfMap,
        "perf_event" => Written::PerfEvent,
        "module" => Written::Module,
        "load_info" => Written::LoadInfo,
        "sock" => Written::Sock,
        "socket" => Written::Socket,
        "sockaddr" => Written::Sockaddr,
        "sockaddr_un" => Written::SockaddrUn,
        "iov_iter" => Written::IovIter,
        _ => return None,
    })
}

/// The paths of a hook's arguments and of what it returns; `None` when the report says why there is none.
pub(super) fn fill(
    hook: &Hook,
    arguments: &mut [Argument],
    returned: Option<&mut Argument>,
    types: Types<'_>,
    report: &mut Report,
) -> Option<()> {
    let mut all = Some(());
    for argument in arguments.iter_mut().chain(returned) {
        let Some(resolve) = argument.resolve.clone() else { continue };
        if fill_one(hook, argument, &resolve, types, report).is_none() {
            all = None;
        }
    }
    all
}

fn fill_one(
    hook: &Hook,
    argument: &mut Argument,
    resolve: &Resolve,
    types: Types<'_>,
    report: &mut Report,
) -> Option<()> {
    let start = match argument.place {
        Place::Task => Start::Task,
        Place::Return => Start::Return,
        Place::Parameter | Place::Field(_) | Place::Operand(_) | Place::Left { .. } | Place::Register(_) => {
            Start::Parameter(argument.index.value)
        }
    };
    let base = base(hook, start, resolve, types, report)?;
    let found = walk(base, resolve, report)?;
    let is_set = matches!(argument.ty.value, ArgumentType::Capabilities(_));
    let bytes = match argument.ty.value.family() {
        // a set is read where it lies
        Family::Number(_) if is_set => None,
        Family::Number(ty) => Some(u8::try_from(ty.width.bits() / 8).unwrap_or(8)),
        Family::String | Family::Path | Family::Object(_) | Family::Nothing => None,
    };
    argument.path = end(base.btf, &found, bytes);
    if argument.path.is_none() {
        let message = format!("`{}` is smaller than a number of this type", resolve.path.value);
        report.push(Diagnostic::error(Code::PrototypeMismatch, argument.ty.span, message));
    }
    argument.path.is_some().then_some(())
}

/// What is read at the end: a number of so many bytes, or something else.
fn end(btf: &Btf, found: &FieldPath, number: Option<u8>) -> Option<ValuePath> {
    let leaf = found.leaf;
    let mut steps = found.steps.clone();
    let end = match (leaf.kind, number) {
        (LeafKind::Pointer { to }, Some(_)) => {
            // a pointer to anything else is asked for as a number
            let (bytes, signed) = behind(btf, btf.peel(to).ok()?).unwrap_or((0, false));
            if bytes == 0 {
                PathEnd::Number { bytes: 8, bits: None, signed: false }
            } else {
                if let Some(last) = steps.last_mut() {
                    last.deref = true;
                }
                steps.push(Step { offset: 0, deref: false });
                PathEnd::Number { bytes: u8::try_from(bytes).ok()?, bits: None, signed }
            }
        }
        (LeafKind::Pointer { .. }, None) => PathEnd::Number { bytes: 8, bits: None, signed: false },
        (LeafKind::Struct | LeafKind::Union | LeafKind::Array { .. }, None) => {
            PathEnd::Inside { bytes: leaf.size }
        }
        (LeafKind::Struct | LeafKind::Union | LeafKind::Array { .. }, Some(bytes)) => {
            let fits = leaf.size == 0 || u32::from(bytes) <= leaf.size;
            fits.then_some(PathEnd::Number { bytes, bits: None, signed: false })?
        }
        (LeafKind::Int | LeafKind::Char | LeafKind::Bool | LeafKind::Enum | LeafKind::Float, _) => {
            let bytes = u8::try_from(leaf.size).ok().filter(|bytes| matches!(bytes, 1 | 2 | 4 | 8))?;
            PathEnd::Number { bytes, bits: leaf.bitfield, signed: leaf.signed }
        }
    };
    Some(ValuePath { steps, end })
}
