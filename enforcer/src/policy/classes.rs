//! Which class number stands for which test of the process, and that every process has the bits of its classes.
//!
//! Invariant: before a hook that reads a class goes live, every process that passes the class's test has its bit. The order makes it so:
//! bits left by an earlier use of the number are cleared, *followed* is said, the tables are written, and only then the running processes are
//! marked, pass after pass until a pass finds nothing to mark. Whoever forks or calls exec meanwhile gets the bits from the programs.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use bpf_probes::abi::{CLASS_WORDS, CLASSES, ClassSet};
use tracing_policy::policy::{Children, ClassTest, PidNamespace, Workload};

use super::numbers::Numbers;
use super::port::{ClassPort, Refused, Table};
use super::tables::{self, Tables, ValueTooLong};
use super::workloads::{ContainerCgroup, Workloads};

/// Passes over the processes before we give up waiting for a moment without new ones.
const MOST_PASSES: usize = 32;
/// Longest line of ancestors that is followed.
const MOST_ANCESTORS: usize = 4096;

/// A process as proc shows it.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Running {
    /// Its parent.
    pub parent: u32,
    /// The path of its executable; empty for a kernel thread.
    pub binary: Vec<u8>,
}

/// The running processes.
pub trait ProcessList {
    /// Their thread group ids.
    ///
    /// # Errors
    /// When proc cannot be read.
    fn tgids(&self) -> std::io::Result<Vec<u32>>;
    /// What one is; `None` if it is gone.
    fn process(&self, tgid: u32) -> Option<Running>;
    /// Its number in a pid namespace other than the host's; 0 in the host's, `None` if it is gone.
    fn own_number(&self, tgid: u32) -> Option<u32>;
}

/// Why classes could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum ClassError {
    /// All numbers are out.
    #[error(
        "more than {CLASSES} different matchBinaries, followForks and workload tests are loaded; remove a policy"
    )]
    Exhausted,
    /// A value too long to be compared.
    #[error("{0}")]
    TooLong(String),
    /// The kernel refused.
    #[error("the kernel's tables of binaries and processes: {0}")]
    Refused(Refused),
    /// Proc could not be read.
    #[error("the running processes could not be listed: {0}")]
    Processes(std::io::Error),
    /// Processes are made faster than they can be marked.
    #[error("after {MOST_PASSES} passes there are still processes that escape marking; try again")]
    Restless,
}

impl From<Refused> for ClassError {
    fn from(refused: Refused) -> Self {
        Self::Refused(refused)
    }
}

impl From<ValueTooLong> for ClassError {
    fn from(error: ValueTooLong) -> Self {
        Self::TooLong(error.to_string())
    }
}

#[derive(Debug)]
struct Class {
    test: Arc<ClassTest>,
    users: usize,
    /// The kernel side has its entries, its followed bit and its marks.
    installed: bool,
}

/// The classes in use.
#[derive(Debug)]
pub(super) struct Classes {
    by_number: BTreeMap<u32, Class>,
    number_of: HashMap<Arc<ClassTest>, u32>,
    numbers: Numbers,
    /// Numbers that bits may be left of.
    used_before: ClassSet,
    /// What the tables hold.
    tables: Tables,
    /// Containers of pods.
    workloads: Workloads,
}

impl Classes {
    pub(super) fn new() -> Self {
        Self {
            by_number: BTreeMap::new(),
            number_of: HashMap::new(),
            numbers: Numbers::below(CLASSES),
            used_before: ClassSet::default(),
            tables: Tables::default(),
            workloads: Workloads::default(),
        }
    }

    /// Numbers for `tests`, in their order; equal tests share a number. Nothing changes in the kernel: see [`Self::install`].
    pub(super) fn reserve(&mut self, tests: &[ClassTest]) -> Result<Vec<u32>, ClassError> {
        let mut numbers = Vec::with_capacity(tests.len());
        for (done, test) in tests.iter().enumerate() {
            let Some(number) = self.number(test) else {
                self.forget(tests.get(..done).unwrap_or_default());
                return Err(ClassError::Exhausted);
            };
            numbers.push(number);
        }
        Ok(numbers)
    }

    /// One more use of a test.
    fn number(&mut self, test: &ClassTest) -> Option<u32> {
        if let Some(number) = self.number_of.get(test) {
            self.by_number.get_mut(number)?.users += 1;
            return Some(*number);
        }
        let number = self.numbers.take()?;
        let test = Arc::new(test.clone());
        self.number_of.insert(Arc::clone(&test), number);
        self.by_number.insert(number, Class { test, users: 1, installed: false });
        Some(number)
    }

    /// Takes one use of each test back; returns the numbers of those that have none left and are in the kernel.
    fn forget(&mut self, tests: &[ClassTest]) -> Vec<u32> {
        let mut unused = Vec::new();
        for test in tests {
            let Some(number) = self.number_of.get(test).copied() else { continue };
            let Some(class) = self.by_number.get_mut(&number) else { continue };
            class.users -= 1;
            if class.users > 0 {
                continue;
            }
            self.number_of.remove(test);
            if self.by_number.remove(&number).is_some_and(|class| class.installed) {
                unused.push(number);
            } else {
                self.numbers.put_back(number);
            }
        }
        unused
    }

