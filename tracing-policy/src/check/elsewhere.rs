//! Values that are reached from an argument (`resolve`), or lie elsewhere (`data`), and the sizes of buffers.

use super::argument::argument_type;
use super::section::Section;
use super::unsupported;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::parse::{shortened, suggestion};
use crate::policy::{Argument, ArgumentType, Family, Place, RegisterPart, Resolve, ReturnedSize};
use crate::schema::{self, ArgumentSource};
use crate::source::{Span, Spanned};

/// The report has an error about it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Reported;

/// Whether the type of an argument is what the kernel's types say of the value that it leads to.
pub(crate) fn is_resolved(argument: &schema::Argument) -> bool {
    let from_register = argument.source.as_ref().is_some_and(|it| it.value == ArgumentSource::PtRegs);
    !from_register && given(argument.resolve.as_ref()).is_some()
}

fn given(text: Option<&Spanned<String>>) -> Option<Spanned<String>> {
    text.filter(|text| !text.value.is_empty()).cloned()
}

/// What of an entry of `args` is to be resolved, if anything.
pub(super) fn resolve(
    written: &schema::Argument,
    section: Section,
    report: &mut Report,
) -> Result<Option<Resolve>, Reported> {
    let source = written.source.as_ref().filter(|source| source.value != ArgumentSource::None);
    if let Some(source) = source {
        let message = "an argument of the function has no `source`";
        let error = Diagnostic::error(Code::ArgumentType, source.span, message);
        report.push(error.help("what lies elsewhere is an entry of `data`"));
        return Err(Reported);
    }
    let Some(found) = whole(written, report) else { return Ok(None) };
    if let Some(module) = found.module.as_ref().filter(|_| section.is_of_user_space()) {
        let message = "a program has no modules: its types are those of `btfPath`";
        report.push(Diagnostic::warning(Code::UselessParameter, module.span, message));
    }
    if section == Section::Tracepoints && found.btf_type.is_none() {
        let message = "the fields of a tracepoint's record have no types to resolve";
        let error = Diagnostic::error(Code::ArgumentType, found.path.span, message);
        report.push(error.help("add `btfType:` with the type that the field points to, or use `raw: true`"));
        return Err(Reported);
    }
    Ok(Some(found))
}

/// The file with the types of a program, and its place in the text. What is reached through types needs it.
pub(super) fn types<'a>(
    written: Option<&Spanned<String>>,
    arguments: impl IntoIterator<Item = &'a schema::Argument>,
    report: &mut Report,
) -> Result<Option<(String, Span)>, Reported> {
    let types = given(written).map(|path| (path.value, path.span));
    let reached = arguments.into_iter().find_map(|argument| given(argument.resolve.as_ref()));
    if let (None, Some(reached)) = (&types, reached) {
        let error =
            Diagnostic::error(Code::ArgumentType, reached.span, "the types of the program are not known");
        report.push(
            error.help("add `btfPath:` with a file that has them: BTF, or a program with a section .BTF"),
        );
        return Err(Reported);
    }
    Ok(types)
}

/// The path, and the type that it starts at.
fn whole(written: &schema::Argument, report: &mut Report) -> Option<Resolve> {
    let (btf_type, module) = (given(written.btf_type.as_ref()), given(written.btf_type_module.as_ref()));
    let Some(path) = given(written.resolve.as_ref()) else {
        for (field, given) in [("btfType", &btf_type), ("btfTypeModule", &module)] {
            if let Some(given) = given {
                let message = format!("{field} has no effect without `resolve`");
                report.push(Diagnostic::warning(Code::UselessParameter, given.span, message));
            }
        }
        return None;
    };
    if let (None, Some(module)) = (&btf_type, &module) {
        let message = "btfTypeModule has no effect without `btfType`";
        report.push(Diagnostic::warning(Code::UselessParameter, module.span, message));
    }
    Some(Resolve { path, btf_type, module })
}

/// The index of the parameter with a buffer's size, if it has one.
pub(super) fn size_index(
    written: &schema::Argument,
    section: Section,
    report: &mut Report,
) -> Result<Option<Spanned<u8>>, Reported> {
    use schema::ArgumentType as Written;
    let Some(index) = written.size_arg_index.as_ref().filter(|index| index.value != 0) else {
        return Ok(None);
    };
    let ty = written.ty.as_ref().map_or(Written::Auto, |ty| ty.value);
    if !matches!(ty, Written::Auto | Written::CharBuf | Written::CharIovec) {
        let message = "sizeArgIndex has an effect on char_buf and char_iovec only";
        report.push(Diagnostic::warning(Code::UselessParameter, index.span, message));
        return Ok(None);
    }
    let most = if section == Section::Tracepoints { 256 } else { 6 };
    let found = u8::try_from(index.value - 1).ok().filter(|_| index.value <= most);
    if found.is_none() {
        let message = format!("sizeArgIndex counts from 1 to {most}; this is {}", index.value);
        report.push(Diagnostic::error(Code::ArgumentIndex, index.span, message));
        return Err(Reported);
    }
    Ok(found.map(|found| Spanned::new(found, index.span)))
}

