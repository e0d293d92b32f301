//! Registers at the hook, which only kprobes see.

use bpf_probes::spec::AttachSpec;

use crate::diagnostic::{Code, Diagnostic, Report};
use crate::policy::{Action, ArgumentId, Attachment, Hook, Place, Role, Seat};

/// Whether every program that looks at a register sees it; `None` when the report says which does not.
pub(super) fn can_be_read(hook: &Hook, attachments: &[Attachment], report: &mut Report) -> Option<()> {
    let mut all = Some(());
    for (position, argument) in hook.arguments.iter().enumerate() {
        if !matches!(argument.place, Place::Register(_)) {
            continue;
        }
        let id = ArgumentId::new(position);
        let denies = |action: &Action| action.overrides();
        let judged = hook.selectors.iter().any(|selector| {
            let looks = selector.arguments.iter().any(|filter| id.is_some_and(|id| filter.tests(id)));
            looks && selector.actions.iter().any(|action| denies(&action.value))
        });
        let blind = attachments.iter().find(|one| {
            let sees = matches!(
                one.target,
                AttachSpec::Kprobe { .. }
                    | AttachSpec::KprobeMulti { .. }
                    | AttachSpec::Uprobe { .. }
                    | AttachSpec::UprobeMulti { .. }
            );
            let looks = match one.role.seat() {
                Seat::Entry | Seat::Ahead => true,
                // reads no argument
                Seat::Return => false,
                Seat::Deny | Seat::Exit => one.role == Role::Deny && judged,
                Seat::FaultIn { .. } | Seat::Take | Seat::Ask => false,
            };
            looks && !sees
        });
        if let Some(blind) = blind {
            let message =
                format!("registers at the hook are seen by kprobes; this is served by {}", blind.target);
            report.push(Diagnostic::error(Code::NotOnThisKernel, argument.span, message));
            all = None;
        }
    }
    all
}
