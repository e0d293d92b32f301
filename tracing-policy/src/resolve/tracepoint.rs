//! Tracepoints: their fields, as the kernel's formats show them.

use bpf_probes::attach;
use bpf_probes::kernel::{KernelView, TracepointField, TracepointFormat};

use super::policy::Placed;
use super::{argument, buffer, mechanism};
use crate::check;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{
    Argument, ArgumentType, BufferSize, Convention, Field, FieldForm, Hook, HookKey, Place, Signedness,
    Tracepoint, Width,
};
use crate::schema::{self, ArgumentType as Written};
use crate::source::{Span, Spanned};

/// Where a tracepoint attaches; `None` when the report says why it cannot.
pub(super) fn place(
    hook: &Hook,
    tracepoint: &Tracepoint,
    kernel: &KernelView,
    report: &mut Report,
) -> Option<Placed> {
    let Tracepoint { subsystem, event, raw } = tracepoint;
    let point = attach::Hook::tracepoint(subsystem, event, *raw, &mechanism::duties(hook));
    let (key, arguments) = if *raw {
        let fits = fit_raw(hook, event, kernel, report);
        let key = HookKey { function: event.clone(), convention: Convention::RawTracepoint };
        (key, fits.then(|| hook.arguments.clone()))
    } else {
        let key = HookKey { function: tracepoint.to_string(), convention: Convention::Tracepoint };
        (key, fields(hook, tracepoint, kernel, report))
    };
    let attachments = mechanism::attachments(hook, &point, kernel, report)?;
    Some(Placed { key, attachments, arguments: arguments? })
}

/// Fills in the types that were left to the kernel; `None` when the report says which cannot be had.
pub(super) fn types(
    settled: &mut schema::Tracepoint,
    kernel: &KernelView,
    report: &mut Report,
) -> Option<()> {
    let name = format!("{}/{}", settled.subsystem.value, settled.event.value);
    let format = kernel.tracepoint(&settled.subsystem.value, &settled.event.value);
    let Some(format) = format else {
        report.push(absent(&name, settled.event.span, kernel));
        return None;
    };
    let mut all = Some(());
    for argument in settled.args.iter_mut().filter(|argument| check::is_untyped(argument)) {
        let Some(field) = field(format, argument.index.value) else {
            report.push(beyond(argument.index.value, argument.index.span, &name, format));
            all = None;
            continue;
        };
        if let Some(ty) = automatic(field, argument) {
            argument.ty = Some(Spanned::new(ty, argument.span));
        } else {
            let message = format!(
                "the type of field {} of {name}, `{} {}`, cannot be derived",
                argument.index.value, field.c_type, field.name
            );
            let error = Diagnostic::error(Code::ArgumentType, argument.span, message);
            report.push(error.help("give it a `type:`"));
            all = None;
        }
    }
    all
}

/// The type that a field of this kind has when the policy gives none.
fn automatic(field: &TracepointField, argument: &schema::Argument) -> Option<Written> {
    let c_type = field.c_type.trim_start_matches("const ");
    if c_type.starts_with("__data_loc") {
        return c_type.contains("char").then_some(Written::DataLoc);
    }
    if c_type.ends_with(']') {
        return Some(if c_type.starts_with("char[") { Written::String } else { Written::CharBuf });
    }
    if let Some(pointee) = c_type.strip_suffix('*') {
        let sized = argument.size_arg_index.as_ref().is_some_and(|index| index.value != 0);
        let ty = if sized { Written::CharBuf } else { Written::String };
        return (pointee.trim_end() == "char").then_some(ty);
    }
    Some(match (c_type, field.size, field.signed) {
        ("size_t", _, _) => Written::SizeT,
        (_, 1, true) => Written::Int8,
        (_, 1, false) => Written::Uint8,
        (_, 2, true) => Written::Int16,
        (_, 2, false) => Written::Uint16,
        (_, 4, true) => Written::Int32,
        (_, 4, false) => Written::Uint32,
        (_, 8, true) => Written::Int64,
        (_, 8, false) => Written::Uint64,
        _ => return None,
    })
}

/// The hook's arguments with the places of their fields.
fn fields(
    hook: &Hook,
    tracepoint: &Tracepoint,
    kernel: &KernelView,
    report: &mut Report,
) -> Option<Vec<Argument>> {
    let name = tracepoint.to_string();
    let Some(format) = kernel.tracepoint(&tracepoint.subsystem, &tracepoint.event) else {
        report.push(absent(&name, hook.kind.span, kernel));
        return None;
    };
    let mut placed = hook.arguments.clone();
    let mut all = true;
    for argument in &mut placed {
        let index = u32::from(argument.index.value);
        let Some(field) = field(format, index) else {
            report.push(beyond(index, argument.index.span, &name, format));
            all = false;
            continue;
        };
        // of a path the field is the pointer that it starts at
        let found = match argument.resolve {
            Some(_) => pointer(field),
            None => place_of(field, argument.ty.value),
        };
        if let Some(found) = found {
            argument.place = Place::Field(found);
            if argument.ty.value.is_buffer() {
                argument.size = size(argument, field, format);
                if argument.size.is_none() {
                    report.push(buffer::missing(argument));
                    all = false;
                }
            }
        } else {
            let message = format!("field {index} of {name} is `{} {}`", field.c_type, field.name);
            let error = Diagnostic::error(Code::PrototypeMismatch, argument.ty.span, message);
            report.push(error.labelled("read as another type"));
            all = false;
        }
    }
    all.then_some(placed)
}