/// Whether a buffer is read as far as it goes.
pub(super) fn max_data(written: &schema::Argument) -> bool {
    let is_buffer = written.ty.as_ref().is_some_and(|ty| ty.value == schema::ArgumentType::CharBuf);
    is_buffer && written.max_data.as_ref().is_some_and(|on| on.value)
}

/// Whether a buffer is read when the call returns.
pub(super) fn at_return(
    written: &schema::Argument,
    section: Section,
    report: &mut Report,
) -> Result<Option<ReturnedSize>, Reported> {
    use schema::ArgumentType as Written;
    let Some(on) = written.return_copy.as_ref().filter(|on| on.value) else { return Ok(None) };
    if section == Section::Uprobes {
        unsupported::refuse("returnCopy of a uprobe", on.span, report);
        return Err(Reported);
    }
    let ty = written.ty.as_ref().map_or(Written::Auto, |ty| ty.value);
    let without_effect = if !matches!(section, Section::Kprobes | Section::Fentries) {
        Some(format!("{} has no return at which to read it", section.one()))
    } else if !matches!(ty, Written::CharBuf | Written::CharIovec) {
        Some("returnCopy has an effect on char_buf and char_iovec only".to_owned())
    } else {
        None
    };
    if let Some(message) = without_effect {
        let warning = Diagnostic::warning(Code::UselessParameter, on.span, message);
        report.push(warning.labelled("has no effect"));
        return Ok(None);
    }
    if let Some(all) = written.max_data.as_ref().filter(|all| all.value && ty == Written::CharBuf) {
        let message = "maxData does not go with returnCopy";
        let error = Diagnostic::error(Code::ArgumentType, all.span, message);
        report.push(error.also(on.span, "this one").help("when the call returns, up to 4095 bytes are read"));
        return Err(Reported);
    }
    Ok(Some(ReturnedSize::LONG))
}

/// An entry of `data`. `None` when the report has an error about it.
pub(super) fn data(written: &schema::Argument, section: Section, report: &mut Report) -> Option<Argument> {
    unsupported::argument(written, report);
    let source = written.source.as_ref().filter(|source| source.value != ArgumentSource::None);
    let Some(source) = source else {
        let error = Diagnostic::error(Code::MissingField, written.span, "an entry of `data` needs a source");
        report.push(error.help("add `source: current_task` or `source: pt_regs`"));
        return None;
    };
    let Some(found) = whole(written, report) else {
        let error = Diagnostic::error(Code::MissingField, written.span, "an entry of `data` needs `resolve`");
        report.push(error.help("add a path such as `resolve: mm.owner.comm`, or the name of a register"));
        return None;
    };
    let mut written = written.clone();
    let place = if source.value == ArgumentSource::PtRegs {
        Place::Register(register(&found.path, &mut written, report)?)
    } else {
        Place::Task
    };
    // the task is the kernel's, whatever is hooked
    let types_of = if place == Place::Task { Section::Kprobes } else { section };
    let ty = argument_type(&written, types_of, report)?;
    let is_number = matches!(ty.value.family(), Family::Number(_));
    if matches!(place, Place::Register(part) if part.bytes != 8 && !is_number) {
        let message = format!("`{}` is too narrow for a pointer", found.path.value);
        report.push(Diagnostic::error(Code::ArgumentType, ty.span, message));
        return None;
    }
    let size_index = size_index(&written, section, report);
    let at_return = at_return(&written, section, report);
    if ty.value == ArgumentType::Nop {
        let message = "an entry of `data` that is not read has no use";
        report.push(Diagnostic::warning(Code::UselessParameter, ty.span, message));
    }
    Some(Argument {
        index: Spanned::new(0, written.index.span),
        ty,
        place,
        is_syscall: false,
        resolve: (place == Place::Task).then_some(found),
        path: None,
        size_index: size_index.ok()?,
        size: None,
        max_data: max_data(&written),
        at_return: at_return.ok()?,
        is_data: true,
        label: given(written.label.as_ref()),
        span: written.span,
    })
}

/// The register of that name; an entry without a type has that of the register.
fn register(
    name: &Spanned<String>,
    written: &mut schema::Argument,
    report: &mut Report,
) -> Option<RegisterPart> {
    use schema::ArgumentType as Written;
    let Some(part) = RegisterPart::named(&name.value) else {
        let message = format!("there is no register `{}`", shortened(&name.value));
        let error = Diagnostic::error(Code::UnknownWord, name.span, message);
        report.push(error.help(suggestion(&name.value, RegisterPart::names(), "registers")));
        return None;
    };
    if written.ty.as_ref().is_none_or(|ty| ty.value == Written::Auto) {
        let ty = match part.bytes {
            1 => Written::Uint8,
            2 => Written::Uint16,
            4 => Written::Uint32,
            _ => Written::Uint64,
        };
        written.ty = Some(Spanned::new(ty, written.span));
    }
    Some(part)
}
