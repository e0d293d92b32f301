//! Overrides at places in programs, fitted to the file.

use super::uprobe::{behind_beginning, find};
use crate::binary::{Binary, CpuRegister, FileOffset};
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::files::BinaryFile;
use crate::policy::{Assigned, Assignment, Hook, Rewrite};

/// The hook, at `offset` of the file, with registers for what its overrides name; `None` when the report says what cannot be.
pub(super) fn fit(hook: &Hook, offset: u64, file: &BinaryFile, report: &mut Report) -> Option<Hook> {
    let mut hook = hook.clone();
    let returns = hook.returned.is_some();
    let mut fits = true;
    for rewrite in hook.selectors.iter_mut().filter_map(|selector| selector.rewrite.as_mut()) {
        if let Err(error) = one(rewrite, returns, offset, file) {
            report.push(*error);
            fits = false;
        }
    }
    fits.then_some(hook)
}

fn one(rewrite: &mut Rewrite, returns: bool, offset: u64, file: &BinaryFile) -> Result<(), Box<Diagnostic>> {
    let error = |code, message| Box::new(Diagnostic::error(code, rewrite.span, message));
    if returns && rewrite.moves_stack() {
        return Err(Box::new(both_ends(rewrite)));
    }
    if rewrite.returns
        && let Some((name, distance)) = behind_beginning(offset, file)
    {
        let message = format!(
            "{distance:#x} bytes behind the beginning of {name} there is no return address to be found"
        );
        let help = format!("hook {name} itself, or say with `argRegs` what is to become of the registers");
        return Err(Box::new(error(Code::NoSuchFunction, message).help(help)));
    }
    let Some(target) = rewrite.target.take() else { return Ok(()) };
    let to = find(&target.value, file).map_err(|message| {
        let message = format!("{}: {message}", file.path);
        Box::new(Diagnostic::error(Code::NoSuchFunction, target.span, message))
    })?;
    let rip = CpuRegister::Rip;
    let source = Assigned::Register { register: rip, shift: 0, width: 8, plus: distance(offset, to, file) };
    rewrite.assignments = vec![Assignment { register: rip, shift: 0, width: 8, source }];
    Ok(())
}

/// From one place of the file to another in memory, wherever that is loaded.
fn distance(from: u64, to: u64, file: &BinaryFile) -> i64 {
    let binary = Binary::parse(&file.bytes).ok();
    let address = |offset| binary.as_ref().and_then(|binary| binary.offset_to_address(FileOffset(offset)));
    let (from, to) = address(from).zip(address(to)).unwrap_or((from, to));
    to.wrapping_sub(from).cast_signed()
}

/// An override that returns, and a look at the return: the kernel puts its own return address where the stack ends when the override is done
/// (`kernel/events/uprobes.c: handler_chain`, `prepare_uretprobe`), which would be in the caller's part of the stack.
pub(crate) fn both_ends(rewrite: &Rewrite) -> Diagnostic {
    let message = "a function that is to return at once cannot be seen to return";
    let help = "leave `return` out, or have `argNewSymbol` name a function that returns what is wanted";
    Diagnostic::error(Code::NotOnThisKernel, rewrite.span, message).help(help)
}
