//! Types of arguments that the text leaves to the kernel: what a path leads to, what a field of a tracepoint is.

use bpf_probes::kernel::KernelView;

use super::reach::{self, Start};
use super::tracepoint;
use crate::check;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{Hook, Resolve, Untyped};
use crate::schema::{self, ArgumentSource, ArgumentType as Written};
use crate::source::Spanned;

/// The hook with all its types; `None` when the report says which cannot be had.
pub(super) fn settle(
    hook: &Hook,
    written: &Untyped,
    kernel: &KernelView,
    report: &mut Report,
) -> Option<Hook> {
    let settled = match written {
        Untyped::Kprobe(written) => {
            let mut written = written.clone();
            let args = paths(hook, &mut written.args, kernel, report);
            let data = paths(hook, &mut written.data, kernel, report);
            let returned = written.return_arg.as_mut().filter(|argument| check::is_resolved(argument));
            let returned = returned.map_or(Some(()), |it| one(hook, it, Some(Start::Return), kernel, report));
            args.and(data).and(returned)?;
            check::settled_kprobe(*written, hook, report)
        }
        Untyped::Lsm(written) => {
            let mut written = written.clone();
            paths(hook, &mut written.args, kernel, report)?;
            check::settled_lsm(written, report)
        }
        Untyped::Tracepoint(written) => {
            let mut written = written.clone();
            let args = paths(hook, &mut written.args, kernel, report);
            let is_raw = written.raw.as_ref().is_some_and(|raw| raw.value);
            let fields = if is_raw { Some(()) } else { tracepoint::types(&mut written, kernel, report) };
            args.and(fields)?;
            check::settled(written, report)
        }
    };
    settled.map(|settled| Hook { entry: hook.entry, ..settled })
}

/// Fills in the types of what is resolved.
fn paths(
    hook: &Hook,
    arguments: &mut [schema::Argument],
    kernel: &KernelView,
    report: &mut Report,
) -> Option<()> {
    let mut all = Some(());
    for argument in arguments.iter_mut().filter(|argument| check::is_resolved(argument)) {
        if one(hook, argument, None, kernel, report).is_none() {
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
    kernel: &KernelView,
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
    let base = reach::base(hook, start, &resolve, kernel, report)?;
    let found = reach::walk(base, &resolve, report)?;
    let written = argument.ty.as_ref().map(|ty| ty.value).filter(|ty| *ty != Written::Auto);
    let span = argument.ty.as_ref().map_or(argument.span, |ty| ty.span);
    let Some(ty) = reach::recognised(base.btf, &found, written).or(written) else {
        let shown = base.btf.describe(found.leaf.declared);
        let message = format!("`{}` is `{shown}`, from which no type can be derived", resolve.path.value);
        report.push(Diagnostic::error(Code::ArgumentType, span, message).help("give it a `type:`"));
        return None;
    };
    argument.ty = Some(Spanned::new(ty, span));
    Some(())
}
