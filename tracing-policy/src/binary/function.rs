//! Functions by where they are: which one an instruction belongs to.

use object::elf;
use object::read::elf::Sym as _;

use super::file::{Binary, ENDIAN, FileOffset};
use super::go::GoTable;

/// Longest name that is told: those of C++ and Rust grow with their types.
const LONGEST_NAME: usize = 1024;
/// Functions that are kept of one file; a browser has about 700 000.
const MOST_FUNCTIONS: usize = 1 << 20;
/// Bytes of all names of one file; many functions of a hostile one may share a long name.
const MOST_BYTES: usize = 48 << 20;

/// The functions of one file, by where they begin in it: what is left of it when its bytes are gone.
#[derive(Debug, Default)]
pub struct Functions {
    /// In order, one a place.
    places: Vec<Span>,
    names: String,
}

/// Where a function is in the file, and its name in all names.
#[derive(Debug, Clone, Copy)]
struct Span {
    start: u64,
    /// Behind its last byte; where its size is not known, behind what is loaded with it.
    end: u64,
    name: u32,
    name_len: u16,
}

/// Of several names of a place the first in this order is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Rank {
    /// Other files see it.
    Visible,
    Local,
    /// Of the table that Go keeps for its own traces.
    Go,
}

/// A function that a table tells of.
struct Candidate<'d> {
    address: u64,
    /// Bytes; 0 where they are not known.
    size: u64,
    rank: Rank,
    name: &'d str,
}

impl Functions {
    /// The functions of `.symtab`, `.dynsym` and Go's table. Of several names of a place it is the first that other files see.
    pub fn of(binary: &Binary<'_>) -> Self {
        let mut functions = Self::default();
        let mut ranks = Vec::new();
        for candidate in binary.symbol_functions().chain(binary.go_functions()) {
            if functions.places.len() >= MOST_FUNCTIONS || functions.names.len() >= MOST_BYTES {
                break;
            }
            if let Some(span) = functions.span(binary, &candidate) {
                functions.places.push(span);
                ranks.push((span.start, candidate.rank, functions.places.len() - 1));
            }
        }
        ranks.sort_unstable();
        ranks.dedup_by_key(|(start, ..)| *start);
        functions.places =
            ranks.into_iter().filter_map(|(_, _, index)| functions.places.get(index).copied()).collect();
        functions.names.shrink_to_fit();
        functions
    }

    /// The function that has the instruction at `offset`, and how many bytes that is from its first.
    pub fn around(&self, offset: FileOffset) -> Option<(&str, u64)> {
        let behind = self.places.partition_point(|span| span.start <= offset.0);
        let span = self.places.get(behind.checked_sub(1)?)?;
        let start = span.name as usize;
        let name = self.names.get(start..start + usize::from(span.name_len))?;
        (offset.0 < span.end).then(|| (name, offset.0 - span.start))
    }

    /// Bytes of memory that this takes.
    pub fn bytes(&self) -> usize {
        size_of::<Self>() + self.places.capacity() * size_of::<Span>() + self.names.capacity()
    }

    fn span(&mut self, binary: &Binary<'_>, candidate: &Candidate<'_>) -> Option<Span> {
        let FileOffset(start) = binary.address_to_offset(candidate.address)?;
        let last = binary.code_end(FileOffset(start))?;
        let end = match candidate.size {
            0 => last,
            size => start.saturating_add(size).min(last),
        };
        let name = u32::try_from(self.names.len()).ok()?;
        self.names.push_str(candidate.name);
        Some(Span { start, end, name, name_len: u16::try_from(candidate.name.len()).ok()? })
    }
}

impl<'d> Binary<'d> {
    fn symbol_functions(&self) -> impl Iterator<Item = Candidate<'d>> {
        let tables = [elf::SHT_SYMTAB, elf::SHT_DYNSYM].into_iter().filter_map(|kind| self.table(kind));
        tables.flat_map(|table| {
            table.symbols.iter().filter_map(move |entry| {
                let is_function = matches!(entry.st_type(), elf::STT_FUNC | elf::STT_GNU_IFUNC);
                if !is_function || entry.is_undefined(ENDIAN) {
                    return None;
                }
                let name = text(table.name(entry)?)?;
                let rank = if entry.st_bind() == elf::STB_LOCAL { Rank::Local } else { Rank::Visible };
                Some(Candidate { address: entry.st_value(ENDIAN), size: entry.st_size(ENDIAN), rank, name })
            })
        })
    }

    fn go_functions(&self) -> impl Iterator<Item = Candidate<'d>> {
        let table = GoTable::find(self).ok().flatten();
        let all: Vec<(u64, &'d [u8])> =
            table.iter().flat_map(GoTable::functions).take(MOST_FUNCTIONS).collect();
        all.into_iter().filter_map(|(address, name)| {
            Some(Candidate { address, size: 0, rank: Rank::Go, name: text(name)? })
        })
    }
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
        let functions = Functions::of(&binary);
        let around = |address| functions.around(binary.address_to_offset(address).unwrap());
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
