//! All processes at once.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use bpf_probes::abi::{Namespaces, ProcessKey, ProcessState, process_flag};
use bpf_probes::sensor::Environment;

use super::patience::Patience;
use super::process::{RunningProcess, host_namespaces};
use crate::pipeline::enrich::container_id;
use crate::pipeline::identify::table::KERNEL;

/// How long one process may hold up the scan.
const PATIENCE: Duration = Duration::from_millis(100);

/// Why procfs could not be read.
#[derive(Debug, thiserror::Error)]
pub enum ScanError {
    /// Its directory could not be listed.
    #[error("the processes in {} could not be listed: {error}; is it a mounted procfs?", path.display())]
    List {
        /// The directory.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
}

/// The processes that ran when procfs was scanned, parents first.
#[derive(Clone, Debug, Default)]
pub struct Replay {
    processes: Vec<RunningProcess>,
    host: Namespaces,
    hidden: HashSet<u32>,
}

impl Replay {
    /// Reads all processes under `root`, with their environment where `environment` says so. One that ends meanwhile is left out.
    ///
    /// # Errors
    /// When `root` cannot be listed.
    pub fn scan(root: &Path, environment: Environment) -> Result<Self, ScanError> {
        let failed = |error| ScanError::List { path: root.to_owned(), error };
        let mut patience = Patience::new(environment);
        let mut processes = Vec::new();
        for entry in fs::read_dir(root).map_err(failed)? {
            let name = entry.map_err(failed)?.file_name();
            let Some(tgid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
            processes.extend(RunningProcess::read(root, tgid, &mut patience, PATIENCE));
        }
        Ok(Self::of(processes, host_namespaces(root)))
    }

    pub(crate) fn of(processes: Vec<RunningProcess>, host: Namespaces) -> Self {
        let mut processes = parents_first(processes);
        mark_init_trees(&mut processes);
        Self { processes, host, hidden: HashSet::new() }
    }

    /// The processes, parents first. The kernel itself is not among them.
    pub fn processes(&self) -> &[RunningProcess] {
        &self.processes
    }

    /// The namespaces of the host's init.
    pub(crate) const fn host(&self) -> &Namespaces {
        &self.host
    }

    /// What the kernel side's process table gets, by tgid: the kernel itself and every process. Insert only what is not there.
    pub fn states(&self) -> impl Iterator<Item = (u32, ProcessState)> {
        let times: HashMap<u32, u64> =
            self.processes.iter().map(|process| (process.tgid, process.ktime)).collect();
        let key = move |tgid| {
            let ktime = if tgid == KERNEL.tgid { Some(KERNEL.ktime) } else { times.get(&tgid).copied() };
            ProcessKey { tgid, ktime: ktime.unwrap_or(0), reserved: 0 }
        };
        let kernel =
            ProcessState { ktime: KERNEL.ktime, parent: key(KERNEL.tgid), ..ProcessState::default() };
        let processes = self.processes.iter().map(move |process| {
            let flags = if process.in_init_tree { process_flag::IN_INIT_TREE } else { 0 };
            let parent = key(process.parent_tgid);
            (process.tgid, ProcessState { ktime: process.ktime, parent, flags, ..ProcessState::default() })
        });
        [(KERNEL.tgid, kernel)].into_iter().chain(processes)
    }

    /// Says that the kernel side knows the process already: records say what it is, so no event is made of it here.
    pub fn known_to_kernel(&mut self, tgid: u32) {
        self.hidden.insert(tgid);
    }

    /// Whether an event is made of it: neither a thread of the kernel nor known to the kernel side.
    pub(crate) fn shown(&self, process: &RunningProcess) -> bool {
        !process.kernel_thread && !self.hidden.contains(&process.tgid)
    }
}

/// The same, each behind its parent; otherwise by start and pid. A circle, which only a race can show, is cut somewhere.
fn parents_first(mut processes: Vec<RunningProcess>) -> Vec<RunningProcess> {
    processes.sort_by_key(|process| (process.ktime, process.tgid));
    let places: HashMap<u32, usize> =
        processes.iter().enumerate().map(|(place, process)| (process.tgid, place)).collect();
    let mut placed = vec![false; processes.len()];
    let mut order = Vec::with_capacity(processes.len());
    for start in 0..processes.len() {
        let mut line = Vec::new();
        let mut next = Some(start);
        while let Some(place) = next.filter(|place| !placed[*place]) {
            placed[place] = true;
            line.push(place);
            next = places.get(&processes[place].parent_tgid).copied();
        }
        order.extend(line.into_iter().rev());
    }
    let mut processes: Vec<Option<RunningProcess>> = processes.into_iter().map(Some).collect();
    order.into_iter().filter_map(|place| processes[place].take()).collect()
}

/// Marks the inits of containers and their descendants in the same container.
fn mark_init_trees(processes: &mut [RunningProcess]) {
    let mut trees: HashMap<u32, String> = HashMap::new();
    for process in processes {
        let Some(container) = container_id(&process.cgroup) else { continue };
        let inherits = trees.get(&process.parent_tgid).is_some_and(|parent| parent == container);
        process.in_init_tree = process.inner_init || inherits;
        if process.in_init_tree {
            trees.insert(process.tgid, container.to_owned());
        }
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use std::path::Path;

    use bpf_probes::abi::{Namespaces, process_flag};
    use bpf_probes::sensor::Environment;

    use super::{Replay, RunningProcess};

    fn process(tgid: u32, parent_tgid: u32, ktime: u64) -> RunningProcess {
        RunningProcess { tgid, parent_tgid, ktime, ..RunningProcess::default() }
    }

    #[test]
    fn parents_come_first_even_if_they_started_later_or_in_a_circle() {
        let processes =
            vec![process(9, 5, 1), process(5, 7, 2), process(7, 0, 3), process(3, 4, 4), process(4, 3, 4)];
        let replay = Replay::of(processes, Namespaces::default());
        let order: Vec<u32> = replay.processes().iter().map(|process| process.tgid).collect();
        assert_eq!(order, [7, 5, 9, 4, 3]);
    }

    #[test]
    fn states_have_the_keys_of_their_parents() {
        let replay =
            Replay::of(vec![process(1, 0, 10), process(2, 1, 20), process(3, 99, 30)], Namespaces::default());
        let keys: Vec<_> = replay
            .states()
            .map(|(tgid, state)| (tgid, state.ktime, state.parent.tgid, state.parent.ktime))
            .collect();
        assert_eq!(keys, [(0, 1, 0, 1), (1, 10, 0, 1), (2, 20, 1, 10), (3, 30, 99, 0)]);
    }

    // proves: ENR-12 (processes that ran before)
    #[test]
    fn descendants_of_a_containers_init_are_in_its_tree_and_those_who_came_in_later_are_not() {
        let cgroup = |digit: &str| format!("docker-{}.scope", digit.repeat(64)).into_bytes();
        let in_container =
            |process: RunningProcess, digit: &str| RunningProcess { cgroup: cgroup(digit), ..process };
        let init = RunningProcess { inner_init: true, ..in_container(process(10, 1, 2), "a") };
        let processes = vec![
            process(1, 0, 1),
            init,
            in_container(process(11, 10, 3), "a"),
            in_container(process(12, 11, 4), "a"),
            in_container(process(13, 11, 5), "b"),
            in_container(process(20, 1, 6), "a"),
            // A pid namespace without a container.
            RunningProcess { inner_init: true, ..process(30, 1, 7) },
        ];
        let replay = Replay::of(processes, Namespaces::default());
        let marked: Vec<u32> = replay
            .states()
            .filter(|(_, state)| state.flags & process_flag::IN_INIT_TREE != 0)
            .map(|(tgid, _)| tgid)
            .collect();
        assert_eq!(marked, [10, 11, 12]);
    }

    #[test]
    fn this_machine_can_be_scanned() {
        let replay = Replay::scan(Path::new("/proc"), Environment::Unread).unwrap();
        let own = replay.processes().iter().find(|process| process.tgid == std::process::id()).unwrap();
        assert!(!own.binary.is_empty());
        let error = Replay::scan(Path::new("/nonexistent"), Environment::Unread).unwrap_err().to_string();
        assert!(error.contains("/nonexistent"), "{error}");
    }
}
