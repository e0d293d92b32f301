//! The running kernel as the policy side sees it.

use std::borrow::Cow;
use std::path::PathBuf;
use std::sync::Arc;

use bpf_probes::abi::{
    BINARY_BYTES, BINARY_END_BYTES, BinaryEndKey, BinaryKey, ClassSet, ProcessState, map_name,
};
use bpf_probes::builder::Facts;
use bpf_probes::load::{Collection, Link, LoadContext, LoadError, Map, MapSet, Pin, Program, ProgramError};
use bpf_probes::sensor::{self, MARK, SLOTS, STUB};
use bpf_probes::spec::{CollectionSpec, Entries, Entry};
use zerocopy::{FromBytes as _, IntoBytes as _};

use super::base::{Base, BaseError};
use super::cells::Cells;
use super::figures::LoadedFigures;
use super::files::OpenFiles;
use super::keep::{Keep, Keeping};
use super::known::KnownKernel;
use super::on_demand::OnDemand;
use super::recording::Recording;
use tracing_policy::CompiledBody;
use tracing_policy::policy::Role;

use crate::policy::{CellPort, ClassPort, Figures, HookPort, Refused, Slot, Table};

/// Entries written at a time; each is a key of 260 bytes and a set.
const ENTRIES_AT_ONCE: usize = 1024;

/// Loads, attaches and marks for the policies.
#[derive(Debug)]
pub struct KernelPort {
    kernel: Arc<KnownKernel>,
    cpus: bpf_probes::load::PossibleCpus,
    shared: MapSet,
    cells: Arc<Cells>,
    mark: Collection,
    recording: Recording,
    on_demand: OnDemand,
    files: Arc<OpenFiles>,
    keep: Arc<Keep>,
}

/// A loaded program, and what it needs beside it.
#[derive(Debug)]
pub struct Body {
    collection: Arc<Collection>,
    _needed: Vec<Arc<Collection>>,
}

/// A stub, attached while it has a link. Fields drop in order: it is detached before its slots go.
#[derive(Debug)]
pub struct Stub {
    link: Option<Link>,
    _slots: Option<Pin>,
    collection: Arc<Collection>,
    /// Unlike that of any other stub at the time.
    number: u32,
    keeping: Keeping,
}

fn refused(error: impl std::fmt::Display) -> Refused {
    Refused::new(error)
}

fn load_refused(error: &LoadError) -> Refused {
    let origin = match error {
        LoadError::Program(ProgramError::Refused { refusal, .. }) => refusal.origin,
        LoadError::Program(_)
        | LoadError::MissingImport { .. }
        | LoadError::IncompatibleImport { .. }
        | LoadError::Map(_) => None,
    };
    Refused { message: error.to_string(), origin }
}

impl KernelPort {
    /// A port onto what `base` has loaded. What it attaches stays as `keep` says.
    ///
    /// # Errors
    /// When the program that marks processes cannot be loaded.
    pub fn new(
        kernel: Arc<KnownKernel>,
        base: &Base,
        procfs: PathBuf,
        keep: Arc<Keep>,
    ) -> Result<Self, BaseError> {
        let view = kernel.view()?;
        let context = LoadContext::new(Some(view.btf()))?;
        let cpus = context.cpus;
        let shared = base.collection().maps().clone();
        let mark = sensor::mark(&Facts::of(&view))?;
        let mark = Collection::load(&fitted(&mark, &shared), &shared, &context)?;
        let processes = match shared.get(map_name::PROCESSES).map(|map| map.spec().entries) {
            Some(Entries::Fixed(entries) | Entries::PerCpu(entries)) => entries,
            None => sensor::DEFAULT_PROCESSES,
        };
        let recording = Recording::new(procfs, processes);
        let (cells, files) = (Arc::clone(base.cells()), Arc::default());
        let on_demand = OnDemand::default();
        Ok(Self { kernel, cpus, shared, cells, mark, recording, on_demand, files, keep })
    }

    /// The open files that programs are attached to.
    pub(super) const fn files(&self) -> &Arc<OpenFiles> {
        &self.files
    }

    fn load(&self, spec: &CollectionSpec, maps: &MapSet) -> Result<Arc<Collection>, Refused> {
        let view = self.kernel.view().map_err(refused)?;
        let context = LoadContext { btf: Some(view.btf()), cpus: self.cpus };
        let loaded = Collection::load(&fitted(spec, maps), maps, &context);
        loaded.map(Arc::new).map_err(|error| load_refused(&error))
    }

