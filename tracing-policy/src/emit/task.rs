//! What the kernel keeps with the calling thread: its namespaces and capabilities.
//!
//! Read after the tests that need no memory, and only what a test looks at.

use std::collections::BTreeSet;

use Register::{R0, R1, R7, R8};
use bpf_probes::builder::{BuildError, Function};
use bpf_probes::insn::{Register, Size};
use bpf_probes::kernel::Namespace;
use bpf_probes::routine::{NamespaceSource, namespace_source, pid_number};

use super::memory::{store, store_imm};
use super::program::Emitter;
use crate::ir::{Check, Hook, Subject, TableSubject};
use crate::policy::CapabilitySet;

/// The numbers of the calling thread that tests look at.
pub(super) fn subjects(hook: &Hook) -> BTreeSet<Subject> {
    let tested = hook.selectors().flat_map(|selector| &selector.tests).filter_map(|test| match &test.check {
        Check::Number(test) => Some(test.subject),
        Check::Enforcing
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
    });
    let looked_up = hook.tables.iter().filter_map(|table| match table.subject {
        TableSubject::Number { subject, .. } => Some(subject),
        TableSubject::Bytes { .. } | TableSubject::Address { .. } => None,
    });
    let mut all: BTreeSet<Subject> = tested.chain(looked_up).filter(|subject| subject.is_of_task()).collect();
    // what changed is seen by comparing what is
    for subject in all.clone() {
        match subject {
            Subject::NamespacesChanged => all.extend(Namespace::ALL.map(Subject::Namespace)),
            Subject::CapabilitiesChanged(set) => all.extend([Subject::Capabilities(set)]),
            Subject::HostPid
            | Subject::OwnPid
            | Subject::Read(_)
            | Subject::Field(..)
            | Subject::Namespace(_)
            | Subject::Capabilities(_) => {}
        }
    }
    all
}

impl Emitter<'_> {
    /// Whether a test looks at the calling thread.
    pub(super) fn looks_at_task(&self) -> bool {
        !self.state().task.is_empty()
    }

    /// Notes the numbers of the calling thread that tests look at.
    pub(super) fn note_task(&self, f: &mut Function<'_>) -> Result<(), BuildError> {
        let wanted: Vec<_> = self.state().task.iter().map(|(subject, place)| (*subject, *place)).collect();
        f.comment("namespaces and capabilities of the thread");
        f.current_task();
        f.copy(R7, R0);
        note_proxied(f, &wanted)?;
        for (subject, place) in &wanted {
            if *subject == Subject::Namespace(Namespace::Pid) {
                pid_number(f, R7, R8)?;
                f.read(R8, R8, "upid", "ns")?;
                f.read(R1, R8, "pid_namespace", "ns.inum")?;
                store(f, Size::Double, *place, R1)?;
            }
        }
        note_credentials(f, &wanted)?;
        self.note_changes(f)
    }
}

/// Namespaces behind `task->nsproxy`; a thread that is about to end has none, which reads as zero.
fn note_proxied(f: &mut Function<'_>, wanted: &[(Subject, u32)]) -> Result<(), BuildError> {
    let mut is_loaded = false;
    for (subject, place) in wanted {
        let Subject::Namespace(kind) = subject else { continue };
        let NamespaceSource::Proxy { member, container } = namespace_source(*kind) else { continue };
        if !(f.facts().has_field("nsproxy", member) && f.facts().has_field(container, "ns.inum")) {
            // compared with what was recorded only, and that is zero too
            store_imm(f, Size::Double, *place, 0)?;
            continue;
        }
        if !is_loaded {
            f.read(R8, R7, "task_struct", "nsproxy")?;
            is_loaded = true;
        }
        f.read(R1, R8, "nsproxy", member)?;
        f.read(R1, R1, container, "ns.inum")?;
        store(f, Size::Double, *place, R1)?;
    }
    Ok(())
}

fn note_credentials(f: &mut Function<'_>, wanted: &[(Subject, u32)]) -> Result<(), BuildError> {
    let mut is_loaded = false;
    for (subject, place) in wanted {
        let field = match subject {
            Subject::Namespace(Namespace::User) => "user_ns",
            Subject::Capabilities(CapabilitySet::Effective) => "cap_effective",
            Subject::Capabilities(CapabilitySet::Inheritable) => "cap_inheritable",
            Subject::Capabilities(CapabilitySet::Permitted) => "cap_permitted",
            Subject::Namespace(_)
            | Subject::HostPid
            | Subject::OwnPid
            | Subject::Read(_)
            | Subject::NamespacesChanged
            | Subject::CapabilitiesChanged(_)
            | Subject::Field(..) => continue,
        };
        if !is_loaded {
            f.read(R8, R7, "task_struct", "cred")?;
            is_loaded = true;
        }
        f.read(R1, R8, "cred", field)?;
        if *subject == Subject::Namespace(Namespace::User) {
            f.read(R1, R1, "user_namespace", "ns.inum")?;
        }
        store(f, Size::Double, *place, R1)?;
    }
    Ok(())
}
