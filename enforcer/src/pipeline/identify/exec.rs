//! A process becomes another program.

use std::sync::Arc;

use api::event::{BinaryProperties, SharedProcess};
use bpf_probes::abi::process_flag;

use super::describe::Facts;
use super::resolve::{Identify, Subject};
use super::table::{Incarnation, Known};
use crate::pipeline::enrich::binary_properties;
use crate::pipeline::record::Exec;

/// An exec, identified.
#[derive(Debug)]
pub(crate) struct Executed {
    /// The new incarnation and its parent.
    pub(crate) subject: Subject,
    /// What the exec says about its file.
    pub(crate) properties: Arc<BinaryProperties>,
}

impl Identify {
    /// Adds the new incarnation to the table and ends the one before.
    pub(crate) fn exec(&mut self, exec: &Exec<'_>) -> Executed {
        let fixed = exec.fixed;
        let id = Incarnation::from(fixed.process);
        let previous = Incarnation { tgid: id.tgid, ktime: fixed.previous_ktime };
        let previous =
            if self.table.contains(previous) { Some(previous) } else { self.table.current(id.tgid) };
        let previous = previous.filter(|previous| *previous != id);
        // A process that was forked since has the forking one as its parent; another one has what it was before.
        let own = previous.filter(|_| fixed.flags & process_flag::CLONE == 0);
        let parent = own.or_else(|| self.find(fixed.parent));

        let (arguments, flags) = self.arguments(exec, id);
        let (environment, flags) = self.environment(exec, id, flags);
        let facts = Facts {
            id,
            flags,
            binary: if exec.filename.is_empty() { exec.path } else { exec.filename },
            cwd: exec.cwd,
            arguments: after_first(&arguments),
            environment: &environment,
            auid: fixed.auid,
            credentials: &fixed.credentials,
            namespaces: &fixed.namespaces,
            cgroup: exec.cgroup,
            start: self.wall.at(id.ktime),
        };
        let parent_process =
            parent.and_then(|parent| self.table.get(parent)).map(|known| known.process.clone());
        let parent_exec_id = match &parent_process {
            Some(process) => Arc::clone(&process.exec_id),
            None if fixed.parent.ktime != 0 => self.describe.exec_id(fixed.parent.into()),
            None => "".into(),
        };
        let process = self.describe.process(&facts, parent_process.as_ref(), parent_exec_id);
        let process = SharedProcess::new(process);
        let known = Known { process: process.clone(), parent, shown_refcnt: 0, kernel_thread: false };
        self.table.insert(id, known);
        if let Some(previous) = previous {
            self.table.end(previous);
        }
        let subject = Subject {
            process: api::event::ProcessRef::new(process, 0),
            parent: parent.and_then(|parent| self.table.show(parent)),
            ancestors: Vec::new(),
            parent_id: parent,
        };
        let privileges = self.describe.shows_credentials().then_some((&fixed.credentials, fixed.gained));
        let properties = binary_properties(exec.path, fixed.inode, fixed.links, privileges);
        Executed { subject, properties: Arc::new(properties) }
    }

    /// All arguments, those that came in data records first, and the flags that say how whole they are.
    fn arguments<'a>(&mut self, exec: &Exec<'a>, id: Incarnation) -> (std::borrow::Cow<'a, [u8]>, u32) {
        let mut flags = exec.fixed.flags;
        if exec.fixed.data_len == 0 {
            return (exec.arguments.into(), flags);
        }
        let (mut arguments, whole) = self.data.take(id, exec.fixed.data_len);
        if whole {
            arguments.extend_from_slice(exec.arguments);
        } else {
            flags |= process_flag::TRUNCATED_ARGUMENTS;
        }
        (arguments.into(), flags)
    }

    /// The environment, which came in data records, and the flags with what is missing of it.
    fn environment(&mut self, exec: &Exec<'_>, id: Incarnation, flags: u32) -> (Vec<u8>, u32) {
        if exec.fixed.environment_len == 0 {
            return (Vec::new(), flags);
        }
        let (environment, whole) = self.data.take_environment(id, exec.fixed.environment_len);
        let missing = if whole { 0 } else { process_flag::ERROR_ENVIRONMENT };
        (environment, flags | missing)
    }
}

/// What follows the first argument.
fn after_first(arguments: &[u8]) -> &[u8] {
    let first = arguments.iter().position(|byte| *byte == 0);
    first.and_then(|end| arguments.get(end + 1..)).unwrap_or_default()
}