    fn shared(&self, name: &str) -> Result<&Map, Refused> {
        let map = self.shared.get(name).ok_or_else(|| refused(format!("there is no map {name}")))?;
        Ok(map)
    }

    fn table(&self, table: Table) -> Result<&Map, Refused> {
        self.shared(match table {
            Table::Binaries => map_name::BINARIES,
            Table::Ends => map_name::BINARY_ENDS,
            Table::Numbers => map_name::NUMBERS,
        })
    }
}

/// The same collection with the capacities that the shared maps really have: they are configured, and no program depends on them.
fn fitted<'a>(spec: &'a CollectionSpec, shared: &MapSet) -> Cow<'a, CollectionSpec> {
    let given = |name: &str| shared.get(name).map(|map| map.spec().entries);
    if spec.imports.iter().all(|import| given(&import.name).is_none_or(|entries| entries == import.entries)) {
        return Cow::Borrowed(spec);
    }
    let mut spec = spec.clone();
    for import in &mut spec.imports {
        if let Some(entries) = given(&import.name) {
            import.entries = entries;
        }
    }
    Cow::Owned(spec)
}

fn program<'a>(collection: &'a Collection, name: &str) -> Result<&'a Program, Refused> {
    collection.program(name).ok_or_else(|| refused(format!("there is no program {name}")))
}

impl HookPort for KernelPort {
    type Body = Arc<Body>;
    type Stub = Stub;

    fn load_body(&self, body: &CompiledBody) -> Result<Arc<Body>, Refused> {
        let spec = &body.collection;
        let mut needed = Vec::new();
        let view = self.kernel.view().map_err(refused)?;
        for import in &spec.imports {
            if import.name == map_name::RECORDED {
                needed.push(self.recording.start(&view, &self.keep).map_err(refused)?);
            }
            needed.extend(self.on_demand.get(import, &view).map_err(refused)?);
        }
        if needed.is_empty() {
            return Ok(Arc::new(Body { collection: self.load(spec, &self.shared)?, _needed: needed }));
        }
        let mut maps = self.shared.clone();
        maps.extend(needed.iter().flat_map(|collection| collection.maps().iter().cloned()));
        Ok(Arc::new(Body { collection: self.load(spec, &maps)?, _needed: needed }))
    }

    fn load_stub(&self, compiled: &CompiledBody, body: &Arc<Body>, number: u32) -> Result<Stub, Refused> {
        let rewrites = compiled.role == Role::Override && compiled.target.user_place().is_some();
        let keeping = if rewrites { Keeping::Rewrite } else { Keeping::Hook };
        if compiled.role.is_attached() {
            let collection = Arc::clone(&body.collection);
            return Ok(Stub { link: None, _slots: None, collection, number, keeping });
        }
        let spec = sensor::stub(&compiled.target, number).map_err(refused)?;
        let collection = self.load(&spec, &self.shared)?;
        let slots = collection.map(SLOTS).map(|slots| self.keep.slots(slots, &number.to_string()));
        let slots = slots.transpose().map_err(refused)?.flatten();
        Ok(Stub { link: None, _slots: slots, collection, number, keeping })
    }

    fn put(&self, stub: &Stub, slot: Slot, body: &Arc<Body>) -> Result<(), Refused> {
        // a program that is attached itself has none
        let Some(slots) = stub.collection.map(SLOTS) else { return Ok(()) };
        let body = body.collection.programs().first().ok_or_else(|| refused("the hook has no program"))?;
        slots.set_program(slot.index(), body).map_err(refused)
    }

    fn clear(&self, stub: &Stub, slot: Slot) {
        let cleared = stub.collection.map(SLOTS).map(|slots| slots.clear_program(slot.index()));
        if let Some(Err(error)) = cleared {
            tracing::warn!("a program that is not used any more stays loaded: {error}");
        }
    }

    fn attach(&self, stub: &mut Stub) -> Result<(), Refused> {
        let program = program(&stub.collection, STUB)?;
        if stub.keeping == Keeping::Rewrite {
            self.keep.release_rewrites_of_others();
        }
        let attached = match program.target().user_place() {
            None => program.attach(),
            Some(place) => {
                let attached = self.files.with(place.file, |file| program.attach_in(file));
                attached.ok_or_else(|| refused(format!("{} is not open any more", place.path)))?
            }
        };
        let link = stub.link.insert(attached.map_err(refused)?);
        self.keep.link(link, stub.keeping, &stub.number.to_string()).map_err(refused)
    }

