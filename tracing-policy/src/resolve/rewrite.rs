//! Overrides at places in programs, fitted to the file.

use super::user_code::UserCode;
use crate::binary::CpuRegister;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{Assigned, Assignment, Hook, Rewrite};

/// The hook, at `offset` of the file, with registers for what its overrides name; `None` when the report says what cannot be.
pub(super) fn fit(hook: &Hook, offset: u64, code: &UserCode<'_>, report: &mut Report) -> Option<Hook> {
    let mut hook = hook.clone();
    let returns = hook.returned.is_some();
    let mut fits = true;
    for rewrite in hook.selectors.iter_mut().filter_map(|selector| selector.rewrite.as_mut()) {
        if let Err(error) = one(rewrite, returns, offset, code) {
            report.push(*error);
            fits = false;
        }
    }
    fits.then_some(hook)
}

fn one(
    rewrite: &mut Rewrite,
    returns: bool,
    offset: u64,
    code: &UserCode<'_>,
) -> Result<(), Box<Diagnostic>> {
    let error = |code, message| Box::new(Diagnostic::error(code, rewrite.span, message));
    if returns && rewrite.moves_stack() {
        return Err(Box::new(both_ends(rewrite)));
    }
    if rewrite.returns
        && let Some((name, message)) = code.in_the_midst(offset)
    {
        let help = format!("hook {name} itself, or say with `argRegs` what is to become of the registers");
        return Err(Box::new(error(Code::NoSuchFunction, message).help(help)));
    }
    let Some(target) = rewrite.target.take() else { return Ok(()) };
    let to = code.find(&target.value).map_err(|message| {
        let message = format!("{}: {message}", code.file.path);
        Box::new(Diagnostic::error(Code::NoSuchFunction, target.span, message))
    })?;
    let rip = CpuRegister::Rip;
    let source = Assigned::Register { register: rip, shift: 0, width: 8, plus: code.distance(offset, to) };
    rewrite.assignments = vec![Assignment { register: rip, shift: 0, width: 8, source }];
    Ok(())
}

/// An override that returns, and a look at the return: the kernel puts its own return address where the stack ends when the override is done
/// (`kernel/events/uprobes.c: handler_chain`, `prepare_uretprobe`), which would be in the caller's part of the stack.
pub(crate) fn both_ends(rewrite: &Rewrite) -> Diagnostic {
    let message = "a function that is to return at once cannot be seen to return";
    let help = "leave `return` out, or have `argNewSymbol` name a function that returns what is wanted";
    Diagnostic::error(Code::NotOnThisKernel, rewrite.span, message).help(help)
}
