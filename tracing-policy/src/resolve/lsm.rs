//! LSM hooks: an LSM program where such programs run, else the function that asks the hook.
//!
//! The LSM program itself reports and denies. It is exact (LSM programs have no protection against recursion that could skip one), has the parameters that
//! the policy counts, and sees what an LSM hook is asked: calls that the security modules before `bpf` allowed, as in Tetragon. Who wants attempts too, hooks the `security_*`
//! function with a kprobe, which sees every one (ADR 3).

use bpf_probes::attach::{self, Mechanism};
use bpf_probes::btf::{Btf, TypeId};
use bpf_probes::kernel::{Feature, KernelView, function_of_hook};
use bpf_probes::spec::AttachSpec;

use super::policy::Placed;
use super::{argument, mechanism};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{Argument, Attachment, Convention, Exactness, Hook, HookKey, Role};

/// Where an LSM hook attaches; `None` when the report says why it cannot.
pub(super) fn place(hook: &Hook, name: &str, kernel: &KernelView, report: &mut Report) -> Option<Placed> {
    let function = function_of_hook(name);
    let prototype = kernel.lsm_hook(name);
    if prototype.is_none() && !kernel.has_function(&function) {
        let message = format!("kernel {} has no LSM hook `{name}`", kernel.release());
        report.push(Diagnostic::error(Code::NoSuchFunction, hook.kind.span, message));
        return None;
    }
    let shown = if prototype.is_some() { name } else { &function };
    let prototype = prototype.or_else(|| kernel.function_btf(&function));
    let fits = argument::fit_prototype(hook, shown, prototype, kernel, report);
    let point = attach::Hook::lsm(name, &mechanism::duties(hook));
    let plan = mechanism::plan(hook, &point, kernel, report)?;
    let by_program = plan.attachments.iter().any(|one| matches!(one.mechanism, Mechanism::Lsm { .. }));
    if !by_program {
        if hook.selectors.iter().any(|selector| selector.post.file_hash) {
            let message = "`imaHash` needs LSM programs, which do not run on this kernel";
            let error = Diagnostic::error(Code::NotOnThisKernel, hook.kind.span, message);
            report.push(error.help("boot with `bpf` in the list of security modules (lsm=)"));
            return None;
        }
        let arguments = arguments_of_function(hook, name, &function, kernel, report);
        let attachments = mechanism::attachments(hook, &point, kernel, report)?;
        let key = HookKey { function, convention: Convention::Function };
        return fits.then_some(Placed { key, attachments, arguments: arguments? });
    }
    let attachment = Attachment {
        target: AttachSpec::Lsm { hook: name.to_owned() },
        // also where nothing is overridden, so that all policies on the hook share one program
        role: Role::ReportAndDeny,
        reason: mechanism::reason(&plan),
        exactness: Exactness::Exact,
    };
    let key = HookKey { function: name.to_owned(), convention: Convention::Lsm };
    let mut attachments = vec![attachment.clone()];
    if hook.selectors.iter().any(|selector| selector.post.file_hash) {
        if !can_hash(hook, kernel, report) {
            return None;
        }
        // of LSM programs on one hook the latest runs first
        for (role, reason) in [
            (Role::TakeHash, "takes the hash of the file, for which it sleeps"),
            (Role::AskForHash, "asks for the hash of the file where a report will carry it"),
        ] {
            attachments.push(Attachment { role, reason: reason.to_owned(), ..attachment.clone() });
        }
    }
    fits.then(|| Placed { key, attachments, arguments: hook.arguments.clone() })
}

/// Whether programs can have hashes of files; the report says why not.
fn can_hash(hook: &Hook, kernel: &KernelView, report: &mut Report) -> bool {
    let lacking = [Feature::LsmSleepable, Feature::ImaFileHash].into_iter().find(|it| !kernel.has(*it));
    if let Some(lacking) = lacking {
        let message = format!(
            "the hash of a file is not to be had on this kernel: {}: {}",
            lacking.name(),
            kernel.answer(lacking)
        );
        report.push(
            Diagnostic::error(Code::NotOnThisKernel, hook.kind.span, message).help("leave `imaHash` out"),
        );
    }
    lacking.is_none()
}

/// The hook's arguments where the function that asks it has them: by name and type, when the two differ.
fn arguments_of_function(
    hook: &Hook,
    name: &str,
    function: &str,
    kernel: &KernelView,
    report: &mut Report,
) -> Option<Vec<Argument>> {
    let btf = kernel.btf();
    let (Some(asked), Some(asking)) =
        (parameters(kernel.lsm_hook(name), btf), parameters(kernel.function_btf(function), btf))
    else {
        return Some(hook.arguments.clone());
    };
    let mut moved = hook.arguments.clone();
    let mut all = true;
    for argument in moved.iter_mut().filter(|argument| !argument.is_data) {
        let wanted = asked.get(usize::from(argument.index.value));
        let found = asking.iter().position(|parameter| Some(parameter) == wanted);
        if let Some(index) = found.and_then(|index| u8::try_from(index).ok()) {
            argument.index.value = index;
            if let Some(size) = &mut argument.size_index {
                let wanted = asked.get(usize::from(size.value));
                let found = asking.iter().position(|parameter| Some(parameter) == wanted);
                size.value = found.and_then(|index| u8::try_from(index).ok()).unwrap_or(size.value);
            }
        } else {
            let message = format!(
                "LSM programs do not run on this kernel, and {function}, which asks {name}, has no such argument"
            );
            let error = Diagnostic::error(Code::NotOnThisKernel, argument.index.span, message);
            report.push(error.help("boot with `bpf` in the list of security modules (lsm=)"));
            all = false;
        }
    }
    all.then_some(moved)
}

/// Names and types of the parameters.
fn parameters(function: Option<TypeId>, btf: &Btf) -> Option<Vec<(String, Option<TypeId>)>> {
    let prototype = btf.prototype(function?).ok()?;
    let one = |parameter: bpf_probes::btf::Parameter<'_>| {
        (parameter.name.to_owned(), btf.peel(parameter.type_id).ok())
    };
    Some(prototype.parameters().map(one).collect())
}
