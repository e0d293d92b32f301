//! Entries of a symbol table by their names: of one file thousands may be asked for.

use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use super::symbol::Table;

/// So many bytes of a name, without its version, are looked up. What is behind them whoever looks compares.
const LOOKED_UP: usize = 256;

/// Hashes of names with the indices of their entries, in order: 8 bytes for the 24 of an entry.
#[derive(Debug)]
pub(super) struct Names(Vec<(u32, u32)>);

impl Names {
    /// The names of a table.
    pub(super) fn of(table: &Table<'_>) -> Self {
        let entries = (0..).zip(table.symbols);
        let named = entries.filter_map(|(index, entry)| Some((hash(table.name(entry)?), index)));
        let mut names: Vec<(u32, u32)> = named.collect();
        names.sort_unstable();
        Self(names)
    }

    /// Indices of the entries that may have this name, with whatever version; all that have it are among them.
    pub(super) fn like(&self, symbol: &str) -> impl Iterator<Item = usize> {
        let wanted = hash(symbol.as_bytes());
        let first = self.0.partition_point(|(hash, _)| *hash < wanted);
        let alike = self.0.iter().skip(first).take_while(move |(hash, _)| *hash == wanted);
        alike.filter_map(|(_, index)| usize::try_from(*index).ok())
    }
}

/// Of a name that ends with a NUL, with its version or with the text.
fn hash(name: &[u8]) -> u32 {
    let looked_up = name.iter().take(LOOKED_UP).take_while(|byte| !matches!(byte, 0 | b'@'));
    let mut hasher = DefaultHasher::new();
    looked_up.for_each(|byte| byte.hash(&mut hasher));
    let [.., a, b, c, d] = hasher.finish().to_ne_bytes();
    u32::from_ne_bytes([a, b, c, d])
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use crate::binary::Binary;

    #[test]
    fn a_function_is_where_it_was_when_the_names_are_sorted() {
        let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let (one_by_one, sorted) = (Binary::parse(&bytes).unwrap(), Binary::parse(&bytes).unwrap());
        sorted.sort_names();
        let functions = one_by_one.functions();
        assert!(functions.len() > 100);
        let versioned = functions.iter().take(2).map(|name| format!("{name}@NO_SUCH_VERSION"));
        let names = functions.iter().step_by(97).map(|name| (*name).to_owned()).chain(versioned);
        for name in names.chain(["no_such_function".to_owned()]) {
            assert_eq!(sorted.function_offset(&name), one_by_one.function_offset(&name), "{name}");
        }
    }
}
