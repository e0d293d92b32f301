//! Values that filters of several kinds have, compiled.

use regex::{RegexSet, RegexSetBuilder};

use super::FilterError;
use crate::name::EventType;

/// Most memory that the expressions of one field may take when compiled, in bytes.
pub(super) const EXPRESSION_BYTES: usize = 4 << 20;

/// The types of those numbers, in their order.
///
/// # Errors
///
/// The first number that is none of a type.
pub(super) fn event_types(numbers: &[i32]) -> Result<Vec<EventType>, FilterError> {
    let named = |&number: &i32| EventType::from_number(number).ok_or(FilterError::EventType { number });
    numbers.iter().map(named).collect()
}

/// The expressions of `field`, any of which may match.
///
/// # Errors
///
/// Where one is none, or they are too large together.
pub(super) fn expressions(field: &'static str, texts: &[String]) -> Result<RegexSet, FilterError> {
    let set = RegexSetBuilder::new(texts).size_limit(EXPRESSION_BYTES).build();
    set.map_err(|error| FilterError::Expression { field, source: Box::new(error) })
}
