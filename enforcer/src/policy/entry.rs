//! What the store keeps of a policy, and how that is shown.

use std::sync::Arc;

use tracing_policy::policy::{AbsentHook, Exactness, HookKey, Mode, ResolvedHook};
use tracing_policy::source::SourceText;

use super::hooks::Attachment;
use super::identity::Identity;
use super::numbers::Run;
use super::state::{AbsentStatus, AttachmentStatus, HookStatus, Place, PolicyStatus, State};

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
    /// What the policy goes without.
    pub(super) absent: Vec<AbsentHook>,
}

impl Loaded {
    pub(super) fn with_layouts(&self) -> Vec<(u32, &ResolvedHook)> {
        self.hooks.iter().map(|hook| (hook.layout, &*hook.hook)).collect()
    }

    fn hook_statuses(&self, attachments: &impl Fn(&HookKey) -> Vec<Attachment>) -> Vec<HookStatus> {
        self.hooks.iter().map(|hook| hook.status(attachments(&hook.hook.key))).collect()
    }

    fn absent_statuses(&self) -> Vec<AbsentStatus> {
        let status = |hook: &AbsentHook| AbsentStatus {
            place: Place { section: hook.section, entry: hook.entry },
            function: hook.function.clone(),
            why: hook.why,
        };
        self.absent.iter().map(status).collect()
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
        PolicyStatus {
            id: self.id,
            identity: identity.clone(),
            state: self.state(),
            mode: self.mode,
            error: self.error.clone(),
            hooks: self.loaded.as_ref().map_or_else(Vec::new, |loaded| loaded.hook_statuses(attachments)),
            absent: self.loaded.as_ref().map_or_else(Vec::new, Loaded::absent_statuses),
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
            place: Place { section: hook.section, entry: hook.entry },
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
