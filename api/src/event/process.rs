//! A process, and how events refer to it.

use std::ops::Deref;
use std::sync::{Arc, OnceLock};

use super::{Capabilities, Credentials, Namespaces, Pod, Timestamp};
use crate::convert::ProcessFields;
use crate::json::ProcessJson;
use crate::name::ProcessFlags;

/// A variable of a process's environment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EnvironmentVariable {
    /// Name; `invalid` for an entry without `=`.
    pub key: Box<str>,
    /// Value.
    pub value: Box<str>,
}

/// One incarnation of a process: from exec (or fork) to the next exec or exit.
///
/// Strings are shared, so that the copy a fork makes costs pointers only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Process {
    /// See [`crate::name::exec_id`].
    pub exec_id: Arc<str>,
    /// Thread group id in the initial pid namespace.
    pub pid: Option<u32>,
    /// Effective user id at exec.
    pub uid: Option<u32>,
    /// Working directory, empty where it could not be read.
    pub cwd: Arc<str>,
    /// Absolute path of the executable, as it was asked for.
    pub binary: Arc<str>,
    /// See [`crate::name::join_arguments`].
    pub arguments: Arc<str>,
    /// What is special about the record.
    pub flags: ProcessFlags,
    /// When this incarnation started.
    pub start_time: Option<Timestamp>,
    /// Login user id; `u32::MAX` is unset.
    pub auid: Option<u32>,
    /// Pod it runs in.
    pub pod: Option<Arc<Pod>>,
    /// First 31 characters of the container id, or empty.
    pub docker: Arc<str>,
    /// `exec_id` of the parent.
    pub parent_exec_id: Arc<str>,
    /// Capabilities, where asked for.
    pub cap: Option<Capabilities>,
    /// Namespaces, where asked for.
    pub ns: Option<Namespaces>,
    /// Credentials, where asked for.
    pub credentials: Option<Box<Credentials>>,
    /// Name of the user, where asked for.
    pub user: Option<Arc<str>>,
    /// Whether it descends from a container's first process.
    pub in_init_tree: Option<bool>,
    /// Environment, where asked for.
    pub environment: Arc<[EnvironmentVariable]>,
}

#[derive(Debug, Default)]
struct Shared {
    process: Process,
    json: OnceLock<ProcessJson>,
    encoded: OnceLock<ProcessFields>,
}

/// A process that no longer changes, shared by the process table and all events that name it.
///
/// Cloning copies a pointer. Its JSON and its protobuf are made when first asked for and kept.
#[derive(Debug, Clone, Default)]
pub struct SharedProcess(Arc<Shared>);

impl SharedProcess {
    /// Freezes `process`.
    pub fn new(process: Process) -> Self {
        Self(Arc::new(Shared { process, json: OnceLock::new(), encoded: OnceLock::new() }))
    }

    /// Whether both are the same object, not merely equal.
    pub fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// The JSON text of the process, rendered at most once.
    pub(crate) fn json(&self) -> &ProcessJson {
        self.0.json.get_or_init(|| ProcessJson::render(&self.0.process))
    }

    /// The fields of the process in protobuf, encoded at most once.
    pub(crate) fn encoded(&self) -> &ProcessFields {
        self.0.encoded.get_or_init(|| ProcessFields::encode(&self.0.process))
    }
}

impl Deref for SharedProcess {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.0.process
    }
}

impl From<Process> for SharedProcess {
    fn from(process: Process) -> Self {
        Self::new(process)
    }
}

impl PartialEq for SharedProcess {
    fn eq(&self, other: &Self) -> bool {
        self.is_same(other) || self.0.process == other.0.process
    }
}

impl Eq for SharedProcess {}

/// A process as one event shows it: what is fixed, and what was so at that moment.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ProcessRef {
    /// The fixed part.
    pub process: SharedProcess,
    /// References to the table's entry when the event was made.
    pub refcnt: u32,
    /// Thread that caused the event; equal to the pid in exec and exit events.
    pub tid: Option<u32>,
}

impl ProcessRef {
    /// `process` as seen by its own main thread.
    pub fn new(process: SharedProcess, refcnt: u32) -> Self {
        let tid = process.pid;
        Self { process, refcnt, tid }
    }

    /// The same, in thread `tid`.
    #[must_use]
    pub fn in_thread(mut self, tid: u32) -> Self {
        self.tid = Some(tid);
        self
    }
}

impl Deref for ProcessRef {
    type Target = Process;

    fn deref(&self) -> &Process {
        &self.process
    }
}
