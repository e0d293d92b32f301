//! Types of arguments that the text leaves to the kernel: what a path leads to, what a field of a tracepoint is.

use super::policy::Types;
use super::reach::{self, Start};
use super::tracepoint;
use crate::check;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{Hook, Resolve, Untyped};
use crate::schema::{self, ArgumentSource, ArgumentType as Written};
use crate::source::Spanned;

/// The hook with all its types; `None` when the report says which cannot be had.
pub(super) fn settle(hook: &Hook, written: &Untyped, types: Types<'_>, report: &mut Report) -> Option<Hook> {
    let settled = match written {
        Untyped::Kprobe(written) => {
            let mut written = written.clone();
            let args = paths(hook, &mut written.args, types, report);
            let data = paths(hook, &mut written.data, types, report);
            let returned = returned(hook, written.return_arg.as_mut(), types, report);
            args.and(data).and(returned)?;
            check::settled_kprobe(*written, hook, report)
        }
        Untyped::Lsm(written) => {
            let mut written = written.clone();
            paths(hook, &mut written.args, types, report)?;
            check::settled_lsm(written, report)
        }
        Untyped::Tracepoint(written) => {
            let mut written = written.clone();
            let args = paths(hook, &mut written.args, types, report);
            let is_raw = written.raw.as_ref().is_some_and(|raw| raw.value);
            let fields =
                if is_raw { Some(()) } else { tracepoint::types(&mut written, types.kernel, report) };
            args.and(fields)?;
            check::settled(written, report)
        }
        Untyped::Uprobe(written) => {
            let mut written = written.clone();
            let args = paths(hook, &mut written.args, types, report);
            let data = paths(hook, &mut written.data, types, report);
            let returned = returned(hook, written.return_arg.as_mut(), types, report);
            args.and(data).and(returned)?;
            check::settled_uprobe(*written, hook, report)
        }
        Untyped::Usdt(written) => {
            let mut written = written.clone();
            paths(hook, &mut written.args, types, report)?;
            check::settled_usdt(written, report)
        }
    };
    settled.map(|settled| Hook { entry: hook.entry, ..settled })
}

/// Fills in the type of what is returned, if it is resolved.
fn returned(
    hook: &Hook,
    argument: Option<&mut schema::Argument>,
    types: Types<'_>,
    report: &mut Report,
) -> Option<()> {
    let argument = argument.filter(|argument| check::is_resolved(argument));
    argument.map_or(Some(()), |it| one(hook, it, Some(Start::Return), types, report))
}

/// Fills in the types of what is resolved.
fn paths(
    hook: &Hook,
    arguments: &mut [schema::Argument],
    types: Types<'_>,
    report: &mut Report,
) -> Option<()> {
    let mut all = Some(());
    for argument in arguments.iter_mut().filter(|argument| check::is_resolved(argument)) {
        if one(hook, argument, None, types, report).is_none() {
            all = None;
        }
    }
    all
}

/// Fills in the type of an argument that is reached from `start`; where that is not said, from its own place.
fn one(
    hook: &Hook,
    argument: &mut schema::Argument,
    start: Option<Start>,
    types: Types<'_>,
    report: &mut Report,
) -> Option<()> {
    let given = |text: &Option<Spanned<String>>| text.clone().filter(|text| !text.value.is_empty());
    let resolve = Resolve {
        path: given(&argument.resolve)?,
        btf_type: given(&argument.btf_type),
        module: given(&argument.btf_type_module),
    };
    let is_elsewhere = argument.source.as_ref().is_some_and(|it| it.value != ArgumentSource::None);
    let start = match start {
        Some(start) => start,
        None if is_elsewhere => Start::Task,
        None => Start::Parameter(u8::try_from(argument.index.value).ok()?),
    };
    let base = reach::base(hook, start, &resolve, types, report)?;
    let found = reach::walk(base, &resolve, report)?;
    let written = argument.ty.as_ref().map(|ty| ty.value).filter(|ty| *ty != Written::Auto);
    let span = argument.ty.as_ref().map_or(argument.span, |ty| ty.span);
    // a program's struct of the same name is no object of the kernel
    let is_known = |ty: &Written| !reach::is_of_program(hook, start) || is_plain(*ty);
    let recognised = reach::recognised(base.btf, &found, written).filter(is_known);
    let Some(ty) = recognised.or(written) else {
        let shown = base.btf.describe(found.leaf.declared);
        let message = format!("`{}` is `{shown}`, from which no type can be derived", resolve.path.value);
        report.push(Diagnostic::error(Code::ArgumentType, span, message).help("give it a `type:`"));
        return None;
    };
    argument.ty = Some(Spanned::new(ty, span));
    Some(())
}

/// Whether values of the type are numbers or text.
fn is_plain(ty: Written) -> bool {
    matches!(
        ty,
        Written::Int8
            | Written::Uint8
            | Written::Int16
            | Written::Uint16
            | Written::Int32
            | Written::Uint32
            | Written::Int64
            | Written::Uint64
            | Written::String
    )
}
