//! The function table that Go links into every program for its stack traces: it stays where `strip` takes the symbols.
//!
//! Layout (Go's `runtime/symtab.go` and `debug/gosym`): a header of a magic number (4 bytes), two zeros, the granularity of
//! instructions and the size of a word, then words:
//!
//! ```text
//! 1.16:   functions, files,             names, units, files, tables, functions' offset
//! 1.18 →: functions, files, text start, names, units, files, tables, functions' offset
//! ```
//!
//! Offsets count from the header. At the functions' offset are pairs of (program counter, offset of details from
//! the same place): words that hold addresses in 1.16, four bytes from the text's start each since 1.18. A last pair's first half
//! says where the last function ends. Details begin with the counter once more, then the name's offset in the names.

use super::file::Binary;
use super::symbol::is_text;

use object::read::elf::SectionHeader;

const MAGIC_1_2: u32 = 0xffff_fffb;
const MAGIC_1_16: u32 = 0xffff_fffa;
const MAGIC_1_18: u32 = 0xffff_fff0;
const MAGIC_1_20: u32 = 0xffff_fff1;
/// Bytes of a word: all programs here are of x86-64.
const WORD: usize = 8;
/// So many words of a module's data, from the pointer to the table on, are looked through.
const MODULE_WORDS: u64 = 48;

/// What the section that holds the table is called; the second one in position-independent programs.
const SECTIONS: [&[u8]; 2] = [b".gopclntab", b".data.rel.ro.gopclntab"];

/// Why a Go program's function table is of no use.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum GoError {
    /// Another layout.
    #[error("its function table is of a version of Go before 1.16")]
    TooOld,
    /// Offsets that lead out of the table.
    #[error("its function table is damaged")]
    Damaged,
    /// Neither the table nor the program's module data tells it.
    #[error("where its text starts is nowhere to be found")]
    NoText,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// 1.16 and 1.17.
    Addresses,
    /// 1.18 and later.
    Offsets,
}

/// The function table of one Go program.
#[derive(Debug)]
pub(super) struct GoTable<'b, 'd> {
    binary: &'b Binary<'d>,
    bytes: &'d [u8],
    address: u64,
    layout: Layout,
    count: usize,
    names: &'d [u8],
    functions: &'d [u8],
}

impl Binary<'_> {
    /// Whether a section is that of the table.
    pub(super) fn is_go_section(&self, section: &super::file::Section) -> bool {
        let name = self.sections().section_name(super::file::ENDIAN, section);
        name.is_ok_and(|name| SECTIONS.contains(&name))
    }
}

impl<'b, 'd> GoTable<'b, 'd> {
    /// The table of a program; nothing where it is not Go's.
    pub(super) fn find(binary: &'b Binary<'d>) -> Result<Option<Self>, GoError> {
        for name in SECTIONS {
            if let Some(section) = binary.sections_named(name).next() {
                let address = section.sh_addr(super::file::ENDIAN);
                let bytes = binary.loaded_from(address).ok_or(GoError::Damaged)?;
                return Self::parse(binary, bytes, address).map(Some);
            }
        }
        Ok(Self::search(binary))
    }

    /// Where the section headers are gone: the first place in what is loaded that holds a whole table.
    fn search(binary: &'b Binary<'d>) -> Option<Self> {
        for segment in binary.segments() {
            let Some(bytes) = binary.loaded_from(segment.address) else { continue };
            let aligned = usize::try_from(segment.address.wrapping_neg() % 8).unwrap_or_default();
            for at in (aligned..bytes.len()).step_by(WORD) {
                let Some(table) = bytes.get(at..) else { break };
                if !matches!(read_u32(table, 0), Some(MAGIC_1_16 | MAGIC_1_18 | MAGIC_1_20)) {
                    continue;
                }
                let address = segment.address.wrapping_add(at as u64);
                if let Ok(table) = Self::parse(binary, table, address) {
                    return Some(table);
                }
            }
        }
        None
    }

    fn parse(binary: &'b Binary<'d>, bytes: &'d [u8], address: u64) -> Result<Self, GoError> {
        let layout = match read_u32(bytes, 0).ok_or(GoError::Damaged)? {
            MAGIC_1_2 => return Err(GoError::TooOld),
            MAGIC_1_16 => Layout::Addresses,
            MAGIC_1_18 | MAGIC_1_20 => Layout::Offsets,
            _ => return Err(GoError::Damaged),
        };
        // Two zeros; instructions of any length; words of eight bytes.
        if bytes.get(4..8) != Some(&[0, 0, 1, 8]) {
            return Err(GoError::Damaged);
        }
        let word = |index: usize| read_size(bytes, 8 + index * WORD).ok_or(GoError::Damaged);
        let part = |index: usize| bytes.get(word(index)?..).ok_or(GoError::Damaged);
        let (names, functions) = match layout {
            Layout::Addresses => (part(2)?, part(6)?),
            Layout::Offsets => (part(3)?, part(7)?),
        };
        let table = Self { binary, bytes, address, layout, count: word(0)?, names, functions };
        let pairs = table.count.checked_mul(table.pair()).ok_or(GoError::Damaged)?;
        let whole = functions.get(..pairs.saturating_add(table.pair() / 2)).is_some();
        let named = table.count > 0 && table.name(0).is_some_and(|name| name.contains(&0));
        (whole && named).then_some(table).ok_or(GoError::Damaged)
    }

