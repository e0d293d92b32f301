//! Conditions on capability sets.

use super::FilterError;
use crate::event::Process;
use crate::name::CapabilitySet;
use crate::wire;

/// A condition on one set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Test {
    Any(CapabilitySet),
    All(CapabilitySet),
    Exactly(CapabilitySet),
    None(CapabilitySet),
}

impl Test {
    fn compile(filter: &wire::CapFilterSet) -> Result<Self, FilterError> {
        type Make = fn(CapabilitySet) -> Test;
        let choices: [(&[i32], Make); 4] = [
            (&filter.any, Self::Any),
            (&filter.all, Self::All),
            (&filter.exactly, Self::Exactly),
            (&filter.none, Self::None),
        ];
        let mut given = choices.into_iter().filter(|(numbers, _)| !numbers.is_empty());
        match (given.next(), given.next()) {
            (Some((numbers, make)), None) => {
                let mut set = CapabilitySet::default();
                for number in numbers.iter().filter_map(|&number| u32::try_from(number).ok()) {
                    set.insert(number);
                }
                Ok(make(set))
            }
            _ => Err(FilterError::Capabilities),
        }
    }

    fn matches(self, set: CapabilitySet) -> bool {
        let set = set.bits();
        match self {
            Self::Any(wanted) => set & wanted.bits() != 0,
            Self::All(wanted) => set & wanted.bits() == wanted.bits(),
            Self::Exactly(wanted) => set == wanted.bits(),
            Self::None(unwanted) => set & unwanted.bits() == 0,
        }
    }
}

/// Conditions on the sets of a process, all of which must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct CapabilityFilter {
    permitted: Option<Test>,
    effective: Option<Test>,
    inheritable: Option<Test>,
}

impl CapabilityFilter {
    pub(super) fn compile(filter: &wire::CapFilter) -> Result<Self, FilterError> {
        let compile = |set: &Option<wire::CapFilterSet>| set.as_ref().map(Test::compile).transpose();
        Ok(Self {
            permitted: compile(&filter.permitted)?,
            effective: compile(&filter.effective)?,
            inheritable: compile(&filter.inheritable)?,
        })
    }

    /// Whether they hold; never for a process whose capabilities are not known.
    pub(super) fn matches(&self, process: &Process) -> bool {
        let holds = |test: Option<Test>, set| test.is_none_or(|test| test.matches(set));
        process.cap.is_some_and(|cap| {
            holds(self.permitted, cap.permitted)
                && holds(self.effective, cap.effective)
                && holds(self.inheritable, cap.inheritable)
        })
    }
}
