//! Programs and maps that belong together, loaded: blueprint in, descriptors out.

use std::collections::BTreeMap;
use std::os::fd::AsFd;
use std::sync::Arc;

use super::cpus::{CpusError, PossibleCpus};
use super::link::{AttachError, Link};
use super::map::{Map, kind_name};
use super::map_error::MapError;
use super::program::{Program, ProgramError};
use crate::btf::Btf;
use crate::spec::{CollectionSpec, Entries, MapSpec, Reach};

/// What loading needs to know of the running kernel.
#[derive(Clone, Copy, Debug)]
pub struct LoadContext<'kernel> {
    /// Its types; without them only programs that name no kernel function load.
    pub btf: Option<&'kernel Btf>,
    /// Its CPUs.
    pub cpus: PossibleCpus,
}

impl<'kernel> LoadContext<'kernel> {
    /// Facts of the running kernel.
    ///
    /// # Errors
    /// See [`CpusError`].
    pub fn new(btf: Option<&'kernel Btf>) -> Result<Self, CpusError> {
        Ok(Self { btf, cpus: PossibleCpus::read()? })
    }
}

/// Maps by name, shared: what collections import.
#[derive(Clone, Debug, Default)]
pub struct MapSet {
    maps: BTreeMap<String, Arc<Map>>,
}

impl MapSet {
    /// No maps.
    pub fn new() -> Self {
        Self::default()
    }

    /// The map with this name.
    pub fn get(&self, name: &str) -> Option<&Arc<Map>> {
        self.maps.get(name)
    }

    /// Adds a map under its name; returns the one that had the name.
    pub fn insert(&mut self, map: Arc<Map>) -> Option<Arc<Map>> {
        self.maps.insert(map.name().to_owned(), map)
    }

    /// Takes a map out.
    pub fn remove(&mut self, name: &str) -> Option<Arc<Map>> {
        self.maps.remove(name)
    }

    /// All maps, by name.
    pub fn iter(&self) -> impl Iterator<Item = &Arc<Map>> {
        self.maps.values()
    }
}

impl Extend<Arc<Map>> for MapSet {
    fn extend<T: IntoIterator<Item = Arc<Map>>>(&mut self, maps: T) {
        for map in maps {
            self.insert(map);
        }
    }
}

/// Why a collection could not be loaded. Nothing of it is left in the kernel then.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// A map that it imports is not given.
    #[error("map {map} must be given to load this, and is not")]
    MissingImport {
        /// The map.
        map: String,
    },
    /// A map that it imports is given, but is another.
    #[error("map {map} must be given as {wanted}, and is {given}")]
    IncompatibleImport {
        /// The map.
        map: String,
        /// As it must be.
        wanted: String,
        /// As it is.
        given: String,
    },
    /// A map could not be made or filled.
    #[error(transparent)]
    Map(#[from] MapError),
    /// A program could not be loaded.
    #[error(transparent)]
    Program(#[from] ProgramError),
}

/// Loaded programs and the maps made with them. Dropping it detaches, then releases everything.
#[derive(Debug)]
pub struct Collection {
    // Links first: fields drop in this order.
    links: Vec<Link>,
    programs: Vec<Program>,
    maps: MapSet,
}

impl Collection {
    /// Makes the maps of `spec`, fills them, and loads its programs; imports come from `imports`. Attaches nothing.
    ///
    /// # Errors
    /// See [`LoadError`].
    pub fn load(
        spec: &CollectionSpec,
        imports: &MapSet,
        context: &LoadContext<'_>,
    ) -> Result<Self, LoadError> {
        let mut known = MapSet::new();
        for wanted in &spec.imports {
            let name = &wanted.name;
            let given = imports.get(name).ok_or_else(|| LoadError::MissingImport { map: name.clone() })?;
            if !wanted.is_compatible(given.spec()) {
                let (wanted, given) = (shape(wanted), shape(given.spec()));
                return Err(LoadError::IncompatibleImport { map: name.clone(), wanted, given });
            }
            known.insert(Arc::clone(given));
        }
        let mut maps = MapSet::new();
        for map in &spec.maps {
            let map = Arc::new(Map::create(map, context.cpus)?);
            known.insert(Arc::clone(&map));
            maps.insert(map);
        }
        let find = |name: &str| known.get(name).map(|map| map.as_fd());
        let mut programs = Vec::with_capacity(spec.programs.len());
        for program in &spec.programs {
            programs.push(Program::load(program, &find, context)?);
        }
        Ok(Self { links: Vec::new(), programs, maps })
    }

    /// Attaches every program that is reached by attachment, in order: all or none.
    ///
    /// # Errors
    /// See [`AttachError`]; those attached before are detached again.
    pub fn attach_all(&mut self) -> Result<(), AttachError> {
        let mut links = Vec::new();
        for program in self.programs.iter().filter(|program| program.reach() == Reach::Attached) {
            links.push(program.attach()?);
        }
        self.links.append(&mut links);
        Ok(())
    }

    /// Detaches every program, the last attached first.
    pub fn detach_all(&mut self) {
        while let Some(link) = self.links.pop() {
            drop(link);
        }
    }

    /// The maps made with this collection.
    pub const fn maps(&self) -> &MapSet {
        &self.maps
    }

    /// The map made with this collection under that name.
    pub fn map(&self, name: &str) -> Option<&Arc<Map>> {
        self.maps.get(name)
    }

    /// The programs, in the order of the blueprint.
    pub fn programs(&self) -> &[Program] {
        &self.programs
    }

    /// The program with that name.
    pub fn program(&self, name: &str) -> Option<&Program> {
        self.programs.iter().find(|program| program.name() == name)
    }

    /// The links made by [`Collection::attach_all`].
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// The same, to give them names.
    pub fn links_mut(&mut self) -> &mut [Link] {
        &mut self.links
    }
}

fn shape(map: &MapSpec) -> String {
    let MapSpec { key_size, value_size, flags, .. } = map;
    let kind = kind_name(map.kind);
    let entries = match map.entries {
        Entries::Fixed(entries) => format!("{entries} entries"),
        Entries::PerCpu(entries) => format!("{entries} entries a CPU"),
    };
    format!("{kind} of {entries}, keys of {key_size} and values of {value_size} bytes, flags {flags:#x}")
}
