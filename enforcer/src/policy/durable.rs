//! The store, and what of it outlives the daemon: policies that clients add are kept, if the daemon was told to, and come back with the next one.

use std::collections::BTreeSet;

use tracing_policy::policy::Mode;
use tracing_policy::source::SourceText;

use super::classes::ProcessList;
use super::compiler::Compiler;
use super::failure::PolicyError;
use super::identity::Identity;
use super::kept::{Found, KeptError, KeptPolicies};
use super::port::{CellPort, ClassPort, HookPort};
use super::store::{LayoutSink, Store};

/// Whether a policy comes back with the next daemon.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Keep {
    /// A client added it.
    Yes,
    /// It is read from its file again.
    No,
}

/// What became of the policies that were kept.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Restored {
    /// They are what they were: enabled or disabled.
    pub restored: usize,
    /// They are not; the log says why.
    pub failed: usize,
}

/// The store and its directory.
pub(super) struct Durable<P: HookPort, C, L, S> {
    store: Store<P, C, L, S>,
    kept: Option<KeptPolicies>,
    /// Those that have a file.
    ours: BTreeSet<Identity>,
}

impl<P, C, L, S> Durable<P, C, L, S>
where
    P: HookPort + ClassPort + CellPort,
    C: Compiler,
    L: ProcessList,
    S: LayoutSink,
{
    pub(super) const fn new(store: Store<P, C, L, S>, kept: Option<KeptPolicies>) -> Self {
        Self { store, kept, ours: BTreeSet::new() }
    }

    pub(super) const fn store(&mut self) -> &mut Store<P, C, L, S> {
        &mut self.store
    }

    /// As [`Store::add`]. What was to be kept and cannot be is not added.
    pub(super) fn add(
        &mut self,
        domain: &str,
        sources: &[SourceText],
        keep: Keep,
    ) -> Result<Vec<Identity>, PolicyError> {
        let added = self.store.add(domain, sources)?;
        if keep == Keep::No || self.kept.is_none() {
            return Ok(added);
        }
        for identity in &added {
            let Err(error) = self.write(identity) else { continue };
            let what = format!("{identity} is not added");
            added.iter().try_for_each(|identity| self.remove(identity))?;
            return Err(PolicyError::NotKept { what, error });
        }
        Ok(added)
    }

    /// As [`Store::remove`].
    pub(super) fn remove(&mut self, identity: &Identity) -> Result<(), PolicyError> {
        self.store.remove(identity)?;
        self.forget(identity).map_err(|error| PolicyError::NotKept {
            what: format!("{identity} is removed, and comes back when the daemon is started again"),
            error,
        })
    }

    /// Enables or disables a policy, and changes its mode, so that its programs never run in a mode that was not wanted.
    pub(super) fn configure(
        &mut self,
        identity: &Identity,
        enable: Option<bool>,
        mode: Option<Mode>,
    ) -> Result<(), PolicyError> {
        let changed = self.change(identity, enable, mode);
        if self.ours.contains(identity)
            && let Err(error) = self.write(identity)
        {
            changed?;
            let what = format!("{identity} is changed, and is as before when the daemon is started again");
            return Err(PolicyError::NotKept { what, error });
        }
        changed
    }

    fn change(
        &mut self,
        identity: &Identity,
        enable: Option<bool>,
        mode: Option<Mode>,
    ) -> Result<(), PolicyError> {
        let store = &mut self.store;
        match mode {
            // Before the programs run, so that they never run in the other mode.
            Some(mode) if enable == Some(true) => {
                store.set_mode(identity, mode)?;
                store.set_enabled(identity, true)
            }
            _ => {
                if let Some(enable) = enable {
                    store.set_enabled(identity, enable)?;
                }
                mode.map_or(Ok(()), |mode| store.set_mode(identity, mode))
            }
        }
    }

    /// Brings back what was kept, one policy after the other: one that cannot be harms no other, and its file stays.
    pub(super) fn restore(&mut self) -> Result<Restored, PolicyError> {
        let Some(kept) = &self.kept else { return Ok(Restored::default()) };
        let found = kept.read().map_err(|error| PolicyError::NotKept {
            what: "policies of clients are not restored".to_owned(),
            error,
        })?;
        let mut count = Restored::default();
        for Found { path, read } in found {
            let result = match read {
                Ok((identity, definition)) => {
                    let result = self.store.restore(&identity, &definition);
                    // What is shown is told by its file, loaded or not: who removes it removes the file.
                    if self
                        .store
                        .definition(&identity)
                        .is_some_and(|now| now.source.text() == definition.source.text())
                    {
                        self.ours.insert(identity);
                    }
                    result.map_err(|error| error.to_string())
                }
                Err(error) => Err(error.to_string()),
            };
            match result {
                Ok(()) => count.restored += 1,
                Err(error) => {
                    count.failed += 1;
                    tracing::error!("the kept policy {} is not restored: {error}", path.display());
                }
            }
        }
        Ok(count)
    }

    fn write(&mut self, identity: &Identity) -> Result<(), KeptError> {
        let (Some(kept), Some(definition)) = (&self.kept, self.store.definition(identity)) else {
            return Ok(());
        };
        let written = kept.write(identity, &definition);
        // Whatever fails after these may have left a file.
        if !matches!(written, Err(KeptError::Name { .. } | KeptError::Size { .. })) {
            self.ours.insert(identity.clone());
        }
        written
    }

    fn forget(&mut self, identity: &Identity) -> Result<(), KeptError> {
        match &self.kept {
            Some(kept) if self.ours.remove(identity) => kept.erase(identity),
            _ => Ok(()),
        }
    }
}

#[cfg(test)]
#[path = "durable_tests.rs"]
mod tests;