    /// Brings every reserved class into the kernel and marks the running processes.
    ///
    /// After an error the reserved classes are to be released, which takes back what was written.
    pub(super) fn install(
        &mut self,
        port: &impl ClassPort,
        processes: &impl ProcessList,
    ) -> Result<(), ClassError> {
        let mut fresh = Vec::new();
        let mut leftover = ClassSet::default();
        for (number, class) in &mut self.by_number {
            if class.installed {
                continue;
            }
            if self.used_before.contains(*number) {
                leftover.insert(*number);
            }
            // From here on something of it may be in the kernel.
            class.installed = true;
            self.used_before.insert(*number);
            fresh.push((Arc::clone(&class.test), *number));
        }
        if fresh.is_empty() {
            return Ok(());
        }
        clear(port, &leftover)?;
        port.set_followed(self.followed());
        self.write_tables(port)?;
        self.write_workloads(port)?;
        fresh.retain(|(test, _)| !is_of_workload(test));
        if fresh.is_empty() { Ok(()) } else { mark_running(&fresh, port, processes) }
    }

    /// Learns of a container of a pod, before its first process runs if it can be.
    pub(super) fn add_workload(
        &mut self,
        cgroup: ContainerCgroup,
        workload: Workload,
        port: &impl ClassPort,
    ) -> Result<(), ClassError> {
        self.workloads.add(cgroup, workload)?;
        self.write_workloads(port)
    }

    /// Whether any container of a pod is known.
    pub(super) fn knows_pods(&self) -> bool {
        !self.workloads.is_empty()
    }

    /// Forgets a container that is gone.
    pub(super) fn remove_workload(&mut self, cgroup: u64, port: &impl ClassPort) -> Result<(), ClassError> {
        if self.workloads.remove(cgroup) {
            port.erase_workload(cgroup)?;
            self.write_workloads(port)?;
        }
        Ok(())
    }

    fn write_workloads(&mut self, port: &impl ClassPort) -> Result<(), ClassError> {
        let installed = self.by_number.iter().filter(|(_, class)| class.installed);
        Ok(self.workloads.write(installed.map(|(number, class)| (&*class.test, *number)), port)?)
    }

    /// Takes one use of each test back, and out of the kernel what nobody uses any more. To be called when no hook reads it.
    pub(super) fn release(&mut self, tests: &[ClassTest], port: &impl ClassPort) -> Result<(), ClassError> {
        let unused = self.forget(tests);
        if unused.is_empty() {
            return Ok(());
        }
        port.set_followed(self.followed());
        let written = self.write_tables(port).and_then(|()| self.write_workloads(port));
        let mut gone = ClassSet::default();
        for number in &unused {
            gone.insert(*number);
        }
        // Bits that stay are cleared before the number is used again.
        let cleared = clear(port, &gone);
        for number in unused {
            self.numbers.put_back(number);
        }
        written.and(cleared)
    }

    fn followed(&self) -> ClassSet {
        let mut followed = ClassSet::default();
        for (number, class) in &self.by_number {
            if class.installed && follows(&class.test) {
                followed.insert(*number);
            }
        }
        followed
    }

    /// Makes the tables hold what the installed classes need. New entries are written before old ones are erased, each in one piece, so
    /// that no exec misses a class that stays.
    fn write_tables(&mut self, port: &impl ClassPort) -> Result<(), ClassError> {
        let installed = self.by_number.iter().filter(|(_, class)| class.installed);
        let next = Tables::of(installed.map(|(number, class)| (&*class.test, *number)))?;
        let old = &self.tables;
        port.set_tables_used(old.used() | next.used());
        for table in Table::ALL {
            let difference = old.difference(&next, table);
            if let Err(refused) = port.write_table(table, &difference.write) {
                restore(port, old, &next);
                return Err(refused.into());
            }
        }
        for table in Table::ALL {
            port.erase_table(table, &old.difference(&next, table).erase)?;
        }
        port.set_tables_used(next.used());
        self.tables = next;
        Ok(())
    }

    /// Classes in use.
    #[cfg(test)]
    fn len(&self) -> usize {
        self.by_number.len()
    }
}

/// Puts the tables back as they were after a write that failed half-way. What this kernel refuses here stays too much, never too little.
fn restore(port: &impl ClassPort, old: &Tables, next: &Tables) {
    for table in Table::ALL {
        let back = next.difference(old, table);
        let failed = port.erase_table(table, &back.erase).and_then(|()| {
            let old_ones = back.write.iter().filter(|(key, _)| old.table(table).contains_key(*key));
            port.write_table(table, &old_ones.copied().collect::<Vec<_>>())
        });
        if let Err(refused) = failed {
            tracing::warn!("entries of a policy that was not loaded stay in the kernel's tables: {refused}");
        }
    }
    port.set_tables_used(old.used());
}

