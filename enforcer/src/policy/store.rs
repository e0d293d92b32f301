//! The policies, and the one walk by which they come and go.
//!
//! Adding: resolve → numbers → programs loaded beside the running ones → classes installed and processes marked → layouts, mode and counters →
//! hand-over. Each step before the hand-over can fail and is taken back; the hand-over cannot. Removing is the same walk without the policy.
//! Several policies are added as one change, so that a hook that all of them share is compiled once.

use std::collections::BTreeMap;
use std::sync::Arc;

use bpf_probes::abi::{POLICIES, SELECTORS};
use tracing_policy::ir::RecordLayout;
use tracing_policy::policy::{AbsentHook, ClassTest, HookKey, Mode, Resolved, ResolvedHook, Workload};
use tracing_policy::source::SourceText;

use super::classes::{Classes, ProcessList};
use super::compiler::Compiler;
use super::entry::{Entry, Loaded, LoadedHook};
use super::failure::PolicyError;
use super::hooks::{Hooks, Passenger, Prepared};
use super::identity::Identity;
use super::kept::Definition;
use super::numbers::{Numbers, Runs};
use super::port::{CellPort, ClassPort, HookPort};
use super::state::{Board, State};
use super::workloads::ContainerCgroup;

/// Learns how the records of a hook are to be read.
pub trait LayoutSink {
    /// A layout that records may name from now on.
    fn insert(&self, number: u32, layout: &RecordLayout);
    /// No program names it any more; records may still be in the rings.
    fn remove(&self, number: u32);
}

/// What the store works with.
#[derive(Clone, Debug)]
pub struct World<P, C, L, S> {
    /// The kernel.
    pub port: P,
    /// The compiler.
    pub compiler: C,
    /// The running processes.
    pub processes: L,
    /// Who reads records.
    pub layouts: S,
}

/// A policy on its way in.
struct Incoming {
    identity: Identity,
    source: SourceText,
    mode: Mode,
    hooks: Vec<Arc<ResolvedHook>>,
    absent: Vec<AbsentHook>,
}

/// Numbers of an incoming policy.
struct Numbered {
    incoming: Incoming,
    loaded: Loaded,
    passengers: Vec<Passenger>,
}

/// All policies.
pub struct Store<P: HookPort, C, L, S> {
    world: World<P, C, L, S>,
    board: Board,
    entries: BTreeMap<Identity, Entry>,
    last_id: u64,
    policy_numbers: Numbers,
    selectors: Runs,
    last_layout: u32,
    hooks: Hooks<P>,
    classes: Classes,
}

impl<P: HookPort, C, L, S> std::fmt::Debug for Store<P, C, L, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("policies", &self.entries.keys()).finish_non_exhaustive()
    }
}

/// Whether a hook is for containers of pods, or some of it.
fn asks_for_pods(hook: &ResolvedHook) -> bool {
    hook.classes.iter().any(|test| matches!(test, ClassTest::Workload(scope) if scope.containers.is_some()))
}

fn bound(number: usize) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

