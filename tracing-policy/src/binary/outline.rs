//! What is read of a file for the names of its functions: headers and tables, not the code.

use std::ops::Range;

use object::elf;
use object::read::elf::{FileHeader as _, SectionHeader as _};

use super::file::{Binary, ENDIAN, Header, Section};
use super::function::Functions;

/// Largest file that is looked at. So much address space is taken, but only what is read becomes memory.
const LARGEST: usize = 1 << 30;
/// Bytes that are read of one file; the tables of a browser with all its symbols have some 100 MB.
const MOST_READ: usize = 128 << 20;
/// Where a file begins: its header, its program headers.
const HEAD: usize = 64 << 10;
/// Section headers of one file.
const MOST_SECTIONS: usize = 1 << 16;

/// A file with holes: where nothing has been read there are zeros.
struct Outline<R> {
    bytes: Vec<u8>,
    left: usize,
    read: R,
}

impl Functions {
    /// The functions of a file of so many bytes, of which `read` fills in what is at an offset; what it leaves as it is counts as zeros. None where it is no
    /// program of this machine, has more than 1 GiB or tables of more than 128 MiB.
    pub fn read(len: usize, read: impl FnMut(u64, &mut [u8])) -> Self {
        if len > LARGEST {
            return Self::default();
        }
        let mut file = Outline { bytes: vec![0; len], left: MOST_READ, read };
        file.read().and_then(|()| Some(Self::of(&Binary::parse(&file.bytes).ok()?))).unwrap_or_default()
    }
}

impl<R: FnMut(u64, &mut [u8])> Outline<R> {
    fn read(&mut self) -> Option<()> {
        self.fill(0..HEAD)?;
        let header = Header::parse(&*self.bytes).ok()?;
        let sections = usize::try_from(header.e_shoff(ENDIAN)).ok()?;
        self.fill(sections..sections.saturating_add(size_of::<Section>() * MOST_SECTIONS))?;
        // names of sections are among them
        for part in self.parts(is_of_symbols)? {
            self.fill(part)?;
        }
        let binary = Binary::parse(&self.bytes).ok()?;
        if binary.sections().iter().any(|section| is_go(&binary, section)) || binary.sections().is_empty() {
            let data = binary.segments().iter().filter(|segment| !segment.executable);
            let parts: Vec<_> = data.map(|segment| range(segment.offset, segment.size)).collect();
            for part in parts.into_iter().flatten().chain(self.parts(is_go)?) {
                self.fill(part)?;
            }
        }
        Some(())
    }

    /// Where sections are.
    fn parts(&self, wanted: impl Fn(&Binary<'_>, &Section) -> bool) -> Option<Vec<Range<usize>>> {
        let binary = Binary::parse(&self.bytes).ok()?;
        let sections = binary.sections().iter().filter(|section| wanted(&binary, section));
        let ranges = sections.filter_map(|section| section.file_range(ENDIAN));
        Some(ranges.filter_map(|(offset, size)| range(offset, size)).collect())
    }

    /// Fills in a part, as far as the file goes; nothing where that is too much.
    fn fill(&mut self, part: Range<usize>) -> Option<()> {
        let end = part.end.min(self.bytes.len());
        let bytes = self.bytes.get_mut(part.start.min(end)..end)?;
        self.left = self.left.checked_sub(bytes.len())?;
        if !bytes.is_empty() {
            (self.read)(u64::try_from(part.start).ok()?, bytes);
        }
        Some(())
    }
}

fn is_of_symbols(_: &Binary<'_>, section: &Section) -> bool {
    [elf::SHT_SYMTAB, elf::SHT_DYNSYM, elf::SHT_STRTAB].contains(&section.sh_type(ENDIAN))
}

fn is_go(binary: &Binary<'_>, section: &Section) -> bool {
    binary.is_go_section(section)
}

fn range(offset: u64, size: u64) -> Option<Range<usize>> {
    Some(usize::try_from(offset).ok()?..usize::try_from(offset.checked_add(size)?).ok()?)
}

#[cfg(test)]
#[expect(clippy::unwrap_used, reason = "tests")]
mod tests {
    use super::super::file::FileOffset;
    use super::super::image::{CODE, Image, Symbol};
    use super::*;

    /// What is read of a file, and the functions found.
    fn read(bytes: &[u8]) -> (Vec<Range<u64>>, Functions) {
        let mut parts = Vec::new();
        let functions = Functions::read(bytes.len(), |offset, into| {
            let start = usize::try_from(offset).unwrap();
            into.copy_from_slice(&bytes[start..start + into.len()]);
            parts.push(offset..offset + into.len() as u64);
        });
        (parts, functions)
    }

    #[test]
    fn functions_are_found_without_reading_the_code() {
        let symbols = [Symbol::function("first", 0x10_0000), Symbol::function("second", 0x20_0000)];
        let bytes = Image::default().loaded(0x1000, CODE, vec![0x90; 4 << 20]).symbols(2, &symbols).build();
        let (parts, functions) = read(&bytes);
        let offset = Binary::parse(&bytes).unwrap().address_to_offset(0x20_0004).unwrap();
        assert_eq!(functions.around(offset), Some(("second", 4)));
        assert!(!parts.iter().any(|part| part.contains(&offset.0)), "{parts:?}");
    }

    #[test]
    fn a_file_that_is_none_or_lies_has_no_functions() {
        let whole = Image::default()
            .loaded(0x1000, CODE, vec![0x90; 64])
            .symbols(2, &[Symbol::function("first", 0x1000)])
            .build();
        let at = Binary::parse(&whole).unwrap().address_to_offset(0x1000).unwrap();
        assert_eq!(read(&whole).1.around(at), Some(("first", 0)));
        for len in [0, 1, 63, 64, 120, whole.len() - 1] {
            assert_eq!(read(&whole[..len]).1.around(at), None, "{len}");
        }
        let mut bytes = whole.clone();
        for place in 0..whole.len() {
            for byte in [0, 0x7f, 0xff] {
                bytes[place] = byte;
                // no panic, whatever it finds
                let _found = read(&bytes).1.around(FileOffset(at.0));
            }
            bytes[place] = whole[place];
        }
        assert_eq!(Functions::read(LARGEST + 1, |_, _| {}).bytes(), size_of::<Functions>());
    }
}