fn follows(test: &ClassTest) -> bool {
    match test {
        ClassTest::Binary { children, .. } => *children == Children::Followed,
        ClassTest::Descendants { .. } | ClassTest::InPidNamespace => true,
        ClassTest::Workload(_) => false,
    }
}

/// Whether a class is not the process's but that of what it belongs to when it calls.
fn is_of_workload(test: &ClassTest) -> bool {
    matches!(test, ClassTest::Workload(_))
}

/// Clears bits of all processes, until a pass finds none.
fn clear(port: &impl ClassPort, gone: &ClassSet) -> Result<(), ClassError> {
    if *gone == ClassSet::default() {
        return Ok(());
    }
    for _ in 0..MOST_PASSES {
        let mut found = false;
        for tgid in port.known_processes()? {
            let Some(state) = port.state(tgid)? else { continue };
            for (word, (has, gone)) in state.classes.words.iter().zip(gone.words).enumerate() {
                if has & gone != 0 {
                    found = true;
                    port.mark(tgid, 0, word, 0, !gone)?;
                }
            }
        }
        if !found {
            return Ok(());
        }
    }
    Err(ClassError::Restless)
}

/// What one pass knows of a process.
#[derive(Debug)]
struct Seen {
    ktime: u64,
    has: ClassSet,
    passes: ClassSet,
    parent: u32,
}

/// Marks the running processes and, where a class is followed, their descendants.
fn mark_running(
    tests: &[(Arc<ClassTest>, u32)],
    port: &impl ClassPort,
    processes: &impl ProcessList,
) -> Result<(), ClassError> {
    let mut followed = ClassSet::default();
    let mut ours = ClassSet::default();
    for (test, number) in tests {
        ours.insert(*number);
        if follows(test) {
            followed.insert(*number);
        }
    }
    for _ in 0..MOST_PASSES {
        let seen = look_around(tests, port, processes)?;
        let mut changed = false;
        for (tgid, process) in &seen {
            let wanted = wanted(process, &seen, &followed, &ours);
            for (word, (wanted, has)) in wanted.words.iter().zip(process.has.words).enumerate() {
                let missing = wanted & !has;
                if missing != 0 {
                    changed = true;
                    // An image that is gone meanwhile is looked at again in the next pass.
                    port.mark(*tgid, process.ktime, word, missing, u64::MAX)?;
                }
            }
        }
        if !changed {
            return Ok(());
        }
    }
    Err(ClassError::Restless)
}

/// All processes that the kernel keeps something of, and which tests they pass themselves. The state is read before the binary: an exec in
/// between changes the image, and the mark is then refused.
fn look_around(
    tests: &[(Arc<ClassTest>, u32)],
    port: &impl ClassPort,
    processes: &impl ProcessList,
) -> Result<BTreeMap<u32, Seen>, ClassError> {
    let mut seen = BTreeMap::new();
    let asks_for_own = tests.iter().any(|(test, _)| asks_for_own_number(test));
    for tgid in processes.tgids().map_err(ClassError::Processes)? {
        let Some(state) = port.state(tgid)? else { continue };
        let Some(process) = processes.process(tgid) else { continue };
        let own = if asks_for_own { processes.own_number(tgid) } else { Some(0) };
        let Some(own) = own else { continue };
        let mut passes = ClassSet::default();
        for (test, number) in tests {
            let passed = match &**test {
                ClassTest::Descendants { namespace: PidNamespace::Host, pids } => pids.contains(&tgid),
                ClassTest::Descendants { namespace: PidNamespace::Own, pids } => {
                    own != 0 && pids.contains(&own)
                }
                ClassTest::InPidNamespace => own != 0,
                ClassTest::Binary { .. } => tables::passes(test, &process.binary) == Some(true),
                ClassTest::Workload(_) => false,
            };
            if passed {
                passes.insert(*number);
            }
        }
        seen.insert(tgid, Seen { ktime: state.ktime, has: state.classes, passes, parent: process.parent });
    }
    Ok(seen)
}

fn asks_for_own_number(test: &ClassTest) -> bool {
    match test {
        ClassTest::Descendants { namespace, .. } => *namespace == PidNamespace::Own,
        ClassTest::InPidNamespace => true,
        ClassTest::Binary { .. } | ClassTest::Workload(_) => false,
    }
}

/// The classes that a process is to have: its own, and the followed ones of its ancestors.
fn wanted(process: &Seen, seen: &BTreeMap<u32, Seen>, followed: &ClassSet, ours: &ClassSet) -> ClassSet {
    let mut wanted = process.passes;
    let mut parent = process.parent;
    for _ in 0..MOST_ANCESTORS {
        let Some(ancestor) = seen.get(&parent) else { break };
        for word in 0..CLASS_WORDS {
            let has = (ancestor.passes.words[word] | ancestor.has.words[word]) & ours.words[word];
            wanted.words[word] |= has & followed.words[word];
        }
        if ancestor.parent == parent {
            break;
        }
        parent = ancestor.parent;
    }
    wanted
}

#[cfg(test)]
#[path = "classes_tests.rs"]
mod tests;
