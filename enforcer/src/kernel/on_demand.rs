//! Maps that are there while a program needs them.

use std::sync::{Arc, Mutex, PoisonError, Weak};

use bpf_probes::load::{Collection, LoadContext, LoadError, MapSet};
use bpf_probes::spec::{CollectionSpec, MapSpec};

/// One map, made when the first asks for it and gone with the last who holds it.
#[derive(Debug)]
pub(super) struct OnDemand {
    spec: MapSpec,
    made: Mutex<Weak<Collection>>,
}

impl OnDemand {
    /// The map is not there yet.
    pub(super) const fn new(spec: MapSpec) -> Self {
        Self { spec, made: Mutex::new(Weak::new()) }
    }

    /// Its name.
    pub(super) fn name(&self) -> &str {
        &self.spec.name
    }

    /// The map, until everybody has dropped what this returns.
    ///
    /// # Errors
    /// The kernel's refusal.
    pub(super) fn get(&self, context: &LoadContext<'_>) -> Result<Arc<Collection>, LoadError> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(made) = made.upgrade() {
            return Ok(made);
        }
        let spec = CollectionSpec { maps: vec![self.spec.clone()], ..CollectionSpec::default() };
        let collection = Arc::new(Collection::load(&spec, &MapSet::new(), context)?);
        *made = Arc::downgrade(&collection);
        Ok(collection)
    }
}
