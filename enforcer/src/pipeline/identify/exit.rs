//! A process ends.

use bpf_probes::abi::ExitRecord;

use super::resolve::{Identify, Subject};
use super::table::Incarnation;

impl Identify {
    /// Ends the process that is meant, or else the one that runs under its pid; no event is made of it.
    pub(crate) fn gone(&mut self, exit: &ExitRecord) {
        let id = Incarnation::from(exit.process);
        let ended = if self.table.contains(id) { Some(id) } else { self.table.current(id.tgid) };
        if let Some(ended) = ended {
            self.table.end(ended);
        }
    }

    /// Ends the process; it stays in the table for what comes late. `None` for a thread of the kernel, of which no event is made.
    pub(crate) fn exit(&mut self, exit: &ExitRecord) -> Option<Subject> {
        let id = Incarnation::from(exit.process);
        let current = self.table.current(id.tgid);
        // What the kernel side calls by a name that is not known here is still the process that runs under its pid.
        let found = if self.table.contains(id) { Some(id) } else { current.filter(|_| id.ktime == 0) };
        let Some(found) = found else {
            self.gone(exit);
            return Some(self.unknown(exit.process));
        };
        let kernel_thread = self.table.get(found).is_some_and(|known| known.kernel_thread);
        let subject = self.subject(found, false);
        self.table.end(found);
        if kernel_thread { None } else { subject }
    }
}
