//! A process ran into a hook.

use bpf_probes::abi::HookRecord;

use super::resolve::{Identify, Subject};

impl Identify {
    /// The process of the record, in its thread.
    pub(crate) fn hook(&mut self, hook: &HookRecord) -> Subject {
        let found = self.find(hook.process);
        let mut subject =
            found.and_then(|id| self.subject(id, true)).unwrap_or_else(|| self.unknown(hook.process));
        subject.process.tid = Some(hook.tid);
        subject
    }
}
