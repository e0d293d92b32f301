//! ELF files made for tests.

/// What is loaded: readable, and so on.
pub(super) const CODE: u32 = 5;
pub(super) const DATA: u32 = 6;
const HEADER: usize = 64;
const PROGRAM_HEADER: usize = 56;

/// A file in the making.
#[derive(Debug, Clone, Default)]
pub(super) struct Image {
    segments: Vec<(u32, u64, u32, Vec<u8>)>,
    sections: Vec<Part>,
}

#[derive(Debug, Clone)]
struct Part {
    name: &'static str,
    kind: u32,
    address: u64,
    link: u32,
    bytes: Vec<u8>,
}

/// A symbol in the making: `section` 0 says that it is of another file.
#[derive(Debug, Clone, Copy)]
pub(super) struct Symbol {
    pub(super) name: &'static str,
    pub(super) kind: u8,
    pub(super) local: bool,
    pub(super) section: u16,
    pub(super) address: u64,
}

impl Symbol {
    pub(super) fn function(name: &'static str, address: u64) -> Self {
        Self { name, kind: 2, local: false, section: 1, address }
    }
}

impl Image {
    /// Adds what is loaded (`PT_LOAD`).
    pub(super) fn loaded(self, address: u64, flags: u32, bytes: Vec<u8>) -> Self {
        self.segment(1, address, flags, bytes)
    }

    pub(super) fn segment(mut self, kind: u32, address: u64, flags: u32, bytes: Vec<u8>) -> Self {
        self.segments.push((kind, address, flags, bytes));
        self
    }

    /// Adds a section; the first one is number 1.
    pub(super) fn section(
        mut self,
        name: &'static str,
        kind: u32,
        address: u64,
        link: u32,
        bytes: Vec<u8>,
    ) -> Self {
        self.sections.push(Part { name, kind, address, link, bytes });
        self
    }

    /// Adds `.symtab` (2) or `.dynsym` (11) and its names.
    pub(super) fn symbols(self, kind: u32, symbols: &[Symbol]) -> Self {
        let mut names = vec![0];
        let mut entries = vec![0; 24];
        for symbol in symbols {
            entries.extend(u32::try_from(names.len()).unwrap().to_le_bytes());
            entries.push(symbol.kind | if symbol.local { 0 } else { 0x10 });
            entries.push(0);
            entries.extend(symbol.section.to_le_bytes());
            entries.extend(symbol.address.to_le_bytes());
            entries.extend(16_u64.to_le_bytes());
            names.extend(symbol.name.bytes().chain([0]));
        }
        let link = u32::try_from(self.sections.len()).unwrap() + 2;
        self.section(".symbols", kind, 0, link, entries).section(".names", 3, 0, 0, names)
    }

    pub(super) fn build(&self) -> Vec<u8> {
        let mut bytes = vec![0; HEADER + self.segments.len() * PROGRAM_HEADER];
        for (index, (kind, address, flags, content)) in self.segments.iter().enumerate() {
            let offset = bytes.len() as u64;
            let size = content.len() as u64;
            let mut header = Vec::new();
            header.extend(kind.to_le_bytes());
            header.extend(flags.to_le_bytes());
            for word in [offset, *address, *address, size, size + 64, 4] {
                header.extend(word.to_le_bytes());
            }
            let at = HEADER + index * PROGRAM_HEADER;
            bytes[at..at + PROGRAM_HEADER].copy_from_slice(&header);
            bytes.extend(content);
            bytes.resize(bytes.len().next_multiple_of(16), 0);
        }
        let (table, count) = self.section_headers(&mut bytes);
        let mut header = Vec::from(*b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x03\0\x3e\0\x01\0\0\0");
        for word in [0, HEADER as u64, table] {
            header.extend(word.to_le_bytes());
        }
        let last = if count == 0 { 0 } else { count - 1 };
        let segments = u16::try_from(self.segments.len()).unwrap();
        header.extend([0; 4]);
        for half in [64, 56, segments, 64, count, last] {
            header.extend(half.to_le_bytes());
        }
        bytes[..HEADER].copy_from_slice(&header);
        bytes
    }

    fn section_headers(&self, bytes: &mut Vec<u8>) -> (u64, u16) {
        if self.sections.is_empty() {
            return (0, 0);
        }
        let mut names = vec![0];
        let mut headers = vec![0; 64];
        let last = Part { name: ".shstrtab", kind: 3, address: 0, link: 0, bytes: Vec::new() };
        for part in self.sections.iter().chain([&last]) {
            let name = u32::try_from(names.len()).unwrap();
            names.extend(part.name.bytes().chain([0]));
            let content = if part.name == last.name { &names } else { &part.bytes };
            headers.extend(name.to_le_bytes());
            headers.extend(part.kind.to_le_bytes());
            for word in [0, part.address, bytes.len() as u64, content.len() as u64] {
                headers.extend(word.to_le_bytes());
            }
            headers.extend(part.link.to_le_bytes());
            headers.extend(1_u32.to_le_bytes());
            headers.extend(4_u64.to_le_bytes());
            headers.extend(0_u64.to_le_bytes());
            bytes.extend(content);
            bytes.resize(bytes.len().next_multiple_of(16), 0);
        }
        let table = bytes.len() as u64;
        bytes.extend(&headers);
        (table, u16::try_from(headers.len() / 64).unwrap())
    }
}

/// A note: name with its NUL, type, content.
pub(super) fn note(name: &[u8], kind: u32, content: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for word in [name.len(), content.len()] {
        bytes.extend(u32::try_from(word).unwrap().to_le_bytes());
    }
    bytes.extend(kind.to_le_bytes());
    for part in [name, content] {
        bytes.extend(part);
        bytes.resize(bytes.len().next_multiple_of(4), 0);
    }
    bytes
}

/// Several words, in order.
pub(super) fn words(words: &[u64]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}
