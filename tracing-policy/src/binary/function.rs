//! Functions by where they are: which one an instruction belongs to.

use std::ops::RangeInclusive;

use object::elf;
use object::read::elf::Sym as _;

use super::file::{Binary, ENDIAN, FileOffset};
use super::go::GoTable;

/// Longest name that is told: those of C++ and Rust grow with their types.
const LONGEST_NAME: usize = 1024;

/// A function that begins at or before an instruction.
#[derive(Debug, Clone, Copy)]
struct Candidate<'d> {
    address: u64,
    /// Bytes; 0 where they are not known, so that it reaches to the next.
    size: u64,
    name: &'d str,
    is_local: bool,
}

impl<'d> Binary<'d> {
    /// The function that has the instruction at `offset`, and how many bytes that is from its first: by `.symtab` and `.dynsym`, and where those have none before it by the
    /// table that Go keeps. Of several names of a place it is the first that other files see.
    pub fn function_around(&self, offset: FileOffset) -> Option<(&'d str, u64)> {
        let (start, distance) = self.code_around(offset)?;
        let address = start.checked_add(distance)?;
        let before = start..=address;
        let found = nearest(self.symbols_in(&before)).or_else(|| self.nearest_of_go(&before))?;
        let distance = address - found.address;
        (found.size == 0 || distance < found.size).then_some((found.name, distance))
    }

    fn symbols_in(&self, places: &RangeInclusive<u64>) -> impl Iterator<Item = Candidate<'d>> {
        let tables = [elf::SHT_SYMTAB, elf::SHT_DYNSYM].into_iter().filter_map(|kind| self.table(kind));
        tables.flat_map(move |table| {
            table.symbols.iter().filter_map(move |entry| {
                let address = entry.st_value(ENDIAN);
                let is_function = matches!(entry.st_type(), elf::STT_FUNC | elf::STT_GNU_IFUNC);
                if !is_function || entry.is_undefined(ENDIAN) || !places.contains(&address) {
                    return None;
                }
                let name = text(table.name(entry)?)?;
                let is_local = entry.st_bind() == elf::STB_LOCAL;
                Some(Candidate { address, size: entry.st_size(ENDIAN), name, is_local })
            })
        })
    }

    fn nearest_of_go(&self, places: &RangeInclusive<u64>) -> Option<Candidate<'d>> {
        let table = GoTable::find(self).ok()??;
        let inside = table.functions().filter(|(address, _)| places.contains(address));
        let named = inside.filter_map(|(address, name)| Some((address, text(name)?)));
        nearest(named.map(|(address, name)| Candidate { address, size: 0, name, is_local: false }))
    }
}

/// The last of them; of several at one place the first that other files see.
fn nearest<'d>(all: impl IntoIterator<Item = Candidate<'d>>) -> Option<Candidate<'d>> {
    let rank = |candidate: &Candidate<'_>| (candidate.address, !candidate.is_local);
    all.into_iter().reduce(|best, new| if rank(&new) > rank(&best) { new } else { best })
}

/// A name that ends with a NUL; cut where it is too long.
fn text(bytes: &[u8]) -> Option<&str> {
    let bytes = bytes.get(..bytes.len().min(LONGEST_NAME))?;
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    let whole = match std::str::from_utf8(bytes.get(..end)?) {
        Ok(text) => text,
        // cut in the midst of a character
        Err(error) if error.error_len().is_none() => {
            std::str::from_utf8(bytes.get(..error.valid_up_to())?).ok()?
        }
        Err(_) => return None,
    };
    Some(whole).filter(|name| !name.is_empty())
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::image::{CODE, DATA, Image, Symbol};
    use super::*;

    #[test]
    fn an_instruction_is_of_the_last_function_that_begins_before_it() {
        let local = |name, address| Symbol { local: true, ..Symbol::function(name, address) };
        let symbols = [
            Symbol::function("second", 0x1010),
            local("alias", 0x1004),
            Symbol::function("first", 0x1004),
            Symbol::function("also", 0x1004),
            Symbol::function("elsewhere", 0x3000),
            Symbol { section: 0, ..Symbol::function("imported", 0x1012) },
        ];
        let bytes = Image::default()
            .loaded(0x1000, CODE, vec![0x90; 64])
            .loaded(0x3000, DATA, vec![0; 64])
            .symbols(2, &symbols)
            .build();
        let binary = Binary::parse(&bytes).unwrap();
        let around = |address| binary.function_around(binary.address_to_offset(address).unwrap());
        assert_eq!(around(0x1003), None);
        assert_eq!(around(0x1004), Some(("first", 0)));
        assert_eq!(around(0x100f), Some(("first", 11)));
        assert_eq!(around(0x1013), Some(("second", 3)));
        // no instructions
        assert_eq!(around(0x3001), None);
    }

    #[test]
    fn a_long_name_is_cut_between_characters() {
        let long = format!("{}\u{e9}\0", "x".repeat(LONGEST_NAME - 1));
        assert_eq!(text(long.as_bytes()), long.get(..LONGEST_NAME - 1));
        assert_eq!(text(b"\xff\0"), None);
        assert_eq!(text(b"\0"), None);
    }
}
