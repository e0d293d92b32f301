//! Values that are looked up at once for all filters on one subject.

use std::collections::{BTreeMap, BTreeSet};

use super::filter::Interval;
use super::filter::Subject;
use super::hook::ReadId;
use crate::policy::{End, Network, StringForm};

/// Index into [`super::Hook::tables`].
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct TableId(pub u16);

impl TableId {
    /// As an index.
    pub fn index(self) -> usize {
        usize::from(self.0)
    }
}

/// What is looked up, and the values: each with the filters that it stands in.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum TableSubject {
    /// A path or string.
    Bytes {
        /// The argument.
        read: ReadId,
        /// How values are compared.
        form: StringForm,
        /// Values, none longer than a table takes, and their filters.
        values: BTreeMap<Vec<u8>, BTreeSet<u32>>,
    },
    /// A number.
    Number {
        /// The number.
        subject: Subject,
        /// Whether its type has a sign.
        signed: bool,
        /// Intervals by filter; those of one filter are disjoint and ascending.
        intervals: BTreeMap<u32, Vec<Interval>>,
    },
    /// An address.
    Address {
        /// The argument.
        read: ReadId,
        /// Which of its addresses.
        end: End,
        /// Networks and the filters that they stand in.
        networks: BTreeMap<Network, BTreeSet<u32>>,
    },
}

/// One look-up that answers several filters.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Table {
    /// What is looked up.
    pub subject: TableSubject,
    /// How many filters there are: bits of an answer.
    pub bits: u32,
}

impl Table {
    /// Whether it looks up that argument's bytes.
    pub fn reads(&self, id: ReadId) -> bool {
        matches!(self.subject, TableSubject::Bytes { read, .. } if read == id)
    }

    /// Words of an answer.
    pub fn words(&self) -> u32 {
        self.bits.div_ceil(64).max(1)
    }
}