    fn go_live(&self, number: u32, slot: Slot) {
        self.cells.set_live_slot(number, slot.index());
    }

    fn figures(&self, stub: &Stub, body: &Arc<Body>) -> Arc<dyn Figures> {
        let mut collections = vec![Arc::clone(&stub.collection)];
        if !Arc::ptr_eq(&stub.collection, &body.collection) {
            collections.push(Arc::clone(&body.collection));
        }
        Arc::new(LoadedFigures::new(collections))
    }
}

/// A table's key as the kernel takes it; longer ones were refused when the tables were made.
fn table_key(table: Table, key: &[u8]) -> Vec<u8> {
    let prefix_bits = u32::try_from(key.len() * 8).unwrap_or(u32::MAX);
    match table {
        Table::Binaries => {
            let mut path = [0; BINARY_BYTES];
            path.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
            BinaryKey { prefix_bits, path }.as_bytes().to_vec()
        }
        Table::Ends => {
            let mut path = [0; BINARY_END_BYTES];
            path.iter_mut().zip(key).for_each(|(to, from)| *to = *from);
            BinaryEndKey { prefix_bits, path }.as_bytes().to_vec()
        }
        Table::Numbers => key.to_vec(),
    }
}

impl ClassPort for KernelPort {
    fn write_table(&self, table: Table, entries: &[(&[u8], ClassSet)]) -> Result<(), Refused> {
        let map = self.table(table)?;
        for chunk in entries.chunks(ENTRIES_AT_ONCE) {
            let entry = |(key, set): &(&[u8], ClassSet)| Entry {
                key: table_key(table, key),
                value: set.as_bytes().to_vec(),
            };
            map.fill(&chunk.iter().map(entry).collect::<Vec<_>>()).map_err(refused)?;
        }
        Ok(())
    }

    fn erase_table(&self, table: Table, keys: &[&[u8]]) -> Result<(), Refused> {
        let map = self.table(table)?;
        for key in keys {
            map.delete(&table_key(table, key)).map_err(refused)?;
        }
        Ok(())
    }

    fn set_tables_used(&self, tables: u32) {
        self.cells.set_tables(tables);
    }

    fn set_followed(&self, followed: ClassSet) {
        self.cells.set_followed(followed);
    }

    fn write_workload(&self, cgroup: u64, classes: ClassSet) -> Result<(), Refused> {
        self.shared(map_name::WORKLOADS)?.update(cgroup.as_bytes(), classes.as_bytes()).map_err(refused)
    }

    fn erase_workload(&self, cgroup: u64) -> Result<(), Refused> {
        self.shared(map_name::WORKLOADS)?.delete(cgroup.as_bytes()).map(|_there| ()).map_err(refused)
    }

    fn set_host(&self, classes: ClassSet, levels: u64) {
        self.cells.set_host(classes, levels);
    }

    fn state(&self, tgid: u32) -> Result<Option<ProcessState>, Refused> {
        let found = self.shared(map_name::PROCESSES)?.lookup(tgid.as_bytes()).map_err(refused)?;
        found
            .map(|bytes| {
                ProcessState::read_from_bytes(&bytes)
                    .map_err(|_size| refused("a process state of another size"))
            })
            .transpose()
    }

    fn known_processes(&self) -> Result<Vec<u32>, Refused> {
        let mut tgids = Vec::new();
        let visit = |key: &[u8], _: &[u8]| tgids.extend(u32::read_from_bytes(key).ok());
        self.shared(map_name::PROCESSES)?.for_each(visit).map_err(refused)?;
        Ok(tgids)
    }

    fn mark(&self, tgid: u32, ktime: u64, word: usize, set: u64, keep: u64) -> Result<bool, Refused> {
        let context = [u64::from(tgid), ktime, word as u64, set, keep];
        Ok(program(&self.mark, MARK)?.run(&[], context.as_bytes()).map_err(refused)? == 0)
    }
}

impl CellPort for KernelPort {
    fn set_mode(&self, policy: u32, monitor: bool) {
        self.cells.set_mode(policy, monitor);
    }

    fn reset_counters(&self, first: u32, len: u32) {
        self.cells.reset_selectors(first, len);
    }
}
