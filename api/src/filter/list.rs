//! Allow and deny lists.

use std::sync::Arc;

use super::condition::{Filter, FilterError};
use super::pid_set::PidSet;
use crate::event::Event;
use crate::wire;

/// Which events a listener wants: those that any filter of the allow list matches (all, where it is empty) and none of the
/// deny list does.
#[derive(Debug, Clone, Default)]
pub struct FilterLists {
    allow: Vec<Filter>,
    deny: Vec<Filter>,
    /// Those of all filters, which learn from every event.
    pid_sets: Vec<Arc<PidSet>>,
}

impl FilterLists {
    /// Lets every event pass.
    pub fn none() -> Self {
        Self::default()
    }

    /// The lists of a request.
    ///
    /// # Errors
    ///
    /// Names the first field that cannot be evaluated, or the value it does not take.
    pub fn compile(allow: &[wire::Filter], deny: &[wire::Filter]) -> Result<Self, FilterError> {
        let allow = compile(allow)?;
        let pid_sets = pid_sets(&allow).collect();
        Self { allow, deny: Vec::new(), pid_sets }.denying(deny)
    }

    /// These lists, with further filters in the deny list.
    ///
    /// # Errors
    ///
    /// As [`Self::compile`].
    pub fn denying(mut self, deny: &[wire::Filter]) -> Result<Self, FilterError> {
        let deny = compile(deny)?;
        self.pid_sets.extend(pid_sets(&deny));
        self.deny.extend(deny);
        Ok(self)
    }

    /// Whether every event passes.
    pub fn is_none(&self) -> bool {
        self.allow.is_empty() && self.deny.is_empty()
    }

    /// Whether the listener wants this event.
    pub fn wants(&self, event: &Event) -> bool {
        self.pid_sets.iter().for_each(|pids| pids.follow(event));
        (self.allow.is_empty() || self.allow.iter().any(|filter| filter.matches(event)))
            && !self.deny.iter().any(|filter| filter.matches(event))
    }
}

fn compile(filters: &[wire::Filter]) -> Result<Vec<Filter>, FilterError> {
    filters.iter().map(Filter::compile).collect()
}

fn pid_sets(filters: &[Filter]) -> impl Iterator<Item = Arc<PidSet>> {
    filters.iter().filter_map(|filter| filter.pid_set().cloned())
}
