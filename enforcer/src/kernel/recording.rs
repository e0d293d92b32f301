//! What processes were in and might do when their image began: recorded while a policy asks what changed.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bpf_probes::abi::{Recorded, map_name};
use bpf_probes::builder::Facts;
use bpf_probes::kernel::KernelView;
use bpf_probes::load::{Collection, LoadContext, MapSet};
use bpf_probes::sensor::{self, BaseTargets, Environment};
use zerocopy::IntoBytes as _;

use super::base::BaseError;
use super::keep::{Keep, Keeping};
use crate::pipeline::Replay;

/// The programs that record, while somebody holds them.
#[derive(Debug)]
pub(super) struct Recording {
    procfs: PathBuf,
    processes: u32,
    running: Mutex<Weak<Collection>>,
}

impl Recording {
    /// Nothing is recorded yet. There is room for `processes`; those that run are looked up in `procfs`.
    pub(super) const fn new(procfs: PathBuf, processes: u32) -> Self {
        Self { procfs, processes, running: Mutex::new(Weak::new()) }
    }

    /// Records from now on, until everybody has dropped what this returns. Of processes that run already, what they are in now counts.
    ///
    /// # Errors
    /// See [`BaseError`].
    pub(super) fn start(&self, view: &KernelView, keep: &Keep) -> Result<Arc<Collection>, BaseError> {
        let mut running = self.running.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(running) = running.upgrade() {
            return Ok(running);
        }
        let spec = sensor::recording(&Facts::of(view), &BaseTargets::of(view)?, self.processes)?;
        let context = LoadContext::new(Some(view.btf()))?;
        let mut collection = Collection::load(&spec, &MapSet::new(), &context)?;
        collection.attach_all()?;
        for link in collection.links_mut() {
            let name = format!("recording_{}", link.program());
            keep.link(link, Keeping::Base, &name)?;
        }
        self.introduce(&collection)?;
        let collection = Arc::new(collection);
        *running = Arc::downgrade(&collection);
        Ok(collection)
    }

    /// Records the processes that run, unless they forked or called exec meanwhile.
    fn introduce(&self, collection: &Collection) -> Result<(), BaseError> {
        let map =
            collection.map(map_name::RECORDED).ok_or(BaseError::Missing { name: map_name::RECORDED })?;
        let replay = match Replay::scan(&self.procfs, Environment::Unread) {
            Ok(replay) => replay,
            Err(error) => {
                tracing::warn!("changes of processes that run already are not seen: {error}");
                return Ok(());
            }
        };
        for process in replay.processes() {
            let recorded = Recorded {
                namespaces: process.namespaces,
                effective: process.credentials.effective,
                inheritable: process.credentials.inheritable,
                permitted: process.credentials.permitted,
            };
            if let Err(error) = map.insert(process.tgid.as_bytes(), recorded.as_bytes()) {
                tracing::warn!("changes of some processes that run already are not seen: {error}");
                break;
            }
        }
        Ok(())
    }
}
