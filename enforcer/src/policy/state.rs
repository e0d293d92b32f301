//! What clients are shown of the policies: a picture taken after each change, so that looking takes no part in changing.

use std::sync::{Arc, Mutex, PoisonError};

use bpf_probes::spec::AttachSpec;
use tracing_policy::policy::{Absent, HookSection, Mode};

use super::identity::Identity;
use super::port::Figures;

/// The state of a policy.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum State {
    /// Its programs run.
    Enabled,
    /// Its programs run, and it goes without hooks that this kernel has no place for or that are in another file (`ignore`).
    PartiallyEnabled,
    /// Its definition is kept, its programs are not.
    Disabled,
    /// It could not be loaded.
    LoadError,
}

/// A policy as clients see it.
#[derive(Clone, Debug)]
pub struct PolicyStatus {
    /// Counts up from 1.
    pub id: u64,
    /// Which.
    pub identity: Identity,
    /// Its state.
    pub state: State,
    /// Its mode.
    pub mode: Mode,
    /// Why it is in [`State::LoadError`]; else empty.
    pub error: String,
    /// Its hooks while it is enabled, in the order of the text.
    pub hooks: Vec<HookStatus>,
    /// What the policy goes without while it is enabled.
    pub absent: Vec<AbsentStatus>,
}

/// Where in a policy's text a hook stands.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Place {
    /// The part of the policy.
    pub section: HookSection,
    /// Which entry of it, from 0.
    pub entry: u32,
}

/// A hook that an enabled policy goes without.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct AbsentStatus {
    /// Where it stands.
    pub place: Place,
    /// What is not there.
    pub function: String,
    /// Why the policy goes without it.
    pub why: Absent,
}

/// A hook of an enabled policy.
#[derive(Clone, Debug)]
pub struct HookStatus {
    /// Where it stands; hooks of one list share it.
    pub place: Place,
    /// The kernel function.
    pub function: String,
    /// Index of the first selector's counters.
    pub first_selector: u32,
    /// Labels of the selectors, one each.
    pub selectors: Vec<Option<String>>,
    /// Where it is attached.
    pub attachments: Vec<AttachmentStatus>,
}

/// One attachment of a hook, shared by all policies on it.
#[derive(Clone, Debug)]
pub struct AttachmentStatus {
    /// Where.
    pub target: AttachSpec,
    /// Why this mechanism.
    pub reason: String,
    /// Why calls can be missed, if they can.
    pub can_miss: Option<String>,
    /// How many hooks of policies share it.
    pub riders: usize,
    /// What the kernel counts.
    pub figures: Arc<dyn Figures>,
}

impl PolicyStatus {
    /// Kernel memory of the policy: its share of each program that it has in common with others.
    pub fn memory(&self) -> u64 {
        let attachments = self.hooks.iter().flat_map(|hook| &hook.attachments);
        attachments
            .map(|attachment| attachment.figures.memory().div_ceil(attachment.riders.max(1) as u64))
            .sum()
    }
}

/// The last picture. Clones show the same.
#[derive(Clone, Debug, Default)]
pub struct Board {
    policies: Arc<Mutex<Arc<Vec<PolicyStatus>>>>,
}

impl Board {
    /// The policies by identity, as of the last change.
    pub fn policies(&self) -> Arc<Vec<PolicyStatus>> {
        Arc::clone(&self.policies.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn show(&self, policies: Vec<PolicyStatus>) {
        *self.policies.lock().unwrap_or_else(PoisonError::into_inner) = Arc::new(policies);
    }
}
