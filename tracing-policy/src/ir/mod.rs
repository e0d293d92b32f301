//! The form between policy and bytecode: reads, filter tree, actions, record layout.
//!
//! A [`Hook`] is one program to be: the hook's calls as one purpose sees them, for all policies that ride on it. Invariants, which `lower` establishes: every
//! [`ReadId`] and [`TableId`] is in range; a selector's tests stand in the order in which they are run, cheapest first;
//! intervals of a test are disjoint, ascending and within the type of what is tested.

mod evaluate;
mod expression;
mod filter;
mod hook;
mod search;
mod source_map;
mod table;

pub use crate::policy::{CapabilitySetKind, NetworkType, ObjectKind, RecordLayout, ValueKind, ValueLayout};
pub use evaluate::{Call, Value};
pub use expression::ExpressionTest;
pub(crate) use expression::is_simple;
pub use filter::{AddressTest, BytesTest, Check, Interval, Leaf, NumberTest, Subject, TableBit, Test};
pub use hook::{Hook, Left, Members, PathId, Read, ReadId, Rider, Selector};
pub use search::{ContainsTest, Search, SearchBit, SearchId};
pub use source_map::{SourceMap, SourcePlace};
pub use table::{Table, TableId, TableSubject};
