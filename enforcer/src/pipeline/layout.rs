//! What the records of each hook of each policy mean.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use api::event::Origin;
use foldhash::fast::RandomState;
use tracing_policy::ir::{RecordLayout, ValueKind};
use tracing_policy::policy::{CopiedPlace, EventForm, Request};

/// One value of a hook record.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct ValueLayout {
    /// What it is.
    pub kind: ValueKind,
    /// The policy's label, or empty.
    pub label: Arc<str>,
}

/// What the records of one hook of one policy hold, and what all its events say.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HookLayout {
    /// Which event they become.
    pub form: EventForm,
    /// The hooked function, as events show it.
    pub function_name: Arc<str>,
    /// The policy, its message and tags.
    pub origin: Arc<Origin>,
    /// The values, in the order of the record: all arguments but those that are read when the call returns.
    pub values: Vec<ValueLayout>,
    /// By selector: what a record of it asks for.
    pub requests: Vec<Vec<Request>>,
    /// By selector: what a record of the return asks for.
    pub return_requests: Vec<Vec<Request>>,
    /// What the record of the return holds, where the return is waited for.
    pub returned: Option<ValueLayout>,
    /// What follows in that record: arguments that are read when the call returns, each with its place among all.
    pub copied: Vec<(CopiedPlace, ValueLayout)>,
    /// How many of `values`, the last ones, are of the section `data`.
    pub data_values: usize,
}

impl HookLayout {
    /// Whether a record of the return follows that of the entry.
    pub fn waits(&self) -> bool {
        self.returned.is_some() || !self.copied.is_empty()
    }
}

impl From<&RecordLayout> for HookLayout {
    fn from(layout: &RecordLayout) -> Self {
        let value = |value: &tracing_policy::policy::ValueLayout| ValueLayout {
            kind: value.kind,
            label: value.label.as_deref().unwrap_or_default().into(),
        };
        Self {
            form: layout.form.clone(),
            function_name: layout.function_name.as_str().into(),
            origin: Arc::new(Origin {
                policy_name: layout.policy_name.as_str().into(),
                message: layout.message.as_deref().unwrap_or_default().into(),
                tags: layout.tags.iter().map(|tag| tag.as_str().into()).collect(),
            }),
            values: layout.values.iter().map(value).collect(),
            returned: layout.returned.as_ref().map(value),
            copied: layout.copied.iter().map(|(place, copied)| (*place, value(copied))).collect(),
            requests: layout.requests.clone(),
            return_requests: layout.return_requests.clone(),
            data_values: layout.data_values,
        }
    }
}

/// The layouts by number, shared by those who load policies and the pipeline.
///
/// A layout is inserted before the hook goes live, so it is there when a record names it. A removed one stays until the pipeline
/// has read all records that were in the rings at its removal. Numbers must not be reused: count up.
#[derive(Debug, Default)]
pub struct Layouts {
    /// Counts the changes of `shared`.
    version: AtomicU64,
    shared: Mutex<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    layouts: HashMap<u32, Arc<HookLayout>, RandomState>,
    removed: Vec<u32>,
}

impl Layouts {
    /// Adds a layout.
    pub fn insert(&self, number: u32, layout: HookLayout) {
        let layout = Arc::new(layout);
        self.change(|shared| {
            shared.layouts.insert(number, layout);
        });
    }

    /// Removes a layout, once no record can name it any more. Call this after the hook has gone.
    pub fn remove(&self, number: u32) {
        self.change(|shared| shared.removed.push(number));
    }

    /// Layouts held, those waiting for their removal included.
    pub fn len(&self) -> usize {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).layouts.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    fn change(&self, change: impl FnOnce(&mut Shared)) {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut shared);
        self.version.fetch_add(1, Ordering::Release);
    }
}

/// The pipeline's own view of [`Layouts`], so that a look-up takes no lock.
#[derive(Debug)]
pub(crate) struct LayoutView {
    shared: Arc<Layouts>,
    version: u64,
    layouts: HashMap<u32, Arc<HookLayout>, RandomState>,
    /// Removed before `version`, and the rings have not been empty since.
    removed: Vec<u32>,
}

impl LayoutView {
    pub(crate) fn new(shared: Arc<Layouts>) -> Self {
        let mut view = Self { shared, version: 0, layouts: HashMap::default(), removed: Vec::new() };
        view.update();
        view
    }

    /// The layout of this number, as of now.
    pub(crate) fn get(&mut self, number: u32) -> Option<&Arc<HookLayout>> {
        if self.shared.version.load(Ordering::Acquire) != self.version {
            self.update();
        }
        self.layouts.get(&number)
    }

    fn update(&mut self) {
        let shared = self.shared.shared.lock().unwrap_or_else(PoisonError::into_inner);
        self.version = self.shared.version.load(Ordering::Acquire);
        self.layouts.clone_from(&shared.layouts);
        self.removed.clone_from(&shared.removed);
    }

    /// Says that both rings have been seen empty: drops what was removed before the last call or look-up. What is removed from now on stays
    /// until the next call.
    pub(crate) fn rings_were_empty(&mut self) {
        if !self.removed.is_empty() {
            let gone = std::mem::take(&mut self.removed);
            self.shared.change(|shared| {
                shared.removed.retain(|number| !gone.contains(number));
                shared.layouts.retain(|number, _| !gone.contains(number));
            });
        }
        if self.shared.version.load(Ordering::Acquire) != self.version {
            self.update();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::{HookLayout, LayoutView, Layouts};

    #[test]
    fn a_layout_inserted_later_is_found() {
        let layouts = Arc::new(Layouts::default());
        let mut view = LayoutView::new(Arc::clone(&layouts));
        assert!(view.get(7).is_none());
        layouts.insert(7, HookLayout { function_name: "f".into(), ..HookLayout::default() });
        assert_eq!(view.get(7).map(|layout| &*layout.function_name), Some("f"));
    }

    #[test]
    fn a_removed_layout_stays_until_the_rings_were_empty_after_its_removal() {
        let layouts = Arc::new(Layouts::default());
        layouts.insert(1, HookLayout::default());
        let mut view = LayoutView::new(Arc::clone(&layouts));
        view.rings_were_empty();
        layouts.remove(1);
        assert!(view.get(1).is_some(), "records may be in flight");
        // The view knew of the removal (by `get`) before the rings were seen empty.
        view.rings_were_empty();
        assert!(view.get(1).is_none());
        assert!(layouts.is_empty());
    }

    #[test]
    fn a_removal_that_the_view_learns_of_when_the_rings_are_empty_waits_for_the_next_time() {
        let layouts = Arc::new(Layouts::default());
        layouts.insert(1, HookLayout::default());
        let mut view = LayoutView::new(Arc::clone(&layouts));
        layouts.remove(1);
        view.rings_were_empty();
        assert_eq!(layouts.len(), 1);
        view.rings_were_empty();
        assert_eq!(layouts.len(), 0);
    }
}
