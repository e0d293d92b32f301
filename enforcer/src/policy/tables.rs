//! The tables that classify a process, by its binary at exec and by its number at fork: from tests to entries.
//!
//! The kernel's trie answers with the longest entry that is a prefix of the path, one entry only. So each entry carries, besides its own
//! classes, those of all entries that are prefixes of it: the closure. An exact path is stored with a NUL behind it and looked up with
//! one, so that it is matched by nothing longer.

use std::collections::BTreeMap;

use bpf_probes::abi::{BINARY_BYTES, BINARY_END_BYTES, ClassSet, NumberKey};
use tracing_policy::policy::{ClassTest, PidNamespace, StringForm};
use zerocopy::IntoBytes as _;

use super::port::Table;

/// Entries of all tables; those of the tries closed.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub(super) struct Tables {
    binaries: BTreeMap<Vec<u8>, ClassSet>,
    ends: BTreeMap<Vec<u8>, ClassSet>,
    numbers: BTreeMap<Vec<u8>, ClassSet>,
}

/// A value that no entry can hold.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error("a binary of {len} bytes is longer than the {most} that this test can compare: {}", String::from_utf8_lossy(.start))]
pub(super) struct ValueTooLong {
    len: usize,
    most: usize,
    start: Vec<u8>,
}

/// What has to be written and erased to get from one state of a table to the next.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Difference<'a> {
    pub(super) write: Vec<(&'a [u8], ClassSet)>,
    pub(super) erase: Vec<&'a [u8]>,
}

impl Tables {
    /// The entries for these tests with their class numbers.
    pub(super) fn of<'a>(
        tests: impl IntoIterator<Item = (&'a ClassTest, u32)>,
    ) -> Result<Self, ValueTooLong> {
        let mut tables = Self::default();
        for (test, class) in tests {
            match test {
                ClassTest::Binary { form, values, .. } => {
                    for value in values {
                        let (table, key) = entry(*form, value)?;
                        tables.table_mut(table).entry(key).or_default().insert(class);
                    }
                }
                ClassTest::Descendants { namespace, pids } => {
                    for pid in pids {
                        tables.add_number(*namespace, *pid, class);
                    }
                }
                ClassTest::InPidNamespace => {
                    tables.add_key(NumberKey { number: 0, namespace: NumberKey::OWN }, class);
                }
                ClassTest::Workload(_) => {}
            }
        }
        close(&mut tables.binaries);
        close(&mut tables.ends);
        Ok(tables)
    }

    /// 0 is nobody's number; in the table it stands for something else.
    fn add_number(&mut self, namespace: PidNamespace, number: u32, class: u32) {
        let namespace = match namespace {
            PidNamespace::Host => NumberKey::HOST,
            PidNamespace::Own => NumberKey::OWN,
        };
        if number != 0 {
            self.add_key(NumberKey { number, namespace }, class);
        }
    }

    fn add_key(&mut self, key: NumberKey, class: u32) {
        self.numbers.entry(key.as_bytes().to_vec()).or_default().insert(class);
    }

    /// Which tables have entries, by [`Table::bit`].
    pub(super) fn used(&self) -> u32 {
        let used = Table::ALL.into_iter().filter(|table| !self.table(*table).is_empty());
        used.map(Table::bit).sum()
    }

    fn table_mut(&mut self, table: Table) -> &mut BTreeMap<Vec<u8>, ClassSet> {
        match table {
            Table::Binaries => &mut self.binaries,
            Table::Ends => &mut self.ends,
            Table::Numbers => &mut self.numbers,
        }
    }

    /// The entries of one table.
    pub(super) fn table(&self, table: Table) -> &BTreeMap<Vec<u8>, ClassSet> {
        match table {
            Table::Binaries => &self.binaries,
            Table::Ends => &self.ends,
            Table::Numbers => &self.numbers,
        }
    }

    /// What leads from `self` to `next`.
    pub(super) fn difference<'a>(&'a self, next: &'a Self, table: Table) -> Difference<'a> {
        let (from, to) = (self.table(table), next.table(table));
        let write = to.iter().filter(|(key, set)| from.get(*key) != Some(set));
        let erase = from.keys().filter(|key| !to.contains_key(*key));
        Difference {
            write: write.map(|(key, set)| (key.as_slice(), *set)).collect(),
            erase: erase.map(Vec::as_slice).collect(),
        }
    }
}

/// Where a value is stored, and how.
fn entry(form: StringForm, value: &[u8]) -> Result<(Table, Vec<u8>), ValueTooLong> {
    let (table, most, key) = match form {
        StringForm::Exact => {
            let mut key = value.to_vec();
            key.push(0);
            (Table::Binaries, BINARY_BYTES - 1, key)
        }
        StringForm::Prefix => (Table::Binaries, BINARY_BYTES, value.to_vec()),
        StringForm::Postfix => (Table::Ends, BINARY_END_BYTES, value.iter().rev().copied().collect()),
    };
    if value.len() > most {
        let start = value.get(..64).unwrap_or(value).to_vec();
        return Err(ValueTooLong { len: value.len(), most, start });
    }
    Ok((table, key))
}

