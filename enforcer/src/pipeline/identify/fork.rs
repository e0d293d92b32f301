//! A process comes into being.

use std::sync::Arc;

use api::event::{Process, SharedProcess};
use api::name::ProcessFlags;
use bpf_probes::abi::{ForkRecord, process_flag};

use super::resolve::Identify;
use super::table::{Incarnation, Known};

impl Identify {
    /// Adds the child to the table: what its parent is, with a pid, time and flags of its own. No event is made of it.
    pub(crate) fn fork(&mut self, fork: &ForkRecord) {
        let id = Incarnation::from(fork.process);
        let Some(parent) = self.find(fork.parent) else {
            // The child is what procfs says of it, and else unknown until it is seen again.
            self.find(fork.process);
            return;
        };
        if let Some(before) = self.table.current(id.tgid).filter(|before| *before != id) {
            self.table.end(before);
        }
        let Some(known) = self.table.get(parent).cloned() else { return };
        // As upstream: a fork shows the bit of an exec, whatever its parent shows.
        let flags = fork.flags & !process_flag::CLONE | process_flag::EXECVE;
        let process = Process {
            exec_id: self.describe.exec_id(id),
            pid: Some(id.tgid),
            flags: ProcessFlags::from_bits(flags),
            start_time: Some(self.wall.at(id.ktime)),
            parent_exec_id: Arc::clone(&known.process.exec_id),
            in_init_tree: Some(flags & process_flag::IN_INIT_TREE != 0),
            ..Process::clone(&known.process)
        };
        let child = Known {
            process: SharedProcess::new(process),
            parent: Some(parent),
            shown_refcnt: 1,
            kernel_thread: known.kernel_thread,
        };
        self.table.insert(id, child);
    }
}
