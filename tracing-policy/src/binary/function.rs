//! Functions by where they are: which one an instruction belongs to.

use object::elf;
use object::read::elf::Sym as _;

use super::file::{Binary, ENDIAN, FileOffset};
use super::go::GoTable;

/// Functions that are kept at most: a browser with all its symbols has half a million.
const MOST_FUNCTIONS: usize = 1 << 20;
/// Bytes of names that are kept at most.
const MOST_NAMES: usize = 32 << 20;

/// Longest name that is kept whole: those of C++ and Rust grow with their types.
const LONGEST_NAME: usize = 1024;

/// The functions of a file, by their places in it.
#[derive(Debug, Clone, Default)]
pub struct Functions {
    /// By offset, each once.
    functions: Vec<Function>,
    names: String,
}

#[derive(Debug, Clone, Copy)]
struct Function {
    offset: u64,
    /// Bytes; 0 where they are not known, so that it reaches to the next.
    size: u64,
    name: u32,
    length: u16,
    is_local: bool,
}

impl Functions {
    /// Those of a file: of `.symtab` and `.dynsym`, and where it is stripped of the table that Go keeps.
    pub fn of(binary: &Binary<'_>) -> Self {
        let mut all = Self::default();
        for kind in [elf::SHT_SYMTAB, elf::SHT_DYNSYM] {
            let Some(table) = binary.table(kind) else { continue };
            for entry in table.symbols {
                let is_function = matches!(entry.st_type(), elf::STT_FUNC | elf::STT_GNU_IFUNC);
                if !is_function || entry.is_undefined(ENDIAN) {
                    continue;
                }
                let name = table.name(entry).and_then(text);
                let place = (entry.st_value(ENDIAN), entry.st_size(ENDIAN));
                all.add(binary, place, name, entry.st_bind() == elf::STB_LOCAL);
            }
        }
        if all.functions.is_empty()
            && let Ok(Some(table)) = GoTable::find(binary)
        {
            for (address, name) in table.functions() {
                all.add(binary, (address, 0), text(name), false);
            }
        }
        // of several names of a place the first that other files see
        all.functions.sort_by_key(|function| (function.offset, function.is_local));
        all.functions.dedup_by_key(|function| function.offset);
        all.functions.shrink_to_fit();
        all.names.shrink_to_fit();
        all
    }

    fn add(&mut self, binary: &Binary<'_>, (address, size): (u64, u64), name: Option<&str>, is_local: bool) {
        let Some(name) = name else { return };
        let Some(FileOffset(offset)) = binary.address_to_offset(address) else { return };
        let start = self.names.len();
        let (Ok(at), Ok(length)) = (u32::try_from(start), u16::try_from(name.len())) else { return };
        if self.functions.len() < MOST_FUNCTIONS && start + name.len() <= MOST_NAMES {
            self.names.push_str(name);
            self.functions.push(Function { offset, size, name: at, length, is_local });
        }
    }

    /// The function that has the instruction at `offset`, and how many bytes that is from its first.
    pub fn at(&self, FileOffset(offset): FileOffset) -> Option<(&str, u64)> {
        let behind = self.functions.partition_point(|function| function.offset <= offset);
        let function = self.functions.get(behind.checked_sub(1)?)?;
        let distance = offset - function.offset;
        if function.size != 0 && distance >= function.size {
            return None;
        }
        let start = function.name as usize;
        Some((self.names.get(start..start + usize::from(function.length))?, distance))
    }

    /// Bytes of memory that they take.
    pub fn bytes(&self) -> usize {
        self.functions.capacity() * size_of::<Function>() + self.names.capacity()
    }
}

/// A name that ends with a NUL; cut where it is too long.
fn text(bytes: &[u8]) -> Option<&str> {
    let bytes = bytes.get(..bytes.len().min(LONGEST_NAME))?;
    let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
    std::str::from_utf8(bytes.get(..end)?).ok().filter(|name| !name.is_empty())
}
