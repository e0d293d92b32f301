//! Texts that are looked for anywhere in a subject: one search for many filters.

use crate::ir::{Check, ReadId, Rider, Search, SearchBit, SearchId};
use crate::policy::Case;

/// Filters that one search answers: bits of a word.
const MOST_BITS: u32 = 64;
/// Bytes of all texts of one search; each may take a state of 16 bits.
const MOST_BYTES: usize = 16_384;

/// Gives every filter of that kind its bit of a search.
pub(super) fn extract(riders: &mut [Rider]) -> Vec<Search> {
    let mut searches: Vec<Search> = Vec::new();
    let selectors = riders.iter_mut().flat_map(|rider| &mut rider.selectors);
    let tests = selectors.flat_map(|selector| &mut selector.tests);
    let checks = tests.flat_map(|test| test.check.parts_mut());
    for check in checks {
        let Check::Contains(test) = check else { continue };
        let bytes: usize = test.values.iter().map(Vec::len).sum();
        let index = room_for(&searches, test.read, test.case, bytes).unwrap_or_else(|| {
            searches.push(Search { read: test.read, case: test.case, bits: 0, values: Vec::new() });
            searches.len() - 1
        });
        let Some(search) = searches.get_mut(index) else { continue };
        search.values.extend(test.values.iter().map(|value| (value.clone(), search.bits)));
        test.search =
            Some(SearchBit { search: SearchId(u16::try_from(index).unwrap_or(u16::MAX)), bit: search.bits });
        search.bits += 1;
    }
    searches
}

fn room_for(searches: &[Search], read: ReadId, case: Case, bytes: usize) -> Option<usize> {
    searches.iter().position(|search| {
        let there: usize = search.values.iter().map(|(value, _)| value.len()).sum();
        (search.read, search.case) == (read, case) && search.bits < MOST_BITS && there + bytes <= MOST_BYTES
    })
}
