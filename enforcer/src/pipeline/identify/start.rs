//! The processes that ran before the daemon.

use std::sync::Arc;

use api::event::BinaryProperties;

use super::exec::Executed;
use super::proc::{Replay, RunningProcess};
use super::resolve::Identify;
use super::table::{Incarnation, KERNEL};
use crate::pipeline::enrich::binary_properties;

impl Identify {
    /// Adds the kernel to the table.
    pub(crate) fn start(&mut self) -> Option<Executed> {
        let known = self.describe.kernel(self.wall.at(KERNEL.ktime));
        self.table.insert(KERNEL, known);
        let subject = self.subject(KERNEL, false)?;
        Some(Executed { subject, properties: Arc::new(BinaryProperties::default()) })
    }

    /// Adds a process of `replay` to the table; `None` where no event is to be made of it.
    pub(crate) fn replay(&mut self, replay: &Replay, running: &RunningProcess) -> Option<Executed> {
        let id = running.id();
        let parent = if running.parent_tgid == KERNEL.tgid {
            Some(KERNEL)
        } else {
            self.table.current(running.parent_tgid).filter(|parent: &Incarnation| parent.tgid != id.tgid)
        };
        let parent_exec_id = self.exec_id_of(parent);
        let known = self.describe.running(running, id, parent, parent_exec_id, self.wall.at(id.ktime));
        self.table.insert(id, known);
        if !replay.shown(running) {
            return None;
        }
        let subject = self.subject(id, false)?;
        let properties = binary_properties(&running.binary, running.inode, running.links, None);
        Some(Executed { subject, properties: Arc::new(properties) })
    }
}
