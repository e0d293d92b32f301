//! Maps that are there while a policy needs them, and no longer.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use bpf_probes::abi::map_name;
use bpf_probes::kernel::KernelView;
use bpf_probes::load::{Collection, LoadContext, MapSet};
use bpf_probes::spec::{CollectionSpec, MapSpec};

use super::base::BaseError;

/// Their names. All programs that import one share it, so that it outlives each of them.
const NAMES: [&str; 5] =
    [map_name::LIMITS, map_name::SOCKETS, map_name::PENDING, map_name::REGISTERS, map_name::HASHES];

/// The maps that somebody holds.
#[derive(Debug, Default)]
pub(super) struct OnDemand {
    made: Mutex<HashMap<&'static str, Weak<Collection>>>,
}

impl OnDemand {
    /// A collection with the map that a program imports, made unless somebody holds one; `None` where it is another kind of map.
    ///
    /// # Errors
    /// See [`BaseError`].
    pub(super) fn get(
        &self,
        import: &MapSpec,
        view: &KernelView,
    ) -> Result<Option<Arc<Collection>>, BaseError> {
        let Some(name) = NAMES.into_iter().find(|name| *name == import.name) else { return Ok(None) };
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(collection) = made.get(name).and_then(Weak::upgrade) {
            return Ok(Some(collection));
        }
        let spec = CollectionSpec { maps: vec![import.clone()], imports: Vec::new(), programs: Vec::new() };
        let context = LoadContext::new(Some(view.btf()))?;
        let collection = Arc::new(Collection::load(&spec, &MapSet::new(), &context)?);
        made.insert(name, Arc::downgrade(&collection));
        Ok(Some(collection))
    }
}
