//! The base programs, loaded and attached: exec, fork, exit and the maps that everything shares.

use std::sync::Arc;

use bpf_probes::abi::map_name;
use bpf_probes::attach::{Exactness, PlanError};
use bpf_probes::builder::Facts;
use bpf_probes::kernel::KernelView;
use bpf_probes::load::probe::FileError;
use bpf_probes::load::{
    AttachError, Collection, CpusError, Link, LoadContext, LoadError, Map, MapError, MapSet, PinError, Ring,
    RingError,
};
use bpf_probes::sensor::{self, BaseOptions, BaseTargets, CgroupRate, Environment, SensorError};
use zerocopy::IntoBytes as _;

use super::cells::Cells;
use super::keep::{Keep, Keeping};
use crate::pipeline::Replay;

/// Sizes of the shared maps, and what is read of processes.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct BaseSizes {
    /// Bytes of the ring of observations.
    pub ring: u32,
    /// Bytes of the ring of enforcement.
    pub enforcement_ring: u32,
    /// Processes in the kernel's table.
    pub processes: u32,
    /// Whether the environment of processes is read.
    pub environment: Environment,
    /// How often processes of a cgroup may begin and end on a CPU before that is withheld.
    pub cgroup_rate: Option<CgroupRate>,
}

/// Why the base programs do not run.
#[derive(Debug, thiserror::Error)]
pub enum BaseError {
    /// This kernel offers no place for a sensor.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// A program cannot be made for this kernel.
    #[error(transparent)]
    Sensor(#[from] SensorError),
    /// The kernel's types cannot be read.
    #[error(transparent)]
    Types(#[from] FileError),
    /// The CPUs are not known.
    #[error(transparent)]
    Cpus(#[from] CpusError),
    /// The kernel refused a program or map.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// The kernel refused an attachment.
    #[error(transparent)]
    Attach(#[from] AttachError),
    /// What is to outlive the daemon cannot be named.
    #[error(transparent)]
    Pin(#[from] PinError),
    /// A shared map cannot be used.
    #[error(transparent)]
    Map(#[from] MapError),
    /// A ring cannot be read.
    #[error(transparent)]
    Ring(#[from] RingError),
    /// A shared map is missing.
    #[error("the base programs bring no map {name}")]
    Missing {
        /// Its name.
        name: &'static str,
    },
}

/// The base programs while they are attached; dropping it detaches them.
#[derive(Debug)]
pub struct Base {
    collection: Arc<Collection>,
    attached: Vec<Link>,
    cells: Arc<Cells>,
    exactness: Exactness,
}

impl Base {
    /// Loads the base programs as `view` allows, and attaches nothing yet.
    ///
    /// # Errors
    /// See [`BaseError`].
    pub fn load(view: &KernelView, sizes: BaseSizes) -> Result<Self, BaseError> {
        let targets = BaseTargets::of(view)?;
        let options = BaseOptions {
            ring_bytes: sizes.ring,
            enforcement_bytes: sizes.enforcement_ring,
            processes: sizes.processes,
            environment: sizes.environment,
            cgroup_rate: sizes.cgroup_rate,
        };
        let spec = sensor::base_at(&Facts::of(view), &targets, options)?;
        let context = LoadContext::new(Some(view.btf()))?;
        let collection = Arc::new(Collection::load(&spec, &MapSet::new(), &context)?);
        let mapped = |name| -> Result<_, BaseError> { Ok(map(&collection, name)?.mapped()?) };
        let cells = Arc::new(Cells::new(mapped(map_name::CONTROL)?, mapped(map_name::COUNTERS)?));
        Ok(Self { collection, attached: Vec::new(), cells, exactness: targets.exactness })
    }

    /// Opens the reading end of a ring. There must be one reader of each.
    ///
    /// # Errors
    /// [`BaseError::Missing`], [`BaseError::Ring`].
    pub fn ring(&self, name: &'static str) -> Result<Ring, BaseError> {
        Ok(Ring::open(map(&self.collection, name)?)?)
    }

    /// Attaches the programs in their order, for longer than the daemon where `keep` says so. Processes that run already come from proc: see [`Self::introduce`].
    ///
    /// # Errors
    /// [`BaseError::Attach`], [`BaseError::Pin`]; nothing stays attached then.
    pub fn attach(&mut self, keep: &Keep) -> Result<(), BaseError> {
        let mut attached = Vec::new();
        for program in self.collection.programs() {
            let mut link = program.attach()?;
            keep.link(&mut link, Keeping::Base, program.name())?;
            attached.push(link);
        }
        self.attached = attached;
        Ok(())
    }

    /// Tells the kernel side of the processes that ran before, and `replay` of those that the kernel side knows already.
    ///
    /// # Errors
    /// [`BaseError::Map`], [`BaseError::Missing`].
    pub fn introduce(&self, replay: &mut Replay) -> Result<usize, BaseError> {
        let processes = map(&self.collection, map_name::PROCESSES)?;
        let mut known = Vec::new();
        let mut told = 0;
        for (tgid, state) in replay.states() {
            match processes.insert(tgid.as_bytes(), state.as_bytes()) {
                Ok(true) => told += 1,
                Ok(false) => known.push(tgid),
                Err(error) => {
                    tracing::warn!(
                        "the kernel's process table took {told} of the running processes; raise --execve-map-entries: {error}"
                    );
                    break;
                }
            }
        }
        for tgid in known {
            replay.known_to_kernel(tgid);
        }
        Ok(told)
    }

    /// Detaches the programs; their maps stay.
    pub fn detach(&mut self) {
        self.attached.clear();
    }

    /// The programs and the shared maps.
    pub const fn collection(&self) -> &Arc<Collection> {
        &self.collection
    }

    /// The cells and counters that programs share with the daemon.
    pub const fn cells(&self) -> &Arc<Cells> {
        &self.cells
    }

    /// Whether calls can be missed under contention.
    pub const fn exactness(&self) -> Exactness {
        self.exactness
    }
}

fn map<'a>(collection: &'a Collection, name: &'static str) -> Result<&'a Arc<Map>, BaseError> {
    collection.map(name).ok_or(BaseError::Missing { name })
}
