//! Long lists become look-ups: one table for all filters that look at the same thing in the same way.

use std::collections::{BTreeMap, BTreeSet};

use super::{FilterPlace, Groups, Reads};
use crate::ir::{Check, ReadId, Rider, Subject, Table, TableBit, TableId, TableSubject, Test};
use crate::policy::{End, Network, StringForm};

/// Values that are compared one by one, over all filters on the same thing.
const FEW_VALUES: usize = 16;
/// Intervals that are compared one by one in one filter.
const FEW_INTERVALS: usize = 16;
/// Networks that are compared one by one in one filter.
const FEW_NETWORKS: usize = 8;
/// Longest exact value or prefix that a table takes; the most that the kernel's trie does.
pub(crate) const LONGEST: usize = 256;
/// Longest postfix that a table takes.
pub(crate) const LONGEST_END: usize = 128;

/// Moves the values of long lists into tables.
pub(super) fn extract(riders: &mut [Rider], reads: &Reads) -> Vec<Table> {
    // keys end in zeros, which buffers may hold
    let is_buffer = |read: ReadId| reads.get(read).is_some_and(|read| read.ty.is_buffer());
    let mut bytes: Groups<(ReadId, u8)> = BTreeMap::new();
    let mut numbers: Groups<(Subject, bool)> = BTreeMap::new();
    let mut addresses: Groups<(ReadId, End)> = BTreeMap::new();
    for (r, rider) in riders.iter().enumerate() {
        for (s, selector) in rider.selectors.iter().enumerate() {
            for (place, check) in with_atoms(&selector.tests) {
                let place = (r, s, place.0, place.1);
                match check {
                    Check::Bytes(test) if is_buffer(test.read) => {}
                    Check::Bytes(test) => {
                        bytes.entry((test.read, test.form as u8)).or_default().push(place);
                    }
                    Check::Number(test) if test.intervals.len() > FEW_INTERVALS => {
                        numbers.entry((test.subject, test.signed)).or_default().push(place);
                    }
                    Check::Address(test) if test.networks.len() > FEW_NETWORKS => {
                        addresses.entry((test.read, test.end)).or_default().push(place);
                    }
                    Check::Number(_)
                    | Check::Address(_)
                    | Check::Enforcing
                    | Check::Class { .. }
                    | Check::Leaf { .. }
                    | Check::FileType { .. }
                    | Check::Gained { .. }
                    | Check::Contains(_)
                    | Check::Entered { .. }
                    | Check::Expression(_)
                    | Check::Readable(_) => {}
                }
            }
        }
    }
    let mut tables = Vec::new();
    for places in bytes.values() {
        extract_bytes(riders, places, &mut tables);
    }
    for ((subject, signed), places) in &numbers {
        extract_numbers(riders, *subject, *signed, places, &mut tables);
    }
    for ((read, end), places) in &addresses {
        extract_addresses(riders, (*read, *end), places, &mut tables);
    }
    tables
}

/// Tests with those inside expressions, and where each is.
fn with_atoms(tests: &[Test]) -> impl Iterator<Item = ((usize, Option<usize>), &Check)> {
    tests.iter().enumerate().flat_map(|(t, test)| {
        let atoms = test.check.atoms().iter().enumerate().map(move |(a, atom)| ((t, Some(a)), atom));
        std::iter::once(((t, None), &test.check)).chain(atoms)
    })
}

fn check(riders: &mut [Rider], (r, s, t, a): FilterPlace) -> &mut Check {
    match (&mut riders[r].selectors[s].tests[t].check, a) {
        (Check::Expression(test), Some(a)) => &mut test.atoms[a],
        (check, _) => check,
    }
}

fn next_id(tables: &[Table]) -> TableId {
    TableId(u16::try_from(tables.len()).unwrap_or(u16::MAX))
}

fn extract_bytes(riders: &mut [Rider], places: &[FilterPlace], tables: &mut Vec<Table>) {
    let mut total = 0;
    let mut what = None;
    for &place in places {
        if let Check::Bytes(test) = check(riders, place) {
            total += test.values.len();
            what = Some((test.read, test.form));
        }
    }
    let Some((read, form)) = what.filter(|_| total > FEW_VALUES) else { return };
    let longest = match form {
        StringForm::Exact | StringForm::Prefix => LONGEST,
        StringForm::Postfix => LONGEST_END,
    };
    let mut values: BTreeMap<Vec<u8>, BTreeSet<u32>> = BTreeMap::new();
    let mut bits = 0;
    for &place in places {
        if let Check::Bytes(test) = check(riders, place) {
            let (fit, rest): (Vec<_>, Vec<_>) =
                test.values.drain(..).partition(|value| !value.is_empty() && value.len() <= longest);
            test.values = rest;
            if fit.is_empty() {
                continue;
            }
            for value in fit {
                values.entry(value).or_default().insert(bits);
            }
            test.table = Some(TableBit { table: next_id(tables), bit: bits });
            bits += 1;
        }
    }
    if bits > 0 {
        tables.push(Table { subject: TableSubject::Bytes { read, form, values }, bits });
    }
}

fn extract_numbers(
    riders: &mut [Rider],
    subject: Subject,
    signed: bool,
    places: &[FilterPlace],
    tables: &mut Vec<Table>,
) {
    let mut intervals = BTreeMap::new();
    let mut bits = 0;
    for &place in places {
        if let Check::Number(test) = check(riders, place) {
            intervals.insert(bits, std::mem::take(&mut test.intervals));
            test.table = Some(TableBit { table: next_id(tables), bit: bits });
            bits += 1;
        }
    }
    tables.push(Table { subject: TableSubject::Number { subject, signed, intervals }, bits });
}

fn extract_addresses(
    riders: &mut [Rider],
    (read, end): (ReadId, End),
    places: &[FilterPlace],
    tables: &mut Vec<Table>,
) {
    let mut networks: BTreeMap<Network, BTreeSet<u32>> = BTreeMap::new();
    let mut bits = 0;
    for &place in places {
        if let Check::Address(test) = check(riders, place) {
            for network in test.networks.drain(..) {
                networks.entry(network).or_default().insert(bits);
            }
            test.table = Some(TableBit { table: next_id(tables), bit: bits });
            bits += 1;
        }
    }
    tables.push(Table { subject: TableSubject::Address { read, end, networks }, bits });
}