/// Where a field is, when it can be read as the type.
fn place_of(field: &TracepointField, ty: ArgumentType) -> Option<Field> {
    let offset = u16::try_from(field.offset).ok()?;
    let is_text = field.c_type.contains("char");
    let form = match ty {
        ArgumentType::String if field.c_type.starts_with("__data_loc") => FieldForm::DynamicText,
        ArgumentType::String if field.c_type.ends_with(']') && is_text => {
            FieldForm::Text { bytes: u16::try_from(field.size).ok().filter(|bytes| *bytes <= MAX_TEXT)? }
        }
        ArgumentType::CharBuf if field.c_type.ends_with(']') => {
            FieldForm::Text { bytes: u16::try_from(field.size).ok().filter(|bytes| *bytes <= MAX_TEXT)? }
        }
        ArgumentType::Integer(_) | ArgumentType::Fd | ArgumentType::Capability | ArgumentType::BpfCmd => {
            value(field)?
        }
        ArgumentType::String
        | ArgumentType::File
        | ArgumentType::Path
        | ArgumentType::Kiocb
        | ArgumentType::Dentry
        | ArgumentType::LinuxBinprm
        | ArgumentType::Filename
        | ArgumentType::NetDevice
        | ArgumentType::SockaddrUn
        | ArgumentType::CharBuf
        | ArgumentType::CharIovec
        | ArgumentType::IovIter
        | ArgumentType::Capabilities(_)
        | ArgumentType::Object(_) => value(field).filter(|_| field.size == 8)?,
        ArgumentType::Nop => value(field)?,
    };
    Some(Field { offset, form })
}

/// Where the size of a buffer is.
fn size(argument: &Argument, own: &TracepointField, format: &TracepointFormat) -> Option<BufferSize> {
    if argument.ty.value == ArgumentType::IovIter {
        return Some(BufferSize::Inside);
    }
    if let Some(index) = &argument.size_index {
        let found = field(format, u32::from(index.value))?;
        let form = value(found)?;
        return Some(BufferSize::Field(Field { offset: u16::try_from(found.offset).ok()?, form }));
    }
    own.c_type.ends_with(']').then_some(BufferSize::Fixed(own.size))
}

/// A field that is a pointer.
fn pointer(field: &TracepointField) -> Option<Field> {
    let form = value(field).filter(|_| field.size == 8)?;
    Some(Field { offset: u16::try_from(field.offset).ok()?, form })
}

/// Longest text that lies in a record.
const MAX_TEXT: u16 = 4095;

/// A field that one load reads.
fn value(field: &TracepointField) -> Option<FieldForm> {
    let width = match field.size {
        1 => Width::W8,
        2 => Width::W16,
        4 => Width::W32,
        8 => Width::W64,
        _ => return None,
    };
    let signedness = if field.signed { Signedness::Signed } else { Signedness::Unsigned };
    let is_whole = field.offset.is_multiple_of(field.size) && !field.c_type.ends_with(']');
    is_whole.then_some(FieldForm::Value { width, signedness })
}

fn field(format: &TracepointFormat, index: u32) -> Option<&TracepointField> {
    format.fields.get(usize::try_from(index).ok()?)
}

fn absent(name: &str, span: Span, kernel: &KernelView) -> Diagnostic {
    let message = format!("kernel {} shows no tracepoint {name}", kernel.release());
    Diagnostic::error(Code::NoSuchFunction, span, message).help("those there are: /sys/kernel/tracing/events")
}

fn beyond(index: u32, span: Span, name: &str, format: &TracepointFormat) -> Diagnostic {
    let message = format!("index {index} is out of range: {name} has {} fields", format.fields.len());
    let known = format.fields.iter().enumerate().skip(4);
    let known: Vec<String> = known.map(|(index, field)| format!("{index} {}", field.name)).collect();
    Diagnostic::error(Code::BeyondPrototype, span, message).help(known.join(", "))
}

/// Whether every argument of a raw tracepoint fits; its prototype begins with data of the tracepoint's own.
fn fit_raw(hook: &Hook, event: &str, kernel: &KernelView, report: &mut Report) -> bool {
    let btf = kernel.btf();
    let prototype = btf.typedef_named(&format!("btf_trace_{event}")).and_then(|id| btf.prototype(id));
    let Ok(prototype) = prototype else {
        // without type information arguments are taken at their word; whether it exists shows when it is attached
        return true;
    };
    let parameters: Vec<_> = prototype.parameters().skip(1).collect();
    argument::fit_parameters(hook, event, &parameters, btf, report)
}