impl<P, C, L, S> Store<P, C, L, S>
where
    P: HookPort + ClassPort + CellPort,
    C: Compiler,
    L: ProcessList,
    S: LayoutSink,
{
    /// A store without policies; it shows its state on `board`.
    pub fn new(world: World<P, C, L, S>, board: Board) -> Self {
        Self {
            world,
            board,
            entries: BTreeMap::new(),
            last_id: 0,
            policy_numbers: Numbers::below(bound(POLICIES)),
            selectors: Runs::below(bound(SELECTORS)),
            last_layout: 0,
            hooks: Hooks::new(),
            classes: Classes::new(),
        }
    }

    /// Adds policies, all or none. One that could not be loaded before is replaced. With a single policy, one that is well-formed but cannot
    /// be loaded is remembered in state [`State::LoadError`].
    ///
    /// # Errors
    /// The first failure, see [`PolicyError`].
    pub fn add(&mut self, domain: &str, sources: &[SourceText]) -> Result<Vec<Identity>, PolicyError> {
        let mut incoming: Vec<Incoming> = Vec::with_capacity(sources.len());
        for source in sources {
            let next = self.resolve(domain, source)?;
            if incoming.iter().any(|other| other.identity == next.identity) {
                return Err(PolicyError::Exists { identity: next.identity });
            }
            incoming.push(next);
        }
        let remembered = match incoming.as_slice() {
            [only] => Some((only.identity.clone(), only.source.clone(), only.mode)),
            _ => None,
        };
        let identities = incoming.iter().map(|incoming| incoming.identity.clone()).collect();
        let result = self.load(incoming);
        if let (Err(error), Some((identity, source, mode))) = (&result, remembered) {
            self.remember(identity, source, mode, error);
        }
        self.show();
        result.map(|()| identities)
    }

    /// Adds a policy as it was: disabled ones are only remembered. One that cannot be loaded is remembered in state [`State::LoadError`].
    ///
    /// # Errors
    /// [`PolicyError::Exists`], [`PolicyError::OtherPolicy`], and then nothing is remembered; or what [`Store::add`] fails with.
    pub fn restore(&mut self, identity: &Identity, definition: &Definition) -> Result<(), PolicyError> {
        if self.entries.contains_key(identity) {
            return Err(PolicyError::Exists { identity: identity.clone() });
        }
        let resolved = self.resolve(&identity.domain, &definition.source);
        let mut mode = definition.mode.unwrap_or(Mode::Enforce);
        let result = resolved.and_then(|mut incoming| {
            if incoming.identity != *identity {
                return Err(PolicyError::OtherPolicy { found: incoming.identity });
            }
            if incoming.mode != Mode::MonitorOnly && mode != Mode::MonitorOnly {
                incoming.mode = definition.mode.unwrap_or(incoming.mode);
            }
            mode = incoming.mode;
            if definition.enabled { self.load(vec![incoming]) } else { Ok(()) }
        });
        match &result {
            Ok(()) if definition.enabled => {}
            Err(PolicyError::OtherPolicy { .. }) => return result,
            Ok(()) => {
                let (id, source) = (self.id_for(identity), definition.source.clone());
                let entry = Entry { id, source, mode, error: String::new(), disabled: true, loaded: None };
                self.entries.insert(identity.clone(), entry);
            }
            Err(error) => self.remember(identity.clone(), definition.source.clone(), mode, error),
        }
        self.show();
        result
    }

    /// Notes a policy that could not be loaded.
    fn remember(&mut self, identity: Identity, source: SourceText, mode: Mode, error: &PolicyError) {
        let (id, error) = (self.id_for(&identity), error.to_string());
        self.entries.insert(identity, Entry { id, source, mode, error, disabled: false, loaded: None });
    }

    /// What there is to keep of a policy.
    pub fn definition(&self, identity: &Identity) -> Option<Definition> {
        let entry = self.entries.get(identity)?;
        Some(Definition { source: entry.source.clone(), enabled: !entry.disabled, mode: Some(entry.mode) })
    }

    /// Removes a policy.
    ///
    /// # Errors
    /// [`PolicyError::Unknown`]; or what the policies that share a hook with it need cannot be made, and then it stays.
    pub fn remove(&mut self, identity: &Identity) -> Result<(), PolicyError> {
        self.unload(identity)?;
        self.entries.remove(identity);
        self.show();
        Ok(())
    }

    /// Loads the programs of a policy that is not enabled, or unloads those of one that is, and keeps its definition.
    ///
    /// # Errors
    /// See [`PolicyError`].
    pub fn set_enabled(&mut self, identity: &Identity, enabled: bool) -> Result<(), PolicyError> {
        let entry = self.entry(identity)?;
        if entry.loaded.is_some() == enabled {
            return Ok(());
        }
        let result = if enabled {
            let (source, mode) = (entry.source.clone(), entry.mode);
            let again = self.resolve_text(&identity.domain, &source).and_then(|mut incoming| {
                incoming.mode = mode;
                self.load(vec![incoming])
            });
            if let (Err(error), Some(entry)) = (&again, self.entries.get_mut(identity)) {
                entry.disabled = false;
                entry.error = error.to_string();
            }
            again
        } else {
            self.unload(identity).map(|()| {
                if let Some(entry) = self.entries.get_mut(identity) {
                    entry.disabled = true;
                    entry.error.clear();
                }
            })
        };
        self.show();
        result
    }

    /// Changes the mode of a policy, at once and without loading anything.
    ///
    /// # Errors
    /// [`PolicyError::Unknown`], [`PolicyError::MonitorOnly`].
    pub fn set_mode(&mut self, identity: &Identity, mode: Mode) -> Result<(), PolicyError> {
        self.entry(identity)?;
        let Some(entry) = self.entries.get_mut(identity) else { return Ok(()) };
        if entry.mode == mode {
            return Ok(());
        }
        if entry.mode == Mode::MonitorOnly || mode == Mode::MonitorOnly {
            return Err(PolicyError::MonitorOnly { identity: identity.clone() });
        }
        entry.mode = mode;
        if let Some(loaded) = &entry.loaded {
            self.world.port.set_mode(loaded.number, mode != Mode::Enforce);
        }
        self.show();
        Ok(())
    }

    /// Learns of a container of a pod, for policies that are there and those to come.
    ///
    /// # Errors
    /// [`PolicyError::Workload`].
    pub fn add_workload(&mut self, cgroup: ContainerCgroup, workload: Workload) -> Result<(), PolicyError> {
        let added = self.classes.add_workload(cgroup, workload, &self.world.port);
        added.map_err(|error| PolicyError::Workload { error })
    }

    /// Forgets a container that is gone.
    ///
    /// # Errors
    /// [`PolicyError::Workload`].
    pub fn remove_workload(&mut self, cgroup: u64) -> Result<(), PolicyError> {
        let removed = self.classes.remove_workload(cgroup, &self.world.port);
        removed.map_err(|error| PolicyError::Workload { error })
    }

    fn entry(&self, identity: &Identity) -> Result<&Entry, PolicyError> {
        self.entries.get(identity).ok_or_else(|| PolicyError::Unknown { identity: identity.clone() })
    }

    fn resolve(&self, domain: &str, source: &SourceText) -> Result<Incoming, PolicyError> {
        let incoming = self.resolve_text(domain, source)?;
        match self.entries.get(&incoming.identity) {
            Some(entry) if entry.state() != State::LoadError => {
                Err(PolicyError::Exists { identity: incoming.identity })
            }
            _ => Ok(incoming),
        }
    }

    fn resolve_text(&self, domain: &str, source: &SourceText) -> Result<Incoming, PolicyError> {
        let (resolved, warnings) = self
            .world
            .compiler
            .resolve(source)
            .map_err(|error| PolicyError::findings(source, &error.findings))?;
        if !warnings.is_empty() {
            tracing::warn!("{}", PolicyError::findings(source, &warnings));
        }
        let Resolved { policy, mode, hooks, absent, warnings: _ } = resolved;
        let identity = Identity {
            namespace: policy.namespace.as_ref().map(|it| it.value.clone()).unwrap_or_default(),
            name: policy.name.value.as_str().to_owned(),
            domain: domain.to_owned(),
        };
        let hooks: Vec<_> = hooks.into_iter().map(Arc::new).collect();
        if !self.classes.knows_pods() && hooks.iter().any(|hook| asks_for_pods(hook)) {
            tracing::warn!(
                "{identity} is for pods, and nobody tells of any here: for those it never matches"
            );
        }
        Ok(Incoming { identity, source: source.clone(), mode, hooks, absent })
    }

    /// Loads well-formed policies, all or none.
    fn load(&mut self, incoming: Vec<Incoming>) -> Result<(), PolicyError> {
        let mut numbered = Vec::with_capacity(incoming.len());
        for incoming in incoming {
            match self.number(incoming) {
                Ok(next) => numbered.push(next),
                Err(error) => {
                    self.take_back(numbered);
                    return Err(error);
                }
            }
        }
        match self.prepare(&numbered) {
            Ok(prepared) => {
                self.finish(numbered, prepared);
                Ok(())
            }
            Err(error) => {
                self.take_back(numbered);
                Err(error)
            }
        }
    }

    /// Gives a policy its numbers.
    fn number(&mut self, incoming: Incoming) -> Result<Numbered, PolicyError> {
        let name = incoming.source.name().to_owned();
        let exhausted = |what: &str| PolicyError::Exhausted { name: name.clone(), what: what.to_owned() };
        let number = self.policy_numbers.take().ok_or_else(|| exhausted("all numbers of policies"))?;
        let loaded = Loaded { number, hooks: Vec::new(), absent: incoming.absent.clone() };
        let mut numbered = Numbered { incoming, loaded, passengers: Vec::new() };
        for hook in numbered.incoming.hooks.clone() {
            let selectors = self.selectors.take(bound(hook.selectors.len()));
            let Some(selectors) = selectors else {
                self.take_back(vec![numbered]);
                return Err(exhausted("all counters of selectors"));
            };
            let class_numbers = match self.classes.reserve(&hook.classes) {
                Ok(numbers) => numbers,
                Err(error) => {
                    self.selectors.put_back(selectors);
                    self.take_back(vec![numbered]);
                    return Err(PolicyError::Classes { name, error });
                }
            };
            let layout = self.last_layout + 1;
            self.last_layout += bound(hook.layout_count());
            numbered.passengers.push(Passenger {
                hook: Arc::clone(&hook),
                policy_number: number,
                layout_number: layout,
                first_selector: selectors.first,
                class_numbers,
            });
            numbered.loaded.hooks.push(LoadedHook { hook, layout, selectors });
        }
        Ok(numbered)
    }

    /// Everything that can fail: programs, then classes.
    fn prepare(&mut self, numbered: &[Numbered]) -> Result<Prepared<P>, PolicyError> {
        let joining: Vec<Passenger> = numbered.iter().flat_map(|policy| policy.passengers.clone()).collect();
        let World { port, compiler, processes, .. } = &self.world;
        let prepared = self.hooks.prepare(&joining, &[], compiler, port).map_err(|error| {
            let joined =
                numbered.iter().map(|policy| (&policy.incoming.source, policy.loaded.with_layouts()));
            PolicyError::at_hook(error, joined)
        })?;
        match self.classes.install(port, processes) {
            Ok(()) => Ok(prepared),
            Err(error) => {
                self.hooks.abandon(prepared, port);
                let name =
                    numbered.last().map_or("policy", |policy| policy.incoming.source.name()).to_owned();
                Err(PolicyError::Classes { name, error })
            }
        }
    }

    /// Everything that cannot fail: layouts, cells, hand-over.
    fn finish(&mut self, numbered: Vec<Numbered>, prepared: Prepared<P>) {
        for policy in &numbered {
            let World { port, layouts, .. } = &self.world;
            port.set_mode(policy.loaded.number, policy.incoming.mode != Mode::Enforce);
            for hook in &policy.loaded.hooks {
                port.reset_counters(hook.selectors.first, hook.selectors.len);
                for (number, layout) in (hook.layout..).zip(hook.hook.layouts()) {
                    layouts.insert(number, &layout);
                }
            }
        }
        self.hooks.commit(prepared, &self.world.port);
        for Numbered { incoming, loaded, .. } in numbered {
            let id = self.id_for(&incoming.identity);
            let entry = Entry {
                id,
                source: incoming.source,
                mode: incoming.mode,
                error: String::new(),
                disabled: false,
                loaded: Some(loaded),
            };
            self.entries.insert(incoming.identity, entry);
        }
    }

    /// Takes the numbers of policies that will not be loaded.
    fn take_back(&mut self, numbered: Vec<Numbered>) {
        for policy in numbered {
            self.release(policy.loaded);
        }
    }

    /// Takes back the numbers that a policy held, when no program uses them.
    fn release(&mut self, loaded: Loaded) {
        let classes: Vec<ClassTest> =
            loaded.hooks.iter().flat_map(|hook| hook.hook.classes.clone()).collect();
        if let Err(error) = self.classes.release(&classes, &self.world.port) {
            tracing::warn!(
                "classes of a policy that is gone stay in the kernel until they are used again: {error}"
            );
        }
        for hook in loaded.hooks {
            self.selectors.put_back(hook.selectors);
        }
        self.policy_numbers.put_back(loaded.number);
    }

    /// Takes the programs of a policy out of its hooks.
    fn unload(&mut self, identity: &Identity) -> Result<(), PolicyError> {
        let entry = self.entry(identity)?;
        let Some(loaded) = &entry.loaded else { return Ok(()) };
        let leaving: Vec<u32> = loaded.hooks.iter().map(|hook| hook.layout).collect();
        let gone: Vec<u32> = loaded.hooks.iter().flat_map(LoadedHook::layouts).collect();
        let source = entry.source.clone();
        let World { port, compiler, .. } = &self.world;
        let prepared = self
            .hooks
            .prepare(&[], &leaving, compiler, port)
            .map_err(|error| PolicyError::at_hook(error, [(&source, Vec::new())]))?;
        self.hooks.commit(prepared, port);
        for layout in gone {
            self.world.layouts.remove(layout);
        }
        if let Some(loaded) = self.entries.get_mut(identity).and_then(|entry| entry.loaded.take()) {
            self.release(loaded);
        }
        Ok(())
    }

    /// The id that a policy has, or a new one.
    fn id_for(&mut self, identity: &Identity) -> u64 {
        if let Some(entry) = self.entries.get(identity) {
            return entry.id;
        }
        self.last_id += 1;
        self.last_id
    }

    /// Hooks that have a policy.
    pub fn hook_count(&self) -> usize {
        self.hooks.len()
    }

    fn show(&self) {
        let attachments = |key: &HookKey| self.hooks.attachments(key, &self.world.port);
        let statuses = self.entries.iter().map(|(identity, entry)| entry.status(identity, &attachments));
        self.board.show(statuses.collect());
    }
}

#[cfg(test)]
#[path = "store_tests.rs"]
mod tests;