/// Adds to each entry the classes of those that are prefixes of it. In the order of keys a prefix comes before what it begins, with
/// nothing between that it does not begin.
fn close(entries: &mut BTreeMap<Vec<u8>, ClassSet>) {
    let mut above: Vec<(Vec<u8>, ClassSet)> = Vec::new();
    for (key, set) in entries.iter_mut() {
        while above.last().is_some_and(|(prefix, _)| !key.starts_with(prefix)) {
            above.pop();
        }
        if let Some((_, inherited)) = above.last() {
            set.extend(inherited);
        }
        above.push((key.clone(), *set));
    }
}

/// Whether a binary passes a test; `None` for a test that is not about the binary.
pub(super) fn passes(test: &ClassTest, binary: &[u8]) -> Option<bool> {
    let ClassTest::Binary { form, values, .. } = test else { return None };
    Some(values.iter().any(|value| match form {
        StringForm::Exact => binary == value,
        StringForm::Prefix => binary.starts_with(value),
        StringForm::Postfix => binary.ends_with(value),
    }))
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use tracing_policy::policy::Children;

    use super::*;

    fn test(form: StringForm, values: &[&str]) -> ClassTest {
        let values = values.iter().map(|value| value.as_bytes().to_vec()).collect();
        ClassTest::Binary { form, values, children: Children::Ignored }
    }

    /// The classes that a look-up in the tries gives, as the exec program makes it.
    fn look_up(tables: &Tables, binary: &str) -> Vec<u32> {
        let mut path = binary.as_bytes().to_vec();
        path.push(0);
        let reversed: Vec<u8> = binary.bytes().rev().collect();
        let longest = |table: Table, key: &[u8]| {
            let found = tables.table(table).iter().filter(|(entry, _)| key.starts_with(entry));
            found.max_by_key(|(entry, _)| entry.len()).map(|(_, set)| *set).unwrap_or_default()
        };
        let mut set = longest(Table::Binaries, &path);
        set.extend(&longest(Table::Ends, &reversed));
        (0..64).filter(|class| set.contains(*class)).collect()
    }

    // proves: SEL-06 (all forms, in the tables)
    #[test]
    fn one_look_up_yields_every_class_that_the_binary_is_in() {
        let tests = [
            test(StringForm::Exact, &["/usr/bin/cat", "/bin/sh"]),
            test(StringForm::Prefix, &["/usr/", "/opt"]),
            test(StringForm::Prefix, &["/usr/bin/ca"]),
            test(StringForm::Postfix, &["cat", "/sh"]),
            test(StringForm::Postfix, &["t"]),
        ];
        let tables = Tables::of(tests.iter().zip(0..)).unwrap();
        for binary in
            ["/usr/bin/cat", "/usr/bin/cats", "/usr/bin/c", "/bin/sh", "/bin/shx", "/opt", "/x", "cat", ""]
        {
            let expected: Vec<u32> = (0..)
                .zip(&tests)
                .filter(|(_, test)| passes(test, binary.as_bytes()).unwrap())
                .map(|(class, _)| class)
                .collect();
            assert_eq!(look_up(&tables, binary), expected, "{binary}");
        }
    }

    #[test]
    fn an_entry_between_two_branches_does_not_leak_into_the_second() {
        let tests = [
            test(StringForm::Prefix, &["/a"]),
            test(StringForm::Prefix, &["/ab"]),
            test(StringForm::Prefix, &["/b"]),
        ];
        let tables = Tables::of(tests.iter().zip(0..)).unwrap();
        assert_eq!(look_up(&tables, "/ac"), [0]);
        assert_eq!(look_up(&tables, "/abc"), [0, 1]);
        assert_eq!(look_up(&tables, "/b"), [2]);
    }

    #[test]
    fn the_difference_touches_only_what_changes() {
        let first = test(StringForm::Exact, &["/a", "/b"]);
        let second = test(StringForm::Exact, &["/b", "/c"]);
        let (one, both) =
            (Tables::of([(&first, 0)]).unwrap(), Tables::of([(&first, 0), (&second, 1)]).unwrap());
        let forth = one.difference(&both, Table::Binaries);
        let keys: Vec<_> = forth.write.iter().map(|(key, _)| *key).collect();
        assert_eq!((keys, forth.erase), (vec![b"/b\0".as_slice(), b"/c\0"], vec![]));
        let back = both.difference(&one, Table::Binaries);
        assert_eq!((back.write.len(), back.erase), (1, vec![b"/c\0".as_slice()]));
    }

    #[test]
    fn a_value_that_does_not_fit_an_entry_is_refused() {
        let fits = "x".repeat(255);
        assert!(Tables::of([(&test(StringForm::Exact, &[&fits]), 0)]).is_ok());
        assert!(Tables::of([(&test(StringForm::Exact, &[&format!("{fits}x")]), 0)]).is_err());
        let error = Tables::of([(&test(StringForm::Postfix, &[&fits]), 0)]).unwrap_err();
        assert!(error.to_string().contains("255 bytes"), "{error}");
    }
}
