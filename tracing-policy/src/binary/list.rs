//! What there is in a file to hook.

use std::collections::{BTreeMap, BTreeSet};

use object::elf;
use object::read::elf::Sym as _;

use super::file::{Binary, ENDIAN};
use super::go::GoTable;
use super::symbol::text;
use super::usdt::SECTION;

impl<'d> Binary<'d> {
    /// Names of functions that [`Binary::function_offset`] finds, in order: those of one place only, without versions. In a
    /// stripped Go program, those of its function table.
    pub fn functions(&self) -> Vec<&'d str> {
        let mut places: BTreeMap<&str, BTreeSet<u64>> = BTreeMap::new();
        for table in [elf::SHT_SYMTAB, elf::SHT_DYNSYM].into_iter().filter_map(|kind| self.table(kind)) {
            for entry in table.symbols {
                if entry.st_type() != elf::STT_FUNC || entry.is_undefined(ENDIAN) {
                    continue;
                }
                let address = entry.st_value(ENDIAN);
                if let Some(name) = table.name(entry).and_then(text).filter(|name| !name.contains('@'))
                    && self.address_to_offset(address).is_some_and(|at| self.offset_is_executable(at))
                {
                    places.entry(name).or_default().insert(address);
                }
            }
        }
        if places.is_empty() {
            let go = GoTable::find(self).ok().flatten();
            let mut names: Vec<_> = go.iter().flat_map(GoTable::names).filter_map(text).collect();
            names.sort_unstable();
            // Functions of one name cannot be told apart.
            return names
                .chunk_by(|a, b| a == b)
                .filter_map(|same| if let [name] = same { Some(*name) } else { None })
                .collect();
        }
        places.into_iter().filter(|(_, addresses)| addresses.len() == 1).map(|(name, _)| name).collect()
    }

    /// Providers and names of the static probes, in order; those that are UTF-8.
    pub fn probes(&self) -> Vec<(&'d str, &'d str)> {
        let notes = self.sections_named(SECTION).flat_map(|section| self.raw_notes(section));
        let named = notes.filter_map(|note| {
            Some((std::str::from_utf8(note.provider).ok()?, std::str::from_utf8(note.name).ok()?))
        });
        named.collect::<BTreeSet<_>>().into_iter().collect()
    }
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::image::{CODE, Image, Symbol, note, words};
    use super::*;

    #[test]
    fn functions_of_one_place_are_listed_and_those_of_several_are_not() {
        let symbols = [("b", 0x1000), ("a", 0x1010), ("twice", 0x1020), ("twice", 0x1030)]
            .map(|(name, address)| Symbol::function(name, address));
        let bytes = Image::default().loaded(0x1000, CODE, vec![0x90; 64]).symbols(2, &symbols).build();
        let binary = Binary::parse(&bytes).unwrap();
        assert_eq!(binary.functions(), ["a", "b"]);
        assert!(binary.functions().iter().all(|name| binary.function_offset(name).is_ok()));
    }

    #[test]
    fn each_probe_is_listed_once() {
        let probe = |texts: &[u8]| note(b"stapsdt\0", 3, &[words(&[0x1000, 0, 0]), texts.to_vec()].concat());
        let notes = [probe(b"p\0n\0\0"), probe(b"o\0n\0\0"), probe(b"p\0n\0\0")];
        let bytes = Image::default()
            .loaded(0x1000, CODE, vec![0x90; 64])
            .section(".note.stapsdt", 7, 0, 0, notes.concat())
            .build();
        let binary = Binary::parse(&bytes).unwrap();
        assert_eq!(binary.probes(), [("o", "n"), ("p", "n")]);
    }
}
