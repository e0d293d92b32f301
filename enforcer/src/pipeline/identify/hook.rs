//! A process ran into a hook.

use bpf_probes::abi::{HookRecord, ProcessKey};

use super::resolve::{Identify, Subject};
use super::table::Incarnation;

impl Identify {
    /// The process of the record, in its thread.
    pub(crate) fn hook(&mut self, hook: &HookRecord) -> Subject {
        let found = self.ending(hook.process).or_else(|| self.find(hook.process));
        let mut subject =
            found.and_then(|id| self.subject(id, true)).unwrap_or_else(|| self.unknown(hook.process));
        subject.process.tid = Some(hook.tid);
        subject
    }

    /// The process that has ended and still closes what it had open: the kernel side forgets it with its exit, which `do_exit` reports before
    /// files and namespaces go (`kernel/exit.c`), and its number is not given again before all of that is done.
    fn ending(&self, key: ProcessKey) -> Option<Incarnation> {
        if key.ktime == 0 { self.table.newest(key.tgid) } else { None }
    }
}
