//! A file's headers: what of it is loaded, and where.

use std::cell::OnceCell;
use std::fmt;

use object::LittleEndian;
use object::elf;
use object::read::elf::{Dyn, FileHeader, NoteIterator, ProgramHeader, Rela, SectionHeader, SectionTable};

use super::names::Names;

pub(super) type Header = elf::FileHeader64<LittleEndian>;
pub(super) type Section = elf::SectionHeader64<LittleEndian>;
/// Everything here is of x86-64.
pub(super) const ENDIAN: LittleEndian = LittleEndian;

/// A place in a file, in bytes from its start: what the kernel attaches user-space probes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileOffset(pub u64);

impl fmt::Display for FileOffset {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(to, "{:#x}", self.0)
    }
}

/// Why bytes are not a binary of this machine.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BinaryError {
    /// Another format, a script for one.
    #[error("it is no ELF file")]
    NotElf,
    /// A 32-bit or big-endian file.
    #[error("it is an ELF file of another kind than 64-bit little-endian")]
    Class,
    /// For another processor.
    #[error("it is an ELF file for machine {0}, not for x86-64")]
    Machine(u16),
    /// An object file or a core dump: nothing that is executed.
    #[error("it is neither an executable nor a shared library")]
    NotLoadable,
    /// Headers that lead out of the file.
    #[error("its ELF headers are damaged: {0}")]
    Damaged(String),
}

/// A part of a file that is loaded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Segment {
    pub(super) address: u64,
    pub(super) offset: u64,
    /// Of what is in the file; what is beyond it in memory is zeros.
    pub(super) size: u64,
    pub(super) executable: bool,
    pub(super) writable: bool,
}

/// An executable or library of x86-64, looked at through its bytes.
#[derive(Debug)]
pub struct Binary<'d> {
    bytes: &'d [u8],
    headers: &'d [elf::ProgramHeader64<LittleEndian>],
    segments: Vec<Segment>,
    sections: SectionTable<'d, Header>,
    /// Of `.symtab` and `.dynsym`, once they are sorted.
    pub(super) names: OnceCell<[Option<Names>; 2]>,
}

impl<'d> Binary<'d> {
    /// Reads the headers of a file. Damaged section headers count as none: a program runs without them.
    ///
    /// # Errors
    /// [`BinaryError`], where the file could not be loaded as a program of this machine.
    pub fn parse(bytes: &'d [u8]) -> Result<Self, BinaryError> {
        const MAGIC: &[u8] = b"\x7fELF";
        const CLASS_64: u8 = 2;
        const LITTLE: u8 = 1;
        if !bytes.starts_with(MAGIC) {
            return Err(BinaryError::NotElf);
        }
        if bytes.get(4) != Some(&CLASS_64) || bytes.get(5) != Some(&LITTLE) {
            return Err(BinaryError::Class);
        }
        let damaged = |error: object::read::Error| BinaryError::Damaged(error.to_string());
        let header = Header::parse(bytes).map_err(damaged)?;
        let machine = header.e_machine(ENDIAN);
        if machine != elf::EM_X86_64 {
            return Err(BinaryError::Machine(machine.0));
        }
        if ![elf::ET_EXEC, elf::ET_DYN].contains(&header.e_type(ENDIAN)) {
            return Err(BinaryError::NotLoadable);
        }
        let headers = header.program_headers(ENDIAN, bytes).map_err(damaged)?;
        let segments = headers.iter().filter_map(loaded).collect();
        let sections = header.sections(ENDIAN, bytes).unwrap_or_default();
        Ok(Self { bytes, headers, segments, sections, names: OnceCell::new() })
    }

    /// The place in the file of what is loaded at an address, the first one of the file being loaded as linked.
    /// Nothing where nothing of the file is loaded there.
    pub fn address_to_offset(&self, address: u64) -> Option<FileOffset> {
        let segment = self.segment_of(address)?;
        segment.offset.checked_add(address - segment.address).map(FileOffset)
    }

    /// Where instructions of the file are loaded, the first one of it being loaded as linked.
    pub fn offset_to_address(&self, offset: FileOffset) -> Option<u64> {
        let (segment, distance) = self.code_around(offset)?;
        segment.address.checked_add(distance)
    }

    /// Whether what is at `offset` is loaded as instructions.
    pub fn offset_is_executable(&self, offset: FileOffset) -> bool {
        let in_file = usize::try_from(offset.0).is_ok_and(|offset| offset < self.bytes.len());
        in_file && self.code_around(offset).is_some()
    }

    /// Behind the last of the instructions that are loaded together with that at `offset`.
    pub(super) fn code_end(&self, offset: FileOffset) -> Option<u64> {
        let (segment, _) = self.code_around(offset)?;
        segment.offset.checked_add(segment.size)
    }

    /// The instructions that are loaded together with that at `offset`, and how far behind their first that is.
    fn code_around(&self, offset: FileOffset) -> Option<(&Segment, u64)> {
        let segments = self.segments.iter().filter(|segment| segment.executable);
        let mut places =
            segments.filter_map(|segment| Some((segment, offset.0.checked_sub(segment.offset)?)));
        places.find(|(segment, distance)| *distance < segment.size)
    }

