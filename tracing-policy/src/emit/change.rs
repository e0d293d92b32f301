//! What changed since the process's image began: the thread's namespaces and capabilities against those that were recorded.
//!
//! Of a process that is not recorded nothing has changed. Where a selector matches, what it asked for is recorded anew, so that a change is told once.

use std::mem::offset_of;

use Register::{R0, R1, R2, R7, R8, R10};
use bpf_probes::abi::{Recorded, map_name};
use bpf_probes::asm::Label;
use bpf_probes::builder::{BuildError, Function};
use bpf_probes::insn::{AluOp, Condition, Register, Size};
use bpf_probes::kernel::Namespace;

use super::memory::{load, store, store_imm};
use super::program::Emitter;
use crate::ir::{Check, Selector, Subject};
use crate::policy::CapabilitySet;

/// Where a namespace's number is recorded.
fn namespace_at(kind: Namespace) -> i16 {
    let offset = offset_of!(Recorded, namespaces) + 4 * kind as usize;
    i16::try_from(offset).expect("what is recorded is small")
}

/// Where a set of capabilities is recorded.
fn set_at(set: CapabilitySet) -> i16 {
    let offset = match set {
        CapabilitySet::Effective => offset_of!(Recorded, effective),
        CapabilitySet::Inheritable => offset_of!(Recorded, inheritable),
        CapabilitySet::Permitted => offset_of!(Recorded, permitted),
    };
    i16::try_from(offset).expect("what is recorded is small")
}

impl Emitter<'_> {
    /// Whether a test looks at what changed.
    pub(super) fn looks_at_changes(&self) -> bool {
        self.state().task.keys().any(|subject| subject.is_change())
    }

    fn noted_at(&self, subject: Subject) -> u32 {
        self.state().task.get(&subject).copied().unwrap_or(0)
    }

    /// `R0 = what is recorded of the process`, going to `unknown` when nothing is.
    fn recorded(&self, f: &mut Function<'_>, unknown: Label) -> Result<(), BuildError> {
        f.scope(|f| {
            let key = f.slot(8)?;
            load(f, Size::Word, R1, self.state().pid_tgid + 4)?;
            f.store(Size::Double, R10, key.offset(), R1);
            f.lookup(map_name::RECORDED, key, unknown);
            Ok(())
        })
    }

    /// Notes what changed, where a test looks at it; the thread's numbers are noted already.
    pub(super) fn note_changes(&self, f: &mut Function<'_>) -> Result<(), BuildError> {
        if !self.looks_at_changes() {
            return Ok(());
        }
        let (unknown, out) = (f.label(), f.label());
        f.comment("what changed since exec");
        self.recorded(f, unknown)?;
        f.copy(R7, R0);
        for (subject, place) in &self.state().task {
            match subject {
                Subject::NamespacesChanged => {
                    f.constant(R8, 0);
                    for kind in Namespace::ALL {
                        let same = f.label();
                        load(f, Size::Double, R1, self.noted_at(Subject::Namespace(kind)))?;
                        f.load(Size::Word, R2, R7, namespace_at(kind));
                        f.jump_if_reg(Condition::Eq, R1, R2, same);
                        f.alu(AluOp::Or, R8, 1 << kind.index());
                        f.bind(same);
                    }
                    store(f, Size::Double, *place, R8)?;
                }
                Subject::CapabilitiesChanged(set) => {
                    load(f, Size::Double, R1, self.noted_at(Subject::Capabilities(*set)))?;
                    f.load(Size::Double, R2, R7, set_at(*set));
                    f.alu_reg(AluOp::Xor, R1, R2);
                    store(f, Size::Double, *place, R1)?;
                }
                Subject::HostPid
                | Subject::OwnPid
                | Subject::Read(_)
                | Subject::Field(..)
                | Subject::Namespace(_)
                | Subject::Capabilities(_) => {}
            }
        }
        f.jump(out);
        f.bind(unknown);
        for (_, place) in self.state().task.iter().filter(|(subject, _)| subject.is_change()) {
            store_imm(f, Size::Double, *place, 0)?;
        }
        f.bind(out);
        Ok(())
    }

    /// Records anew what a selector that matched asks for.
    pub(super) fn record_anew(&self, f: &mut Function<'_>, selector: &Selector) -> Result<(), BuildError> {
        let asked: Vec<(Subject, u64)> = selector
            .tests
            .iter()
            .filter_map(|test| match &test.check {
                Check::Number(test) if test.subject.is_change() => Some((test.subject, test.mask)),
                Check::Number(_)
                | Check::Enforcing
                | Check::Class { .. }
                | Check::Gained { .. }
                | Check::FileType { .. }
                | Check::Leaf { .. }
                | Check::Readable(_)
                | Check::Bytes(_)
                | Check::Contains(_)
                | Check::Entered { .. }
                | Check::Expression(_)
                | Check::Address(_) => None,
            })
            .collect();
        if asked.is_empty() {
            return Ok(());
        }
        let unknown = f.label();
        self.recorded(f, unknown)?;
        for (subject, mask) in asked {
            if let Subject::CapabilitiesChanged(set) = subject {
                load(f, Size::Double, R1, self.noted_at(Subject::Capabilities(set)))?;
                f.store(Size::Double, R0, set_at(set), R1);
                continue;
            }
            for kind in Namespace::ALL.into_iter().filter(|kind| mask & 1 << kind.index() != 0) {
                load(f, Size::Double, R1, self.noted_at(Subject::Namespace(kind)))?;
                f.store(Size::Word, R0, namespace_at(kind), R1);
            }
        }
        f.bind(unknown);
        Ok(())
    }
}