    /// The address of the first instruction of a function, by the name that Go's traces show: `main.run`.
    pub(super) fn function(&self, name: &str) -> Result<Option<u64>, GoError> {
        let wanted = |index: &usize| self.name(*index).is_some_and(|own| is_text(own, name.as_bytes()));
        let Some(index) = (0..self.count).find(wanted) else { return Ok(None) };
        match self.layout {
            Layout::Addresses => {
                let at = self.functions_at().wrapping_add((index * self.pair()) as u64);
                self.binary.word(at).map(Some).ok_or(GoError::Damaged)
            }
            Layout::Offsets => {
                let offset = self.counter(index).ok_or(GoError::Damaged)?;
                Ok(Some(self.text_start()?.wrapping_add(u64::from(offset))))
            }
        }
    }

    /// The names of all functions; each slice goes on behind its NUL.
    pub(super) fn names(&self) -> impl Iterator<Item = &'d [u8]> {
        (0..self.count).filter_map(|index| self.name(index))
    }

    /// The address of each function's first instruction, and its name; each slice goes on behind its NUL. None where it is not known where the text starts. What a loader
    /// would write (1.16 and 1.17, position-independent) is left out.
    pub(super) fn functions(&self) -> impl Iterator<Item = (u64, &'d [u8])> {
        let start = match self.layout {
            Layout::Addresses => Some(0),
            Layout::Offsets => self.text_start().ok(),
        };
        (0..self.count).filter_map(move |index| {
            let address = match self.layout {
                Layout::Addresses => read_u64(self.functions, index * self.pair()).filter(|at| *at != 0)?,
                Layout::Offsets => start?.wrapping_add(u64::from(self.counter(index)?)),
            };
            Some((address, self.name(index)?))
        })
    }

    /// Bytes of a pair in the list of functions.
    fn pair(&self) -> usize {
        match self.layout {
            Layout::Addresses => 2 * WORD,
            Layout::Offsets => 8,
        }
    }

    fn name(&self, index: usize) -> Option<&'d [u8]> {
        let details = match self.layout {
            Layout::Addresses => read_size(self.functions, index * self.pair() + WORD)?.checked_add(WORD)?,
            Layout::Offsets => read_u32(self.functions, index * self.pair() + 4)? as usize + 4,
        };
        let name = usize::try_from(read_u32(self.functions, details)?.cast_signed()).ok()?;
        self.names.get(name..)
    }

    /// Where a function starts, from the text's start; `index` may be that behind the last.
    fn counter(&self, index: usize) -> Option<u32> {
        read_u32(self.functions, index * self.pair())
    }

    fn functions_at(&self) -> u64 {
        let skipped = self.bytes.len() - self.functions.len();
        self.address.wrapping_add(skipped as u64)
    }

    /// The address that offsets of functions count from: in the header, until Go stopped to fill it; the module data has it
    /// always.
    fn text_start(&self) -> Result<u64, GoError> {
        let told = self.binary.word(self.address.wrapping_add(8 + 2 * WORD as u64));
        match told.filter(|told| *told != 0) {
            Some(told) => Ok(told),
            None => self.text_of_module().ok_or(GoError::NoText),
        }
    }

    /// The module's data begins with a pointer to the table; somewhere behind it are the lowest counter of a function, the
    /// end of the last, and the start of the text. The table says how far the three are apart.
    fn text_of_module(&self) -> Option<u64> {
        let first = u64::from(self.counter(0)?);
        let end = u64::from(self.counter(self.count)?);
        let relocated = self.binary.relocations().filter(|to| to.value == self.address).map(|to| to.address);
        let written = self.binary.segments().iter().filter(|segment| segment.writable).flat_map(|segment| {
            let bytes = self.binary.loaded_from(segment.address).unwrap_or_default();
            let words = bytes.chunks_exact(WORD).enumerate();
            let pointers = words.filter(|(_, word)| read_u64(word, 0) == Some(self.address));
            pointers.map(|(index, _)| segment.address.wrapping_add((index * WORD) as u64))
        });
        /// A hostile file may be full of pointers.
        const MOST_POINTERS: usize = 64;
        relocated.chain(written).take(MOST_POINTERS).find_map(|module| {
            (1..MODULE_WORDS).find_map(|index| {
                let word = |index: u64| self.binary.word(module.wrapping_add(index * WORD as u64));
                let text = word(index + 2).filter(|text| *text != 0)?;
                let fits =
                    word(index)? == text.wrapping_add(first) && word(index + 1)? == text.wrapping_add(end);
                fits.then_some(text)
            })
        })
    }
}

fn read_u32(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..)?.first_chunk().map(|bytes| u32::from_le_bytes(*bytes))
}

fn read_u64(bytes: &[u8], at: usize) -> Option<u64> {
    bytes.get(at..)?.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

fn read_size(bytes: &[u8], at: usize) -> Option<usize> {
    usize::try_from(read_u64(bytes, at)?).ok()
}