    /// What the linker identified this build by; 20 bytes as a rule.
    pub fn build_id(&self) -> Option<&'d [u8]> {
        let segments =
            self.headers.iter().filter_map(|header| header.notes(ENDIAN, self.bytes).ok().flatten());
        let sections =
            self.sections.iter().filter_map(|section| section.notes(ENDIAN, self.bytes).ok().flatten());
        segments.chain(sections).find_map(build_id_of)
    }

    /// The types of its functions and variables as BTF, where it has the section that is for them.
    pub fn types(&self) -> Option<&'d [u8]> {
        self.sections_named(b".BTF").find_map(|section| section.data(ENDIAN, self.bytes).ok())
    }

    /// Whether Go made it: such a program moves its stacks, and the kernel knows nothing of that.
    pub fn is_go(&self) -> bool {
        !matches!(super::go::GoTable::find(self), Ok(None))
    }

    pub(super) fn segments(&self) -> &[Segment] {
        &self.segments
    }

    pub(super) fn sections(&self) -> &SectionTable<'d, Header> {
        &self.sections
    }

    pub(super) fn bytes(&self) -> &'d [u8] {
        self.bytes
    }

    /// All sections of a name: their headers.
    pub(super) fn sections_named<'s>(&'s self, name: &'s [u8]) -> impl Iterator<Item = &'d Section> + 's {
        self.sections
            .iter()
            .filter(move |section| self.sections.section_name(ENDIAN, section).is_ok_and(|own| own == name))
    }

    /// What is in the file of what is loaded from `address` to the end of its segment.
    pub(super) fn loaded_from(&self, address: u64) -> Option<&'d [u8]> {
        let segment = self.segment_of(address)?;
        let skipped = address - segment.address;
        let start = usize::try_from(segment.offset.checked_add(skipped)?).ok()?;
        let end = start.saturating_add(usize::try_from(segment.size - skipped).ok()?);
        self.bytes.get(start..end.min(self.bytes.len()))
    }

    /// The word that is at an address once the file is loaded at the addresses it was linked for. A relocation that
    /// writes it comes before what is in the file: position-independent files have zeros there.
    pub(super) fn word(&self, address: u64) -> Option<u64> {
        match self.relocations().find(|relocation| relocation.address == address) {
            Some(relocation) => Some(relocation.value),
            None => self.loaded_from(address)?.first_chunk().map(|word| u64::from_le_bytes(*word)),
        }
    }

    /// Words that the loader writes, itself a sum of the load address and a constant.
    pub(super) fn relocations(&self) -> impl Iterator<Item = Relocation> + use<'d> {
        self.relocation_table().unwrap_or_default().iter().filter_map(|entry| {
            let relative = elf::R_X86_64_RELATIVE == entry.r_type(ENDIAN, false);
            relative.then(|| Relocation {
                address: entry.r_offset(ENDIAN),
                value: entry.r_addend(ENDIAN).cast_unsigned(),
            })
        })
    }

    fn relocation_table(&self) -> Option<&'d [elf::Rela64<LittleEndian>]> {
        let entries = self.headers.iter().find_map(|header| header.dynamic(ENDIAN, self.bytes).ok()?)?;
        let value =
            |tag| entries.iter().find(|entry| entry.tag(ENDIAN) == tag).map(|entry| entry.val(ENDIAN));
        let size = usize::try_from(value(elf::DT_RELASZ)?).ok()?;
        let bytes = self.loaded_from(value(elf::DT_RELA)?)?.get(..size)?;
        object::pod::slice_from_all_bytes(bytes).ok()
    }

    fn segment_of(&self, address: u64) -> Option<&Segment> {
        self.segments.iter().find(|segment| {
            address.checked_sub(segment.address).is_some_and(|distance| distance < segment.size)
        })
    }
}

/// A word that the loader writes.
#[derive(Debug, Clone, Copy)]
pub(super) struct Relocation {
    pub(super) address: u64,
    pub(super) value: u64,
}

fn loaded(header: &elf::ProgramHeader64<LittleEndian>) -> Option<Segment> {
    let flags = header.p_flags(ENDIAN).0;
    (header.p_type(ENDIAN) == elf::PT_LOAD).then(|| Segment {
        address: header.p_vaddr(ENDIAN),
        offset: header.p_offset(ENDIAN),
        size: header.p_filesz(ENDIAN),
        executable: flags & elf::PF_X.0 != 0,
        writable: flags & elf::PF_W.0 != 0,
    })
}

fn build_id_of(notes: NoteIterator<'_, Header>) -> Option<&[u8]> {
    notes
        .filter_map(Result::ok)
        .find(|note| {
            note.name() == elf::ELF_NOTE_GNU
                && note.n_type(ENDIAN) == elf::NT_GNU_BUILD_ID
                && !note.desc().is_empty()
        })
        .map(|note| note.desc())
}
