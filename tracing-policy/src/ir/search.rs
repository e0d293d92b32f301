//! Texts looked for anywhere in a subject.

use super::hook::ReadId;
use crate::policy::Case;

/// Index into [`super::Hook::searches`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct SearchId(pub u16);

impl SearchId {
    /// As an index.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// The bit that a search's answer has for one filter.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct SearchBit {
    /// The search.
    pub search: SearchId,
    /// The bit, below 64.
    pub bit: u32,
}

/// A test for a text anywhere in a path or string. What cannot be tested never passes.
#[derive(Clone, Debug)]
pub struct ContainsTest {
    /// What is tested.
    pub read: ReadId,
    /// Whether capital letters count as small ones.
    pub case: Case,
    /// Texts, one of which must be found.
    pub values: Vec<Vec<u8>>,
    /// Where the answer is.
    pub search: Option<SearchBit>,
}

/// One pass over a subject that answers several filters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Search {
    /// What is searched.
    pub read: ReadId,
    /// Whether capital letters count as small ones.
    pub case: Case,
    /// How many filters there are, at most 64.
    pub bits: u32,
    /// Texts, each with the filter that it stands in.
    pub values: Vec<(Vec<u8>, u32)>,
}
