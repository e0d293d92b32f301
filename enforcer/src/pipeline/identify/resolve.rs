//! The stage: its state, and how it finds a process.

use api::event::{Process, ProcessRef, SharedProcess, Timestamp};
use api::name::{ProcessFlags, exec_id};
use bpf_probes::abi::{Namespaces, ProcessKey};

use super::data::{DataCache, DataStats};
use super::describe::Describe;
use super::proc::{Lookup, LookupStats};
use super::table::{Incarnation, Lineage, Table, TableStats};
use crate::pipeline::clock::WallTime;
use crate::pipeline::config::Config;
use crate::pipeline::decode::LongValue;
use crate::pipeline::inspect::KnownProcess;
use crate::pipeline::record::Data;

/// How far up parents are looked for in procfs.
const LOOKUP_DEPTH: u32 = 4;

/// The process that an event is about, and whom it comes from.
#[derive(Clone, Debug)]
pub(crate) struct Subject {
    /// The process.
    pub(crate) process: ProcessRef,
    /// Its parent, where it is known.
    pub(crate) parent: Option<ProcessRef>,
    /// From the parent's parent upwards; none unless [`Identify::add_ancestors`] was asked.
    pub(crate) ancestors: Vec<ProcessRef>,
    /// The parent's place in the table.
    pub(super) parent_id: Option<Incarnation>,
}

/// Who is who.
#[derive(Debug)]
pub(crate) struct Identify {
    pub(super) table: Table,
    pub(super) data: DataCache,
    pub(super) lookup: Lookup,
    pub(super) describe: Describe,
    pub(super) wall: WallTime,
}

impl Identify {
    pub(crate) fn new(config: &Config, host: Namespaces, wall: WallTime) -> Self {
        Self {
            table: Table::new(config.process_entries, config.released_entries, lineage(config)),
            data: DataCache::new(config.data_entries),
            lookup: Lookup::new(&config.proc_root, config.environment.read()),
            describe: Describe::new(config, host),
            wall,
        }
    }

    /// Sets how times of records are converted.
    pub(crate) fn set_wall(&mut self, wall: WallTime) {
        self.wall = wall;
    }

    /// The wall-clock time of a record.
    pub(crate) fn time(&self, ktime: u64) -> Timestamp {
        self.wall.at(ktime)
    }

    /// Keeps a piece of a long value for the record that it belongs to.
    pub(crate) fn data(&mut self, data: &Data<'_>) {
        self.data.add(data);
    }

    /// What there is of a buffer that a thread sent in pieces.
    pub(crate) fn pieces(&mut self, thread: u32, long: LongValue) -> Vec<u8> {
        let (bytes, _is_whole) = self.data.take(Incarnation { tgid: thread, ktime: long.stamp }, long.sent);
        bytes
    }

    /// All processes of the table, those that began first before the others.
    pub(crate) fn known(&self) -> Vec<KnownProcess> {
        self.table.known()
    }

    /// A step of the release of ended processes.
    pub(crate) fn step(&mut self) {
        self.table.step();
    }

    pub(crate) fn stats(&self) -> (TableStats, LookupStats, DataStats) {
        (self.table.stats(), self.lookup.stats(), self.data.stats())
    }

    /// The process that a key of the kernel side names: from the table, or from procfs. A key without time names whichever runs.
    pub(super) fn find(&mut self, key: ProcessKey) -> Option<Incarnation> {
        self.find_up(Incarnation::from(key), LOOKUP_DEPTH)
    }

    fn find_up(&mut self, id: Incarnation, depth: u32) -> Option<Incarnation> {
        if self.table.contains(id) {
            return Some(id);
        }
        if id.ktime == 0
            && let Some(current) = self.table.current(id.tgid)
        {
            return Some(current);
        }
        if id.tgid == 0 || depth == 0 {
            return None;
        }
        let running = self.lookup.find(id)?;
        let parent = Incarnation { tgid: running.parent_tgid, ktime: 0 };
        let parent = self.find_up(parent, depth - 1);
        let id = if id.ktime == 0 { running.id() } else { id };
        // Whatever ran under this pid before has become this one without a record that said so.
        if let Some(before) = self.table.current(id.tgid) {
            self.table.end(before);
        }
        let parent_exec_id = self.exec_id_of(parent);
        let start = self.wall.at(id.ktime);
        let known = self.describe.running(&running, id, parent, parent_exec_id, start);
        self.table.insert(id, known);
        Some(id)
    }

    /// The exec id of a process in the table; empty for none.
    pub(super) fn exec_id_of(&mut self, id: Option<Incarnation>) -> std::sync::Arc<str> {
        let known = id.and_then(|id| self.table.get(id));
        known.map_or_else(|| "".into(), |known| std::sync::Arc::clone(&known.process.exec_id))
    }

    /// A process in the table with its parent. `live`: with its references as of now.
    pub(super) fn subject(&mut self, id: Incarnation, live: bool) -> Option<Subject> {
        let (process, parent_id) = self.table.show_with_parent(id, live)?;
        let known = parent_id.and_then(|id| Some((id, self.table.show(id)?)));
        let (parent_id, parent) = known
            .or_else(|| {
                let found = self.find_up(parent_id?, LOOKUP_DEPTH)?;
                Some((found, self.table.show(found)?))
            })
            .unzip();
        Some(Subject { process, parent, ancestors: Vec::new(), parent_id })
    }

    /// A process of which nothing but its key is known.
    pub(super) fn unknown(&self, key: ProcessKey) -> Subject {
        let known_time = key.ktime != 0;
        let exec_id =
            if known_time { exec_id(self.describe.node(), key.ktime, key.tgid) } else { String::new() };
        let process = Process {
            exec_id: exec_id.into(),
            pid: Some(key.tgid),
            flags: ProcessFlags::from_bits(ProcessFlags::UNKNOWN),
            start_time: known_time.then(|| self.wall.at(key.ktime)),
            ..Process::default()
        };
        Subject {
            process: ProcessRef::new(SharedProcess::new(process), 0),
            parent: None,
            ancestors: Vec::new(),
            parent_id: None,
        }
    }

    /// Adds the ancestors beyond the parent.
    pub(crate) fn add_ancestors(&mut self, subject: &mut Subject) {
        if let Some(parent) = subject.parent_id {
            subject.ancestors = self.table.ancestors(parent);
        }
    }
}

/// Ancestors stay in the table where any events show them.
fn lineage(config: &Config) -> Lineage {
    if config.ancestors.is_empty() { Lineage::Parent } else { Lineage::Kept }
}
