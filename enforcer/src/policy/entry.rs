//! What the store keeps of a policy, and how that is shown.

use std::sync::Arc;

use tracing_policy::policy::{Exactness, HookKey, Mode, ResolvedHook};
use tracing_policy::source::SourceText;

use super::hooks::Attachment;
use super::identity::Identity;
use super::numbers::Run;
use super::state::{AttachmentStatus, HookStatus, PolicyStatus, State};

/// A hook of an enabled policy.
#[derive(Debug)]
pub(super) struct LoadedHook {
    pub(super) hook: Arc<ResolvedHook>,
    pub(super) layout: u32,
    pub(super) selectors: Run,
}

/// What an enabled policy holds.
#[derive(Debug)]
pub(super) struct Loaded {
    pub(super) number: u32,
    pub(super) hooks: Vec<LoadedHook>,
    /// What this kernel does not have and the policy goes without.
    pub(super) absent: Vec<String>,
}

impl Loaded {
    pub(super) fn with_layouts(&self) -> Vec<(u32, &ResolvedHook)> {
        self.hooks.iter().map(|hook| (hook.layout, &*hook.hook)).collect()
    }
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) id: u64,
    pub(super) source: SourceText,
    pub(super) mode: Mode,
    pub(super) error: String,
    pub(super) disabled: bool,
    pub(super) loaded: Option<Loaded>,
}

impl Entry {
    pub(super) fn state(&self) -> State {
        match &self.loaded {
            Some(loaded) if !loaded.absent.is_empty() => State::PartiallyEnabled,
            Some(_) => State::Enabled,
            None if self.disabled => State::Disabled,
            None => State::LoadError,
        }
    }

    /// The policy as clients see it; `attachments` are those of a hook.
    pub(super) fn status(
        &self,
        identity: &Identity,
        attachments: &impl Fn(&HookKey) -> Vec<Attachment>,
    ) -> PolicyStatus {
        let hooks = self.loaded.iter().flat_map(|loaded| &loaded.hooks);
        PolicyStatus {
            id: self.id,
            identity: identity.clone(),
            state: self.state(),
            mode: self.mode,
            error: self.error.clone(),
            hooks: hooks.map(|hook| hook.status(attachments(&hook.hook.key))).collect(),
            absent: self.loaded.iter().flat_map(|loaded| loaded.absent.clone()).collect(),
        }
    }
}

impl LoadedHook {
    /// The numbers of its records' layouts.
    pub(super) fn layouts(&self) -> impl Iterator<Item = u32> + use<> {
        (self.layout..).take(self.hook.layout_count())
    }

    /// The hook as clients see it, with those of the attachments that this policy asks for.
    fn status(&self, attachments: Vec<Attachment>) -> HookStatus {
        let hook = &self.hook;
        let ours = |there: &Attachment| hook.attachments.iter().any(|ours| ours.target == there.target);
        let attachments = attachments.into_iter().filter(ours).map(|attachment| AttachmentStatus {
            target: attachment.target,
            reason: attachment.why.reason,
            can_miss: match attachment.why.exactness {
                Exactness::Exact => None,
                Exactness::CanMiss(reason) => Some(reason),
            },
            riders: attachment.riders,
            figures: attachment.figures,
        });
        HookStatus {
            function: hook.layout.function_name.clone(),
            first_selector: self.selectors.first,
            selectors: hook
                .selectors
                .iter()
                .map(|selector| selector.label.as_ref().map(|label| label.value.clone()))
                .collect(),
            attachments: attachments.collect(),
        }
    }
}
